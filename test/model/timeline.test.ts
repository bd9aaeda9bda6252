// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { livepatch, target } from '../../harness/model/description.js';
import { predict } from '../../harness/model/observations/index.js';
import type { Phase, SeenTrack, SeenValue, Stretch } from '../../harness/model/observations/timeline.js';
import { factsLike } from '../../harness/model/generations.js';
import { type Operation, step } from '../../harness/model/operations/index.js';
import { closure } from '../../harness/model/progress.js';
import { type State, pristine } from '../../harness/model/state.js';

/*
 * Timelines of a held enable that is turned round twice and then let go. Each operation takes from 100n to 100n + 10.
 */

const facts = factsLike('7.3');
const lib = target('klp_target');
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] });
const inOld = 7;
const inNew = 8;
const park = (tid: number, body: string): Operation =>
  ({ kind: 'park', tid, by: 'user', activity: 'uninterruptible', function: lib.alpha, body });
const write = (text: string): Operation => ({ kind: 'write-enabled', patch: 'klp_alpha', text });
const operations: readonly Operation[] = [
  { kind: 'load', module: lib }, // from 100 on
  park(inOld, 'original'), // 200
  { kind: 'load', module: patch }, // 300
  park(inNew, 'klp_alpha'), // 400
  write('0'), // 500
  write('1'), // 600
  { kind: 'release', tid: inOld }, // 700
];
const length = 100 * (operations.length + 1);

function phases(): readonly Phase[] {
  let states: readonly State[] = [pristine];
  const all: Phase[] = [];
  const at = (n: number): Stretch => (n === 0 ? [0, 0] : n > operations.length ? [length, length] : [100 * n, 100 * n + 10]);
  for (let n = 0; n <= operations.length; n++) {
    const op = operations[n - 1];
    if (op) states = states.flatMap((s) => step(s, op, facts)).filter((o) => o.errno === 'OK').map((o) => o.next).flatMap((s) => closure(s, facts));
    all.push({ begun: at(n), ended: at(n + 1), what: op?.kind ?? 'begin', begins: op?.kind === 'load' || op?.kind === 'write-enabled', states });
  }
  return all;
}

const stretches = phases();

/** What one thread reads: each value from a time on, looked at every unit of it. */
function track(tid: number, ...values: readonly (readonly [from: number, value: number | string])[]): SeenTrack {
  return {
    source: { tid },
    gap: 2,
    values: values.map(([from, value], i): SeenValue => {
      const until = values[i + 1]?.[0] ?? length;
      return { value: String(value), before: i === 0 ? null : [from - 1, from - 1], first: [from, from], last: [until - 1, until - 1] };
    }),
  };
}

function judged(...tracks: readonly SeenTrack[]): readonly string[] {
  const predictions = predict(stretches.at(-1)?.states[0] ?? pristine, { kind: 'timeline', phases: stretches, tracks }, facts);
  return predictions.filter((p) => !p.holds).map((p) => p.clause);
}

void t.test('threads that do as they may', (t) => {
  t.strictSame(judged(track(inOld, [0, -1], [305, 0], [720, 1], [740, -1])), [], 'who is held');
  t.strictSame(judged(track(1, [0, -1], [302, 0], [303, 1], [760, -1])), [], 'switches at once and stays');
  t.strictSame(judged(track(1, [0, -1], [302, 0], [650, 1], [760, -1])), [], 'has not switched before it was turned twice');
  t.strictSame(judged(track(1, [0, -1], [302, 1], [520, 0], [605, 1], [760, -1])), [], 'to and fro');
  t.strictSame(judged(track(50, [450, 1], [510, 'ESRCH'])), [], 'comes and goes');
  t.end();
});

void t.test('threads that do not', (t) => {
  t.strictSame(judged(track(inOld, [0, -1], [305, 0], [450, 1], [760, -1])), ['TRN-1'], 'who is held switches');
  t.strictSame(judged(track(inNew, [0, -1], [302, 1], [550, 0], [605, 1], [760, -1])), ['TRN-6'], 'so it does after a reversal');
  t.strictSame(judged(track(1, [0, -1], [302, 1], [440, 0], [470, 1], [760, -1])), ['TRN-1'], 'there and back without a reversal');
  t.strictSame(judged(track(1, [0, -1], [302, 0], [550, 1], [760, -1])), ['TRN-6'], 'on, as if nobody had turned it round');
  t.strictSame(judged(track(1, [0, -1], [250, 0], [302, 1], [760, -1])), ['TRN-2'], 'not at rest before it begins');
  t.strictSame(judged(track(1, [0, -1], [302, 1], [450, -1], [760, -1])), ['TRN-1'], 'at rest in the middle');
  t.strictSame(judged(track(1, [0, -1], [302, 0], [303, 1], [740, -1], [745, 0])), ['TRN-6'], 'in transition again when all is over');
  t.strictSame(judged(track(50, [450, -1])), ['TRN-1'], 'is born at rest, and stays so');
  t.end();
});

void t.test('a thread may read the old state up to when it has read the new one, whenever that is', (t) => {
  const time = fc.integer({ min: 611, max: 698 });
  fc.assert(
    fc.property(time, time, (a, b) => {
      const [first, second] = [Math.min(a, b), Math.max(a, b) + 1];
      const going = [[0, -1], [302, 0], [first, 1]] as const;
      return judged(track(1, ...going)).length === 0 && judged(track(1, ...going, [second, 0])).length > 0;
    }),
  );
  t.pass('held');
  t.end();
});

void t.test('files between two operations', (t) => {
  let gap = 2;
  const file = (name: 'enabled' | 'transition', ...values: readonly (readonly [number, string])[]): SeenTrack => ({
    source: { patch: 'klp_alpha', file: name },
    values: track(0, ...values).values,
    gap,
  });
  t.strictSame(judged(file('enabled', [0, 'ENOENT'], [305, '0'], [308, '1'], [502, '0'], [607, '1'])), []);
  t.strictSame(judged(file('enabled', [0, 'ENOENT'], [305, '1'], [550, '0'], [607, '1'])), ['ENA-3'], 'late');
  t.strictSame(judged(file('transition', [0, 'ENOENT'], [305, '1'], [790, '0'])), []);
  t.strictSame(judged(file('transition', [0, 'ENOENT'], [305, '1'], [650, '0'], [730, '0'])), ['ENA-2'], 'over while it is held');
  t.strictSame(judged(file('transition', [0, 'ENOENT'], [305, '1'], [740, '0'], [760, '1'])), ['ENA-2'], 'begins by itself');
  gap = 200;
  t.strictSame(judged(file('enabled', [0, 'ENOENT'], [305, '1'])), [], 'it was 0 for less time than lay between two readings');
  t.end();
});
