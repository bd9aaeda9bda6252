// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { gateOf, livepatch, target } from '../../harness/model/description.js';
import { type Generation, factsLike, generationNames } from '../../harness/model/generations.js';
import { loggedReasons, reasonOf } from '../../harness/model/observations/reasons.js';
import { predict } from '../../harness/model/observations/index.js';
import { type Operation, step } from '../../harness/model/operations/index.js';
import { depths, traceOf } from '../../harness/model/reliability.js';
import { type Facts, type State, pristine } from '../../harness/model/state.js';
import { type Stay, holders, unseen } from '../../harness/model/tasks.js';

/* What the stack check makes of stacks, and what is logged of it. */

const lib = target('klp_target');
const alpha = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

function after(facts: Facts, ...ops: readonly Operation[]): State {
  return ops.reduce((state, op) => {
    const [outcome] = step(state, op, facts);
    if (!outcome) throw new Error(`the model does not know how ${op.kind} ends`);
    return outcome.next;
  }, pristine);
}

const load = (module: typeof lib | typeof alpha): Operation => ({ kind: 'load', module });
const park = (tid: number, f = lib.alpha, depth = 0, activity: Stay = 'uninterruptible'): Operation =>
  ({ kind: 'park', tid, by: 'user', activity, function: f, body: 'original', depth });
const kretprobe: Operation = { kind: 'probe', function: gateOf(lib), place: 'return', postHandler: false };
const graph: Operation = { kind: 'trace', tracer: 'function_graph', function: gateOf(lib) };

void t.test('a kretprobe below a function hides it, makes the stack unreliable, or does nothing', (t) => {
  const expected: Readonly<Record<Generation, readonly string[]>> = {
    '4.14': [],
    '5.10': ['1 unreliable', '2 unreliable'],
    '6.1': ['1 frame'],
    '6.12': ['1 frame'],
    '7.3': ['1 frame'],
    '7.3-arm64': ['1 frame'],
  };
  for (const name of generationNames) {
    const facts = factsLike(name);
    const state = after(facts, load(lib), kretprobe, park(1), park(2, lib.beta), load(alpha));
    t.strictSame(holders(state).map((h) => `${h.task.tid} ${h.why}`), expected[name], name);
    t.strictSame(unseen(state).map((u) => u.task.tid), name === '4.14' ? [1] : [], name);
    const traced = after(facts, load(lib), graph, park(1), park(2, lib.beta), load(alpha));
    t.strictSame(holders(traced).map((h) => `${h.task.tid} ${h.why}`), ['1 frame'], `${name}, with the graph tracer`);
  }
  t.end();
});

void t.test('a stack that is too deep holds every transition but one that turns round', (t) => {
  const facts = factsLike('7.3');
  const state = after(facts, load(lib), park(1, lib.beta, 120), park(2, lib.beta, 60), load(alpha));
  t.match(holders(state), [{ task: { tid: 1 }, why: 'unreliable' }]);
  t.equal(holders(state).length, 1);
  t.strictSame(step(pristine, park(1, lib.beta, 90), facts), [], 'where the kernel decides nothing is known');
  t.strictSame(step(state, park(3, lib.beta, 120), facts), [], 'nor which side a newcomer is on');
  const [turned] = step(state, { kind: 'write-enabled', patch: 'klp_alpha', text: '0' }, facts);
  t.strictSame(turned && holders(turned.next), []);
  const [back] = turned ? step(turned.next, { kind: 'write-enabled', patch: 'klp_alpha', text: '1' }, facts) : [];
  t.match(back && holders(back.next), [{ task: { tid: 1 }, why: 'unreliable' }], 'and holds it again when it turns back');
  t.end();
});

void t.test('only depth, a lost kretprobe and, without ORC, an exception make a stack unreliable', (t) => {
  const trampoline = fc.constantFrom('none' as const, 'graph tracer' as const, 'kretprobe' as const);
  fc.assert(
    fc.property(fc.constantFrom(...generationNames), fc.nat(150), trampoline, fc.boolean(), (name, depth, how, exception) => {
      const { reliable, hidden } = traceOf({ depth, trampoline: how, exception }, factsLike(name));
      t.equal(hidden, name === '4.14' && how === 'kretprobe');
      t.equal(reliable, depth < depths.tooDeep && !(name === '5.10' && how === 'kretprobe') && !(exception && (name === '4.14' || name === '7.3-arm64')));
    }),
  );
  t.end();
});

void t.test('the lines of each generation', (t) => {
  const said = (facts: Facts): readonly string[] => {
    const state = after(facts, load(lib), park(1), park(2, lib.beta, 120), park(3, lib.alpha, 0, 'running'), load(alpha));
    return holders(state).map((h) => reasonOf(h, facts));
  };
  const running = 'klp_try_switch_task: is running';
  const [asleep, unreliable] = ['is sleeping on function klp_target_alpha', 'has an unreliable stack'];
  for (const name of ['4.14', '5.10'] as const) {
    t.strictSame(said(factsLike(name)), [`klp_check_stack: ${asleep}`, `klp_check_stack: ${unreliable}`, running], name);
  }
  for (const name of ['6.1', '7.3', '7.3-arm64'] as const) {
    t.strictSame(said(factsLike(name)), [`klp_try_switch_task: ${asleep}`, `klp_try_switch_task: ${unreliable}`, running], name);
  }
  t.end();
});

void t.test('what the log says of tasks', (t) => {
  const lines = [
    'livepatch: klp_try_switch_task: klp-sleeper:123 is sleeping on function klp_target_alpha',
    'livepatch: klp_check_stack: kworker/u4:2:45 has an unreliable stack\n',
    'livepatch: klp_try_switch_task: a: b:7 is running',
    "livepatch: 'klp_alpha': starting patching transition",
    'klp_try_switch_task: klp-sleeper:9 is running',
  ];
  t.strictSame(loggedReasons(lines), [
    { tid: 123, text: 'klp_try_switch_task: is sleeping on function klp_target_alpha' },
    { tid: 45, text: 'klp_check_stack: has an unreliable stack' },
    { tid: 7, text: 'klp_try_switch_task: is running' },
  ]);

  const facts = factsLike('6.1');
  const state = after(facts, load(lib), park(1), load(alpha));
  const clauses = (...of: readonly string[]): readonly string[] =>
    predict(state, { kind: 'reasons', lines: of.map((text) => `livepatch: klp_try_switch_task: x:${text}`), gaps: [1000] }, facts)
      .flatMap((p) => (p.holds ? [] : [`${p.what}: ${p.seen}`]));
  const right = '1 is sleeping on function klp_target_alpha';
  t.strictSame(clauses(right, right, '0 is running'), [], 'idle tasks have no thread');
  t.match(clauses(), ['why thread 1 is not switched: not said']);
  t.match(clauses(right, '1 is running'), [/^why thread 1 is not switched: /]);
  t.match(clauses('1 is sleeping on function klp_target_beta'), [/^why thread 1/]);
  t.match(clauses(right, '2 is running'), ['tasks that hold nothing, in the kernel log: 2 klp_try_switch_task: is running']);

  const often = (...gaps: readonly number[]): readonly string[] =>
    predict(state, { kind: 'reasons', lines: [`livepatch: klp_try_switch_task: x:${right}`], gaps }, facts).flatMap((p) => (p.holds ? [] : [`${p.clause} ${p.what}: ${p.seen}`]));
  t.strictSame(often(750, 1900), []);
  t.strictSame(often(), ['TRN-7 time between two attempts: there is no second one']);
  t.strictSame(often(1000, 30_000), ['TRN-7 time between two attempts: 1.0 s, 30.0 s']);
  t.strictSame(often(4), ['TRN-7 time between two attempts: 0.0 s']);

  const runs = after(facts, load(lib), park(1, lib.alpha, 0, 'running'), load(alpha));
  const ofRunning = (...of: readonly string[]): boolean =>
    predict(runs, { kind: 'reasons', lines: of.map((text) => `livepatch: klp_try_switch_task: x:${text}`), gaps: [1000] }, facts).every((p) => p.holds);
  t.ok(ofRunning(right, '1 is running'), 'it was off its CPU once');

  const preempted = (on: Facts, ...of: readonly string[]): boolean => {
    const there = after(on, load(lib), park(1, lib.alpha, 0, 'preempted'), load(alpha));
    return predict(there, { kind: 'reasons', lines: of.map((text) => `livepatch: klp_try_switch_task: x:${text}`), gaps: [1000] }, on).every((p) => p.holds);
  };
  const arm = factsLike('7.3-arm64');
  t.ok(preempted(facts, '1 is running', right), 'it was on its CPU once');
  t.notOk(preempted(facts, '1 is running', '1 is running'), 'not always: nobody saw its stack');
  t.notOk(preempted(facts, right, '1 has an unreliable stack'), 'ORC goes on behind an interrupt');
  t.ok(preempted(arm, '1 has an unreliable stack', '1 is running'), 'frame pointers do not');
  t.notOk(preempted(arm, right), 'and the stack check says so');
  t.notOk(ofRunning(right), 'nobody has seen it run');
  t.end();
});
