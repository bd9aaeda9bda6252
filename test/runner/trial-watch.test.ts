// SPDX-License-Identifier: MIT
import t from 'tap';
import type { Change, Timeline, Track } from '../../harness/guest/guest.js';
import { transitionSeen } from '../../harness/runner/trial-watch.js';

/* The real one stands in test/guest/transition.test.ts and test/e2e/try.test.ts. */

const ms = (n: number): bigint => BigInt(n) * 1_000_000n;

/** A change seen by a reading that lasted 2 ms, and ended then. */
function change(at: number, text: string): Change {
  const value = text === '' ? { errno: 3, name: 'ESRCH', text } : { errno: 0, name: 'OK', text };
  return { value, before: undefined, span: { begin: ms(at - 2), end: ms(at) }, lost: 0 };
}

function track(source: Track['source'], ...changes: readonly Change[]): Track {
  return { source, changes, readings: 9, longestGap: ms(1), last: undefined, held: undefined, dropped: 0 };
}

function timeline(file: readonly Change[], threads: readonly Track[]): Pick<Timeline, 'tracks' | 'sweeps'> {
  return {
    tracks: [track({ kind: 'file', path: 'transition' }, ...file)],
    sweeps: { spans: [], threads, longestGap: ms(31), dropped: 0 },
  };
}

const begun = { patch: 'klp_p', since: ms(100), what: 'insmod klp_p' } as const;
const names = new Map([[1, 'init']]);
const thread = (tid: number, ...changes: readonly Change[]): Track => track({ kind: 'thread', tid }, ...changes);

void t.test('when it ended, and when each thread was first seen on the new side', (t) => {
  const threads = [
    thread(1, change(90, '-1'), change(110, '0'), change(150, '1'), change(200, '-1')),
    thread(2, change(90, '-1'), change(120, '1'), change(200, '-1')),
    thread(3, change(90, '-1'), change(110, '0')),
    thread(4, change(90, '-1'), change(110, '0'), change(140, '')),
  ];
  const seen = transitionSeen(timeline([change(90, ''), change(108, '1'), change(180, '0')], threads), names, { ...begun, to: 'patched' });
  t.strictSame(seen, {
    what: 'insmod klp_p',
    patch: 'klp_p',
    to: 'patched',
    ended: 80,
    threads: [
      { pid: 1, tid: 1, comm: 'init', switched: 50 },
      { pid: 3, tid: 3, comm: '?', switched: null },
      { pid: 4, tid: 4, comm: '?', switched: null },
    ],
    gap: 31,
  }, 'who was never seen on the old side is not told of; who did not switch, or was gone first, is');
  t.end();
});

void t.test('a way back; an end that was not seen', (t) => {
  const back = transitionSeen(timeline([change(90, '0'), change(105, '1'), change(130, '')], [thread(1, change(90, '-1'), change(110, '1'), change(125, '0'))]), names, {
    ...begun,
    to: 'unpatched',
  });
  t.match(back, { ended: 30, threads: [{ tid: 1, switched: 25 }] }, 'the file goes with the patch');
  t.equal(transitionSeen(timeline([change(90, '0')], []), names, { ...begun, to: 'patched' }).ended, null, 'it began and ended between two readings');
  t.equal(transitionSeen(timeline([change(90, '0'), change(110, '1')], []), names, { ...begun, to: 'patched' }).ended, null, 'it goes on');
  t.end();
});
