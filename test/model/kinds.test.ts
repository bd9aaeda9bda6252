// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { gateOf, livepatch, target } from '../../harness/model/description.js';
import { factsLike, generationNames } from '../../harness/model/generations.js';
import { type Observation, learn, predict } from '../../harness/model/observations/index.js';
import { type Operation, step } from '../../harness/model/operations/index.js';
import { settled } from '../../harness/model/progress.js';
import { type Facts, type State, pristine } from '../../harness/model/state.js';
import { bodiesWith, possibleStates, reachableBodies } from '../../harness/model/tasks.js';

const lib = target('klp_target');
const pair = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] });
const facts = factsLike('7.3');

function after(of: Facts, ...ops: readonly Operation[]): State {
  return ops.reduce((state, op) => {
    const [outcome] = step(state, op, of);
    if (outcome?.errno !== 'OK') throw new Error(`${op.kind} is not done`);
    return outcome.next;
  }, pristine);
}

const holder: Operation = { kind: 'park', tid: 7, by: 'kernel', activity: 'uninterruptible', function: lib.alpha, body: 'original' };
const held = (of: Facts): State => after(of, { kind: 'load', module: lib }, holder, { kind: 'load', module: pair });

function verdict(state: State, seen: Observation, of = facts): readonly string[] {
  return predict(state, seen, of).map((p) => `${p.clause} ${p.holds ? 'holds' : 'fails'}`);
}

void t.test('a child is born with the state and the flag of its parent', (t) => {
  const birth = (tid: number, parent: readonly [number, boolean], child = parent): Observation => {
    const of = ([patchState, pending]: readonly [number, boolean]) => ({ patchState, pending });
    return { kind: 'birth', tid, parent: of(parent), child: of(child) };
  };
  const state = held(facts);
  t.strictSame(verdict(state, birth(7, [0, true])), ['TRN-8 holds']);
  t.strictSame(verdict(state, birth(7, [0, true], [1, false])), ['TRN-8 fails'], 'the child has switched');
  t.strictSame(verdict(state, birth(7, [0, true], [0, false])), ['TRN-8 fails'], 'the child has no flag');
  t.strictSame(verdict(state, birth(7, [1, false])), ['TRN-8 fails'], 'who is held has not switched');
  t.strictSame(verdict(state, birth(8, [1, false])), ['TRN-8 holds'], 'of another it is not known');
  t.strictSame(verdict(state, birth(8, [0, true])), ['TRN-8 holds']);
  t.strictSame(verdict(state, birth(8, [-1, false])), ['TRN-8 fails']);
  t.strictSame(verdict(pristine, birth(8, [-1, false])), ['TRN-8 holds']);
  t.strictSame(verdict(pristine, birth(8, [0, false])), ['TRN-8 fails']);
  t.end();
});

void t.test('an interrupt calls what the state of the interrupted task says', (t) => {
  const over = (tid: number, patchState: number, body: string): Observation => ({ kind: 'interrupt', over: tid, patchState, function: lib.beta, body });
  const seen: Observation = { kind: 'threads', settled: true, threads: [{ tid: 8, comm: 'x', kernel: false, patchState: 1 }] };
  const state = learn(held(facts), seen);
  t.strictSame(verdict(state, over(7, 0, 'original')), ['TRN-9 holds', 'TRN-9 holds']);
  t.strictSame(verdict(state, over(7, 0, 'klp_pair')), ['TRN-9 holds', 'TRN-9 fails']);
  t.strictSame(verdict(state, over(8, 1, 'klp_pair')), ['TRN-9 holds', 'TRN-9 holds']);
  t.strictSame(verdict(state, over(8, 0, 'original')), ['TRN-9 fails', 'TRN-9 holds'], 'it had switched');
  t.strictSame(verdict(state, over(9, 0, 'original')), ['TRN-9 holds', 'TRN-9 holds'], 'nobody knows of it');
  t.strictSame(verdict(state, over(9, 1, 'original')), ['TRN-9 holds', 'TRN-9 fails']);
  t.end();
});

void t.test('idle tasks have switched once they were waited for, and are at rest afterwards', (t) => {
  const idle = (settledThen: boolean, ...states: readonly number[]): Observation => ({
    kind: 'idle-tasks',
    settled: settledThen,
    cpus: states.map((patchState, cpu) => ({ cpu, patchState })),
  });
  const state = held(facts);
  t.strictSame(verdict(state, idle(true, 1, 1)), ['TRN-12 holds', 'TRN-12 holds']);
  t.strictSame(verdict(state, idle(true, 1, 0)), ['TRN-12 holds', 'TRN-12 fails']);
  t.strictSame(verdict(state, idle(false, 1, 0)), ['TRN-12 holds', 'TRN-12 holds']);
  t.strictSame(verdict(state, idle(false, -1)), ['TRN-12 fails']);
  t.strictSame(verdict(pristine, idle(true, -1, 1)), ['TRN-12 holds', 'TRN-12 fails']);
  t.end();
});

void t.test('zombies, offline CPUs and a fork storm do not keep a transition from its end, and are no excuse while it is held', (t) => {
  const beside: readonly Operation[] = [
    { kind: 'die', tid: 21 },
    { kind: 'switch-cpu', cpu: 1, online: false },
    { kind: 'fork-storm', tid: 22 },
  ];
  const end = (ended: boolean): Observation => ({ kind: 'transition-end', patch: pair.name, ended });
  const free = after(facts, { kind: 'load', module: lib }, ...beside, { kind: 'load', module: pair });
  t.strictSame(verdict(free, end(false)), ['TRN-7 fails', 'TRN-14 fails', 'TRN-16 fails', 'TRN-13 fails']);
  t.strictSame(verdict(settled(free, facts), end(true)), ['TRN-5 holds', 'TRN-14 holds', 'TRN-16 holds', 'TRN-13 holds']);
  const heldBeside = after(facts, { kind: 'load', module: lib }, holder, ...beside, { kind: 'load', module: pair });
  t.strictSame(verdict(heldBeside, end(false)), ['TRN-7 holds']);
  const back = after(facts, ...beside, { kind: 'switch-cpu', cpu: 1, online: true }, { kind: 'release', tid: 21 }, { kind: 'release', tid: 22 });
  t.strictSame({ tasks: back.tasks, offline: back.offline }, { tasks: [], offline: [] });
  t.end();
});

void t.test('only 4.14 may warn at the end of a transition under a fork storm', (t) => {
  const complete: Observation = { kind: 'warnings', warnings: ['WARNING: CPU: 0 PID: 5 at kernel/livepatch/transition.c:121 klp_complete_transition+0x1/0x2'] };
  const other: Observation = { kind: 'warnings', warnings: ['WARNING: CPU: 0 PID: 5 at kernel/fork.c:1 x+0x1/0x2'] };
  for (const name of generationNames) {
    const of = factsLike(name);
    t.strictSame(verdict(pristine, { kind: 'warnings', warnings: [] }, of), ['TRN-16 holds'], name);
    t.strictSame(verdict(pristine, complete, of), [name === '4.14' ? 'TRN-16 holds' : 'TRN-16 fails'], name);
    t.strictSame(verdict(pristine, other, of), ['TRN-16 fails'], name);
  }
  t.end();
});

void t.test('patch_state is for its owner alone', (t) => {
  const file = (mode: number | null): Observation => ({ kind: 'state-files', files: [{ path: '/proc/1/patch_state', mode }] });
  t.strictSame(verdict(pristine, file(0o400)), ['TRN-3 holds']);
  for (const mode of [0o444, 0o600, null]) t.strictSame(verdict(pristine, file(mode)), ['TRN-3 fails']);
  t.end();
});

void t.test('a caller of a certain state reaches one of the bodies that it may reach if its state is not known', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...generationNames), fc.constantFrom(lib.alpha, lib.beta), fc.integer({ min: 6, max: 9 }), fc.boolean(), (name, f, tid, rest) => {
      const of = factsLike(name);
      const state = rest ? after(of, { kind: 'load', module: lib }) : held(of);
      const known = possibleStates(state, tid).flatMap((patchState) => bodiesWith(state, f, patchState));
      return new Set(known).size === reachableBodies(state, f, tid).length && known.every((body) => reachableBodies(state, f, tid).includes(body));
    }),
  );
  t.end();
});
