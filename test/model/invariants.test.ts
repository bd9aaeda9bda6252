// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import type { Capability } from '../../harness/model/capabilities.js';
import { type FunctionName, type LivepatchDescription, gateOf, livepatch, target } from '../../harness/model/description.js';
import { type Observation, learn, predict } from '../../harness/model/observations/index.js';
import { type Operation, type Outcome, apiCalls, step } from '../../harness/model/operations/index.js';
import { pinsItsModule, settled } from '../../harness/model/progress.js';
import { type Facts, type State, findPatch, patchInTransition, pristine, references, stackOf } from '../../harness/model/state.js';
import { holders, isHeld, reachableBodies } from '../../harness/model/tasks.js';

/*
 * What holds in every state that random operations lead to, whatever the generation.
 */

const lib = target('klp_target');
const patches = [
  livepatch('klp_one', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] }),
  livepatch('klp_two', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }),
  livepatch('klp_three', { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_beta'] }, { driven: true }),
  livepatch('klp_four', { klp_target: ['klp_target_alpha', 'klp_target_twin'] }, { driven: true }),
  livepatch('klp_lost', { vmlinux: ['klp_no_such_function'] }),
  livepatch('klp_quiet', { klp_target: ['klp_target_alpha', 'klp_target_quiet'] }, { driven: true }),
];
const immediate = [
  livepatch('klp_at_once', { klp_target: ['klp_target_alpha'] }, { immediate: true }),
  livepatch('klp_half', { klp_target: [{ name: 'klp_target_alpha', immediate: true }, 'klp_target_beta'] }, { driven: true }),
  livepatch('klp_leaky', { klp_target: ['klp_target_quiet'] }, { immediate: true, driven: true }),
];

interface Generation {
  readonly name: string;
  readonly facts: Facts;
  readonly patches: readonly LivepatchDescription[];
}

function generation(name: string, capabilities: readonly Capability[], known = patches): Generation {
  const facts: Facts = {
    capabilities: new Set<Capability>(['livepatch', 'kprobes', ...capabilities]),
    vmlinuxSymbols: (symbol) => (symbol === 'cmdline_proc_show' ? 1 : 0),
  };
  return { name, facts, patches: known };
}

const generations: readonly Generation[] = [
  generation('4.14', ['reliable-stacks', 'registration', 'immediate', 'kprobes-on-ftrace', 'relocations-checked'], [...patches, ...immediate]),
  generation('4.14 without reliable stacks', ['registration', 'immediate', 'kprobes-on-ftrace'], [...patches, ...immediate]),
  generation('6.1', ['reliable-stacks', 'kprobes-on-ftrace', 'kprobes-share-ftrace', 'kprobes-report-errors', 'permanent-ftrace', 'relocations-checked']),
  generation('7.x', ['reliable-stacks', 'kprobes-share-ftrace', 'permanent-ftrace', 'ftrace-stays-on', 'relocations-cleared']),
  generation('7.x without reliable stacks', ['permanent-ftrace', 'ftrace-stays-on']),
];

const functions: readonly FunctionName[] = [lib.alpha, lib.beta];

function operations(known: readonly LivepatchDescription[]): fc.Arbitrary<Operation> {
  const patch = fc.constantFrom(...known);
  const f = fc.constantFrom(...functions);
  const tid = fc.integer({ min: 1, max: 3 });
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant<Operation>({ kind: 'load', module: lib }) },
    { weight: 4, arbitrary: patch.map((module): Operation => ({ kind: 'load', module })) },
    fc.constantFrom('klp_target', ...known.map((p) => p.name)).map((module): Operation => ({ kind: 'unload', module })),
    {
      weight: 4,
      arbitrary: fc
        .tuple(patch, fc.constantFrom('0', '1', 'junk'))
        .map(([p, text]): Operation => ({ kind: 'write-enabled', patch: p.name, text })),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom(...apiCalls), patch, fc.constantFrom('first' as const, 'first' as const, 'second' as const, 'null' as const))
        .map(([call, p, which]): Operation => ({ kind: 'api', call, patch: p.name, which })),
    },
    fc.tuple(fc.constantFrom('hold' as const, 'let-go' as const), patch).map(([kind, p]): Operation => ({ kind, patch: p.name })),
    fc.constant<Operation>({ kind: 'probe', function: gateOf(lib), place: 'return', postHandler: false }),
    fc
      .tuple(f, fc.constantFrom('entry' as const, 'inside' as const, 'return' as const), fc.boolean())
      .map(([fn, place, postHandler]): Operation => ({ kind: 'probe', function: fn, place, postHandler })),
    fc.constant<Operation>({ kind: 'unprobe', target: 'klp_target' }),
    fc.boolean().map((on): Operation => ({ kind: 'switch-ftrace', on })),
    f.map((fn): Operation => ({ kind: 'trace', tracer: 'function', function: fn })),
    fc.constant<Operation>({ kind: 'untrace' }),
    {
      weight: 2,
      arbitrary: fc
        .tuple(
          tid,
          fc.constantFrom('user', 'kernel'),
          fc.constantFrom('uninterruptible', 'interruptible', 'running'),
          f,
          fc.constantFrom('original', ...known.map((p) => p.name)),
          fc.constantFrom(0, 0, 0, 120),
        )
        .map(([task, by, activity, fn, body, depth]): Operation => ({ kind: 'park', tid: task, by, activity, function: fn, body, depth })),
    },
    tid.map((task): Operation => ({ kind: 'spin', tid: task })),
    fc.tuple(fc.constantFrom('die' as const, 'fork-storm' as const), tid).map(([kind, task]): Operation => ({ kind, tid: task })),
    fc.boolean().map((online): Operation => ({ kind: 'switch-cpu', cpu: 1, online })),
    tid.map((task): Operation => ({ kind: 'signal', tid: task })),
    tid.map((task): Operation => ({ kind: 'release', tid: task })),
  );
}

interface Step {
  readonly before: State;
  readonly op: Operation;
  readonly outcome: Outcome;
  readonly state: State;
}

/** What a scenario would not do: what cannot happen is left out, and so is what the model does not speak of. */
function impossible(state: State, op: Operation): boolean {
  const loaded = (name: string): boolean => state.modules.some((m) => m.name === name);
  if (op.kind === 'load') return loaded(op.module.name);
  if (op.kind === 'unload') return op.module === 'klp_target' && state.tasks.length > 0;
  if (op.kind === 'park' || op.kind === 'spin' || op.kind === 'die' || op.kind === 'fork-storm') {
    const before = state.tasks.find((task) => task.tid === op.tid);
    if (op.kind !== 'park') return before !== undefined;
    // Only one that a signal took out comes back, and as it was.
    const same = before?.activity === op.activity && before.kind === op.by && before.below.depth === op.depth;
    const back = before?.frames.length === 0 && same;
    return !loaded(op.function.object) || (before !== undefined && !back);
  }
  if (op.kind === 'probe') return state.probes.length > 0 || !loaded(op.function.object);
  return (op.kind === 'hold' || op.kind === 'let-go') && !findPatch(state, op.patch);
}

/** One path: any of an operation's outcomes, then as far as the kernel gets by itself, or not. */
function* walk(facts: Facts, steps: readonly { op: Operation; choice: number; settle: boolean }[]): Generator<Step> {
  let state = pristine;
  for (const { op, choice, settle } of steps) {
    if (impossible(state, op)) continue;
    const before = state;
    const outcomes = step(state, op, facts).filter((o) => o.oracle === 'mainline');
    const outcome = outcomes[choice % Math.max(1, outcomes.length)];
    // The list would keep what lay in a module that has gone: nothing can be said of what follows.
    if (!outcome || outcome.clause === 'UNR-5') continue;
    state = settle ? settled(outcome.next, facts) : outcome.next;
    yield { before, op, outcome, state };
  }
}

function seen(state: State, facts: Facts, what: Observation): readonly boolean[] {
  return predict(state, what, facts).map((p) => p.holds);
}

const thread = (tid: number, patchState: number): Observation => ({
  kind: 'threads',
  settled: false,
  threads: [{ tid, comm: 'x', kernel: false, patchState }],
});

/** Everything that must hold in one state. @throws Error saying what does not */
function check({ facts, patches: known }: Generation, state: State): void {
  const must = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(what);
  };
  for (const p of known) {
    const count = references(state, p.name);
    must(count >= 0, `${p.name} has ${count} references`);
    must(count <= 1 || pinsItsModule(p), `${p.name} has ${count} references without being immediate`);
    const patch = findPatch(state, p.name);
    must(patch?.enabled !== true || patch.stacked !== null, `${p.name} is enabled, but on no stack`);
    must(patch?.enabled !== true || count > 0, `${p.name} is enabled without a reference`);
    must(patch?.presence !== 'leaving' || !patch.enabled, `${p.name} is enabled and on its way out`);
  }
  const places = state.patches.flatMap((p) => (p.stacked === null ? [] : [p.stacked]));
  must(new Set(places).size === places.length, 'two patches share a place');
  must(state.transition === null || patchInTransition(state) !== undefined, 'a transition without its patch');
  must(patchInTransition(state)?.description.immediate !== true, 'an immediate patch in transition');

  const running = state.transition?.phase === 'running';
  must(seen(state, facts, thread(99, -1)).every(Boolean) !== running, '-1 exactly at rest, or while completing');
  if (!state.transition) {
    for (const value of [0, 1]) must(!seen(state, facts, thread(99, value)).some(Boolean), `patch_state ${value} at rest`);
    for (const p of state.patches) must(p.enabled === (p.stacked !== null), `${p.description.name} at rest: enabled is not stacked`);
  }
  for (const f of functions) {
    const [top] = stackOf(state, f);
    const bodies = reachableBodies(state, f);
    must(state.transition !== null || bodies.length === 1, 'at rest a call has one body');
    const expected = state.ftraceOn ? (top?.description.name ?? 'original') : 'original';
    must(state.transition !== null || bodies[0] === expected, 'not the newest enabled patch');
    must(top !== undefined || bodies[0] === 'original', 'an empty stack leads elsewhere');
    const idle = top === undefined && state.tracing === null && state.probes.length === 0;
    if (idle) must(seen(state, facts, { kind: 'ftrace', function: f, users: 0, flags: '' }).every(Boolean), 'an ftrace user is left');
  }
}

for (const g of generations) {
  const steps = fc.array(fc.record({ op: operations(g.patches), choice: fc.nat(3), settle: fc.boolean() }), { minLength: 10, maxLength: 40, size: 'max' });

  void t.test(`invariants, ${g.name}`, (t) => {
    let judged = 0;
    fc.assert(
      fc.property(steps, (list) => {
        for (const { before, op, outcome, state } of walk(g.facts, list)) {
          check(g, state);
          judged++;
          if (outcome.errno === 'OK' || op.kind === 'load') continue;
          const shape = (s: State): string => JSON.stringify([s.patches, s.transition, s.modules]);
          if (shape(outcome.next) !== shape(before)) throw new Error(`${op.kind} was refused and changed something`);
        }
      }),
      { numRuns: 3000 },
    );
    t.ok(judged > 20_000, `${judged} steps of 3000 random sequences`);
    t.end();
  });

  void t.test(`a module goes only without references, ${g.name}`, (t) => {
    let gone = 0;
    fc.assert(
      fc.property(steps, (list) => {
        for (const { before, op, outcome } of walk(g.facts, list)) {
          if (op.kind !== 'unload' || outcome.errno !== 'OK') continue;
          gone++;
          if (references(before, op.module) > 0) throw new Error(`${op.module} went with ${references(before, op.module)} references`);
        }
      }),
      { numRuns: 1000 },
    );
    t.ok(gone > 50, `${gone} unloads`);
    t.end();
  });

  void t.test(`reversing twice restores target and sysfs, ${g.name}`, (t) => {
    let turned = 0;
    fc.assert(
      fc.property(steps, (list) => {
        for (const { state } of walk(g.facts, list)) {
          const { transition } = state;
          const patch = transition && findPatch(state, transition.patch);
          if (transition?.phase !== 'running' || !patch) continue;
          turned++;
          const turn = (s: State): State => {
            const text = findPatch(s, transition.patch)?.enabled === true ? '0' : '1';
            const [outcome] = step(s, { kind: 'write-enabled', patch: transition.patch, text }, g.facts);
            if (outcome?.clause !== 'TRN-6') throw new Error(`no reversal: ${outcome?.because ?? 'nothing'}`);
            return outcome.next;
          };
          const once = turn(state);
          if (once.transition?.target === transition.target) throw new Error('the target did not turn');
          const unreliable = holders(state).flatMap((h) => (h.why === 'unreliable' ? [h.task.tid] : []));
          if (String(once.transition?.arrived) !== String(unreliable)) throw new Error('somebody else is taken for arrived at the new target');
          const twice = turn(once);
          if (twice.transition?.target !== transition.target) throw new Error('the target did not come back');
          if (JSON.stringify(twice.patches) !== JSON.stringify(state.patches)) throw new Error('patches differ');
          // Who has arrived at the target is forgotten by a reversal.
          const forgotten = (s: State): State => ({ ...s, tasks: [], transition: s.transition && { ...s.transition, arrived: [] } });
          const end = (s: State): string => JSON.stringify(settled(forgotten(s), g.facts));
          if (end(twice) !== end(state)) throw new Error('it ends elsewhere');
        }
      }),
      { numRuns: 1000 },
    );
    if (g.facts.capabilities.has('registration') && !g.facts.capabilities.has('reliable-stacks')) t.equal(turned, 0, 'nothing to turn');
    else t.ok(turned > 100, `${turned} transitions were turned twice`);
    t.end();
  });

  void t.test(`a thread that has arrived stays unless the transition is turned, ${g.name}`, (t) => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.boolean()), (list, arrives) => {
        let arrived: { readonly patch: string; readonly target: number; readonly tids: readonly number[] } | undefined;
        let known = pristine;
        for (const { op } of list) {
          if (impossible(known, op)) continue;
          const [outcome] = step(known, op, g.facts).filter((o) => o.oracle === 'mainline');
          if (!outcome || outcome.clause === 'UNR-5') continue;
          const held = holders(outcome.next).map((h) => h.task.tid);
          const { transition } = outcome.next;
          const free = [11, 12].filter((tid) => !held.includes(tid) && arrives.next().value === true);
          known = transition
            ? free.reduce((s, tid) => learn(s, thread(tid, transition.target)), outcome.next)
            : outcome.next;
          const now = known.transition;
          const before = arrived && `${arrived.patch} ${arrived.target}`;
          const same = now !== null && before === `${now.patch} ${now.target}` && outcome.clause !== 'TRN-6';
          const back = arrived?.tids.filter((tid) => now?.arrived.includes(tid) !== true) ?? [];
          if (same && back.length > 0) throw new Error('a thread went back');
          arrived = now ? { patch: now.patch, target: now.target, tids: now.arrived } : undefined;
          for (const tid of now?.arrived ?? []) {
            if (now && seen(known, g.facts, thread(tid, 1 - now.target)).every(Boolean)) throw new Error(`thread ${tid} may read the old state`);
          }
        }
      }),
      { numRuns: 1000 },
    );
    t.pass('held');
    t.end();
  });

  void t.test(`a kernel that nothing holds comes to rest, ${g.name}`, (t) => {
    fc.assert(
      fc.property(steps, (list) => {
        for (const { state } of walk(g.facts, list)) {
          const freed = { ...state, tasks: [], heldKobjects: [] };
          const end = settled(freed, g.facts);
          if (end.transition && !isHeld(end, g.facts)) throw new Error('still in transition');
          if (end.patches.some((p) => p.presence === 'leaving')) throw new Error('a directory is left');
        }
      }),
      { numRuns: 1000 },
    );
    t.pass('held');
    t.end();
  });
}
