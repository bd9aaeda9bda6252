// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import type { Capability } from '../../harness/model/capabilities.js';
import { type LivepatchDescription, type ModuleDescription, livepatch, target } from '../../harness/model/description.js';
import { type Operation, step } from '../../harness/model/operations/index.js';
import { predict } from '../../harness/model/observations/index.js';
import { closure, settled } from '../../harness/model/progress.js';
import { describeState } from '../../harness/model/describe-state.js';
import { type Facts, type State, findPatch, pristine, references, stackOf } from '../../harness/model/state.js';
import { holders, reachableBodies } from '../../harness/model/tasks.js';

/* What livepatch learned after 4.14, on the model alone. */

const lib = target('klp_target');
const other = target('klp_other');
const one = livepatch('klp_one', { klp_target: ['klp_target_alpha', 'klp_target_beta'] });
const two = livepatch('klp_two', { klp_target: ['klp_target_beta', { name: 'klp_target_twin', sympos: 2 }], klp_other: ['klp_other_alpha'] });
const all = livepatch('klp_all', { klp_target: [{ name: 'klp_target_alpha', sympos: 1 }] }, { replace: true });
const every = livepatch('klp_every', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { replace: true });
const bad = livepatch('klp_bad', { klp_target: ['klp_target_beta', 'klp_target_quiet'] }, { replace: true });

const today: Facts = {
  capabilities: new Set<Capability>(['livepatch', 'reliable-stacks', 'replace', 'sysfs-replace', 'sysfs-stack-order', 'sysfs-force']),
  vmlinuxSymbols: () => 0,
};

const load = (module: ModuleDescription): Operation => ({ kind: 'load', module });
const write = (patch: LivepatchDescription, text: string): Operation => ({ kind: 'write-enabled', patch: patch.name, text });
const force = (patch: LivepatchDescription, text = '1'): Operation => ({ kind: 'write-force', patch: patch.name, text });
const park = (tid: number, f: typeof lib.alpha, body = 'original'): Operation => ({
  kind: 'park',
  tid,
  by: 'user',
  activity: 'uninterruptible',
  function: f,
  body,
});

/** The state after an operation: its only outcome, and no further. */
function did(state: State, op: Operation): State {
  const [outcome] = step(state, op, today);
  if (outcome?.errno !== 'OK') throw new Error(`${op.kind}: ${outcome?.errno ?? 'nothing'}`);
  return outcome.next;
}
const rest = (state: State): State => settled(state, today);
const after = (...ops: Operation[]): State => ops.reduce((state, op) => rest(did(state, op)), pristine);
const bodies = (state: State): string[] => [lib.alpha, lib.beta, lib.twin2, other.alpha].map((f) => reachableBodies(state, f).join('|'));

void t.test('a patch that replaces takes the place of all others', (t) => {
  const both = after(load(lib), load(other), load(one), load(two));
  t.strictSame(bodies(both), ['klp_one', 'klp_two', 'klp_two', 'klp_two']);
  const begun = did(both, load(all));
  t.strictSame(findPatch(begun, 'klp_all')?.nops, [
    { name: 'klp_target', functions: [{ name: 'klp_target_beta' }, { name: 'klp_target_twin', sympos: 2 }] },
    { name: 'klp_other', functions: [{ name: 'klp_other_alpha' }] },
  ], 'alpha at position 0 is alpha at position 1');
  const end = rest(begun);
  t.strictSame(bodies(end), ['klp_all', 'original', 'original', 'original']);
  t.strictSame(end.patches.map((p) => p.description.name), ['klp_all']);
  t.strictSame(['klp_one', 'klp_two', 'klp_all'].map((name) => references(end, name)), [0, 0, 1]);
  t.match(step(end, { kind: 'unload', module: 'klp_one' }, today), [{ errno: 'OK', clause: 'REP-2' }]);
  const again = rest(did(did(end, { kind: 'unload', module: 'klp_one' }), load(one)));
  t.strictSame(bodies(again), ['klp_one', 'klp_one', 'original', 'original'], 'it comes back above the one that replaced it');
  t.strictSame(again.replaced, ['klp_two']);
  t.end();
});

void t.test('who holds a replace, and who its reversal', (t) => {
  const held = did(did(did(after(load(lib), load(one)), park(1, lib.beta, 'klp_one')), park(2, lib.alpha, 'klp_one')), load(every));
  t.strictSame(holders(held).map((h) => h.task.tid), [1, 2]);
  const nop = did(did(did(after(load(lib), load(one)), park(1, lib.beta, 'klp_one')), load(all)), park(3, lib.beta));
  t.strictSame(holders(nop).map((h) => h.task.tid), [1], 'what lies below the nop; not the original');
  const back = did(nop, write(all, '0'));
  t.strictSame(holders(back).map((h) => h.task.tid), [3], 'the code of the nop is the original');
  t.strictSame(bodies(rest(did(back, { kind: 'release', tid: 3 }))).slice(0, 2), ['klp_one', 'klp_one']);
  const seen = { kind: 'sysfs', patch: 'klp_one', entries: [{ path: 'enabled', type: 'file', mode: 0o644, value: '1' }] } as const;
  t.match(predict(nop, seen, today).find((p) => p.clause === 'REP-4'), { holds: true });
  t.end();
});

void t.test('a replace that is refused half way changes nothing', (t) => {
  const before = after(load(lib), load(one));
  const [refused] = step(before, load(bad), today);
  t.match(refused, { errno: 'EINVAL', clause: 'FTR-1' });
  t.strictSame(refused?.next.patches, before.patches);
  t.end();
});

void t.test('modules that come and go during a replace', (t) => {
  const held = did(did(after(load(lib), load(two)), park(1, lib.beta, 'klp_two')), load(all));
  const [came] = step(held, load(other), today);
  t.strictSame(came?.log.map((l) => l.pattern.source.replace(/.*patch '(\w+)'.*/, '$1')), ['klp_two', 'klp_all']);
  t.strictSame(reachableBodies(came?.next ?? held, other.alpha), ['original', 'klp_two']);
  const [gone] = step(rest(did(held, { kind: 'release', tid: 1 })), load(other), today);
  t.match(gone, { log: [], unlogged: [], clause: null });
  t.end();
});

void t.test('force', (t) => {
  const held = did(did(after(load(lib), load(two)), park(1, lib.alpha)), load(one));
  const frc = (state: State, op: Operation): string[] => step(state, op, today).map((o) => `${o.clause ?? ''} ${o.errno}`);
  t.strictSame(frc(held, force(two)), ['FRC-4 EINVAL']);
  t.strictSame(frc(held, force(one, '0')), ['FRC-4 OK']);
  t.strictSame(frc(held, force(one, 'x')), ['SYS-2 EINVAL']);
  t.strictSame(frc(held, force(one)), ['FRC-1 OK', 'FRC-1 OK'], 'pins nothing, or all');
  const [spares, pins] = step(held, force(one), today).map((o) => o.next);
  if (!spares || !pins) throw new Error('two ways');
  const rmmod = (state: State): string[] => frc(rest(did(rest(state), write(one, '0'))), { kind: 'unload', module: 'klp_one' });
  t.strictSame([rmmod(spares), rmmod(pins)], [['FRC-3 OK', 'FRC-3 EAGAIN'], ['FRC-3 EAGAIN']]);
  t.strictSame(reachableBodies(spares, lib.alpha, 1), ['klp_one'], 'the sleeper is switched');

  const replacing = did(did(did(after(load(lib), load(one)), park(1, lib.beta, 'klp_one')), load(all)), force(all));
  t.strictSame(holders(replacing), []);
  const left = rest(replacing);
  t.strictSame(left.patches.map((p) => p.description.name), ['klp_all']);
  t.equal(references(left, 'klp_one'), 1);
  t.strictSame(frc(left, { kind: 'unload', module: 'klp_one' }), ['FRC-2 EAGAIN']);
  t.end();
});

void t.test('callbacks', (t) => {
  const callbacks = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;
  const alpha = { name: 'klp_target', functions: [{ name: 'klp_target_alpha' }], callbacks };
  const far = { name: 'klp_other', functions: [{ name: 'klp_other_alpha' }], callbacks };
  const calls = livepatch('klp_calls', [{ name: 'vmlinux', functions: [], callbacks }, alpha, far]);
  const ran = (state: State): string[] => state.callbacks.map(({ text }) => text.replace('klp_calls ', '').replace('klp_', ''));
  const pre = ['vmlinux pre_patch', 'target pre_patch live'];
  const enabled = after(load(lib), load(calls));
  t.strictSame(ran(enabled), [...pre, 'vmlinux post_patch', 'target post_patch live']);
  const came = did({ ...enabled, callbacks: [] }, load(other));
  const gone = did(came, { kind: 'unload', module: 'klp_other' });
  t.strictSame(ran(gone), ['pre_patch coming', 'post_patch coming', 'pre_unpatch going', 'post_unpatch going'].map((c) => `other ${c}`));

  const held = did(did(after(load(lib)), park(1, lib.alpha)), load(calls));
  t.strictSame(ran(held), pre);
  const back = rest(did({ ...did(held, load(other)), callbacks: [] }, write(calls, '0')));
  t.strictSame(ran(back), ['vmlinux post_unpatch', 'target post_unpatch live', 'other post_unpatch live']);
  t.strictSame([...new Set(back.callbacks.map((c) => c.clause))], ['CBK-3']);

  const failing = livepatch('klp_calls', [{ name: 'vmlinux', functions: [], callbacks }, { ...alpha, failing: true }, far]);
  const [refused] = step(after(load(lib), load(other)), load(failing), today);
  t.match(refused, { errno: 'ENODEV', clause: 'CBK-5' });
  t.strictSame(refused && ran(refused.next), [...pre, 'vmlinux post_unpatch']);
  const [module] = step({ ...after(load(two), load(failing)), callbacks: [] }, load(lib), today);
  t.match(module, { errno: 'ENODEV', clause: 'CBK-5' });
  t.strictSame(module && ran(module.next), ['target pre_patch coming'], 'the other patch has no callbacks');

  const quiet = livepatch('klp_calls', [{ ...alpha, functions: [{ name: 'klp_target_quiet' }] }, { ...far, failing: true }]);
  const [untraced] = step(after(load(lib), load(other)), load(quiet), today);
  t.match(untraced, { errno: 'EINVAL', clause: 'FTR-1' }, 'what comes first stops the enable');
  t.strictSame(untraced && ran(untraced.next), ['target pre_patch live', 'target post_unpatch live']);
  const seen = (texts: string[]): unknown => predict(untraced?.next ?? pristine, { kind: 'callbacks', ran: texts }, today);
  t.match(seen(['klp_calls klp_target pre_patch live', 'klp_calls klp_target post_unpatch live']), [{ holds: true }, { clause: 'CBK-7', holds: true, documented: { holds: false } }]);
  t.match(seen(['klp_calls klp_target pre_patch live']), [{ holds: false }, { clause: 'CBK-7', holds: false, documented: { holds: true } }]);
  t.match(seen([]), [{ holds: false }, { holds: false, documented: { holds: false } }]);
  t.end();
});

void t.test('system states', (t) => {
  const patch = (name: string, version: number | undefined, replace?: true): LivepatchDescription =>
    livepatch(name, {}, { ...(version === undefined ? {} : { states: [{ id: 7, version }] }), ...(replace ? { replace } : {}) });
  const there = after(load(patch('klp_there', 2)));
  const ends = (p: LivepatchDescription): string => step(there, load(p), today).map((o) => `${o.clause ?? ''} ${o.errno}`).join();
  t.equal(ends(patch('klp_old', 1)), 'STA-1 EINVAL');
  t.equal(ends(patch('klp_same', 2)), 'STA-1 OK');
  t.equal(ends(patch('klp_none', undefined)), 'REG-8 OK');
  t.equal(ends(patch('klp_all', undefined, true)), 'STA-2 EINVAL');
  t.equal(ends(patch('klp_all', 3, true)), 'STA-2 OK');
  t.equal(ends(patch('klp_all', 1, true)), 'STA-1 EINVAL');
  t.end();
});

void t.test('what callbacks keep in system states goes from patch to patch', (t) => {
  const callbacks = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;
  const keeps = (name: string, ids: readonly number[], replace?: true): LivepatchDescription =>
    livepatch(name, [{ name: 'vmlinux', functions: [], callbacks }], { states: ids.map((id) => ({ id, version: 1 })), ...(replace ? { replace } : {}) });
  const [a, b, all] = [keeps('klp_a', [1]), keeps('klp_b', [2, 1]), keeps('klp_all', [1, 2], true)];
  const last = (state: State): string | undefined => state.callbacks.at(-1)?.text.replace(/ vmlinux /, ' ');
  t.equal(last(after(load(a))), 'klp_a post_patch state 1: klp_a');
  t.equal(last(after(load(a), load(b))), 'klp_b post_patch state 2: klp_b state 1: klp_a+klp_b');
  t.equal(last(after(load(a), load(b), write(b, '0'))), 'klp_b post_unpatch state 2: nothing state 1: klp_a', 'given back');
  t.equal(last(after(load(b), load(a), load(all), write(all, '0'))), 'klp_all post_unpatch state 1: nothing state 2: nothing', 'nobody is there any more');
  t.equal(last(after(load(b), load(a), load(all))), 'klp_all post_patch state 1: klp_b+klp_a+klp_all state 2: klp_b+klp_all', 'of the newest that has it');
  const held = did(after(load(lib), load(b), park(1, lib.alpha)), load({ ...all, objects: [...(all.objects ?? []), ...(one.objects ?? [])] }));
  t.equal(last(rest(did(held, write(all, '0')))), 'klp_all post_unpatch state 1: klp_b state 2: klp_b', 'a reversal finds who is there');
  t.end();
});

// ---- invariants over random operations -------------------------------------------------------------------------

const patches = [one, two, all, every, bad];
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.constantFrom<Operation>(load(lib), load(other), ...patches.map(load)),
  fc.constantFrom('klp_target', 'klp_other', ...patches.map((p) => p.name)).map((module): Operation => ({ kind: 'unload', module })),
  fc.tuple(fc.constantFrom(...patches), fc.constantFrom('0', '1')).map(([p, text]) => write(p, text)),
  fc.constantFrom(...patches).map((p) => force(p)),
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom(lib.alpha, lib.beta), fc.constantFrom('original', ...patches.map((p) => p.name)))
    .map(([tid, f, body]) => park(tid, f, body)),
  fc.integer({ min: 1, max: 3 }).map((tid): Operation => ({ kind: 'release', tid })),
);
const steps = fc.array(fc.record({ op: operation, settle: fc.boolean() }), { maxLength: 30 });

/** Walks one path through the states: an operation's first outcome, then as far as the kernel gets by itself, or not. */
function* walk(list: readonly { op: Operation; settle: boolean }[]): Generator<State> {
  let state = after(load(lib));
  for (const { op, settle } of list) {
    if (op.kind === 'load' && state.modules.some((m) => m.name === op.module.name)) continue;
    if (op.kind === 'park' && state.tasks.some((task) => task.tid === op.tid)) continue;
    if (op.kind === 'unload' && state.tasks.some(({ frames }) => frames.some((f) => f.function.object === op.module || f.body === op.module))) continue;
    const [outcome] = step(state, op, today);
    if (!outcome) continue;
    state = settle ? rest(outcome.next) : outcome.next;
    yield state;
  }
}

/** What must hold of a state; the text of what does not. */
function broken(state: State): string | undefined {
  const { transition } = state;
  for (const p of state.patches) {
    const { name } = p.description;
    if (references(state, name) < 1) return `${name} is in the kernel without a reference`;
    if (p.nops.length > 0 && transition?.patch !== name) return `${name} has nops at rest`;
    if (state.replaced.includes(name) && p.stacked !== null) return `${name} was replaced and is on a stack`;
  }
  if (Object.values(state.references).some((count) => count < 0)) return 'negative references';
  if (transition) return undefined;
  for (const f of [lib.alpha, lib.beta, lib.twin2, other.alpha]) {
    const [top] = stackOf(state, f);
    const [body, ...more] = reachableBodies(state, f);
    if (more.length > 0 || body !== (top?.description.name ?? 'original')) return 'a call does not reach the newest';
  }
  const enabled = state.patches.filter((p) => p.enabled);
  const newest = enabled.findLastIndex((p) => p.description.replace);
  return newest > 0 ? `${enabled[0]?.description.name ?? ''} is enabled below one that replaces` : undefined;
}

void t.test('invariants with patches that replace and with force', (t) => {
  fc.assert(
    fc.property(steps, (list) => {
      for (const state of walk(list)) {
        if (state.transition?.forced && rest(state).transition) throw new Error('forced, and it does not come to rest');
        for (const s of closure(state, today)) {
          const why = broken(s);
          if (why) throw new Error(`${why}: ${describeState(s)}`);
        }
        if (rest({ ...state, tasks: [] }).transition) throw new Error('nobody holds it, and it does not come to rest');
      }
    }),
    { numRuns: 1000 },
  );
  t.pass('held over 1000 random sequences');
  t.end();
});

void t.test('a replace turned round twice is as before, turned round once and ended never was', (t) => {
  fc.assert(
    fc.property(steps, (list) => {
      let quiet = pristine;
      for (const state of walk(list)) {
        const name = state.transition?.patch;
        const patch = name === undefined ? undefined : findPatch(state, name);
        if (!patch) quiet = state;
        if (state.transition?.phase !== 'running' || state.transition.target !== 1 || !patch) continue;
        // What force has pinned stays so.
        if (state.transition.forced) return;
        const once = did(state, write(patch.description, '0'));
        const twice = did(once, write(patch.description, '1'));
        if (JSON.stringify(twice.patches) !== JSON.stringify(state.patches)) throw new Error('patches differ');
        const never = rest({ ...once, tasks: [] });
        const left = (s: State): unknown => rest(s).patches.filter((p) => p !== patch && p.description.name !== name);
        if (JSON.stringify(left(never)) !== JSON.stringify(left({ ...quiet, tasks: [] }))) throw new Error('the older ones differ');
        return;
      }
    }),
    { numRuns: 1000 },
  );
  t.pass('held over 1000 random sequences');
  t.end();
});
