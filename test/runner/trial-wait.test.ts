// SPDX-License-Identifier: MIT
import t from 'tap';
import type { Guest } from '../../harness/guest/guest.js';
import { awaitTransition } from '../../harness/runner/trial-wait.js';

/* The real one stands in test/e2e/try.test.ts; here is the host that has no time for its guest. */

const span = { begin: 1n, end: 2n };
const good = (value: unknown): object => ({ ok: true, errno: 0, name: 'OK', value, span });

/** A guest with klp_p in transition, and one thread that has not switched. */
function guest(came: boolean, state: string, frames: readonly string[], transition = '1\n'): Guest {
  const tree = ['klp_p', 'klp_p/vmlinux', 'klp_p/vmlinux/patched_one,1'].map((name) => ({ name, type: 'directory' }));
  const stack = { errno: 0, text: frames.map((frame) => `[<0>] ${frame}\n`).join(''), span };
  const thread = { pid: 9, tid: 9, comm: 'sleeper', kernel: false, state, patchState: 0, errno: 0, span, stack, wchan: undefined };
  const only = {
    awaitContent: () => Promise.resolve(good({ came, readings: 1, seen: span, content: Buffer.from(transition) })),
    tree: () => Promise.resolve(good(tree)),
    readText: (path: string) => Promise.resolve(good(path.endsWith('transition') ? transition : '1\n')),
    sweep: () => Promise.resolve(good([thread])),
    log: () => Promise.resolve({ next: 0n, records: [] }),
  };
  return only as unknown as Guest;
}

/** Whatever is asked, the guest has waited for all of the time and more. */
const starved = (): (() => Promise<number>) => {
  const begin = Date.now();
  return () => Promise.resolve((Date.now() - begin) * 2);
};
const idle = (): Promise<number> => Promise.resolve(0);
const tooSlow = { message: /this host is too slow to tell/ };

void t.test('a transition that ends, and one whose patch is gone', async (t) => {
  t.equal(await awaitTransition(guest(true, 'S', []), 'klp_p', 1, idle), undefined);
  const gone = { ...guest(false, 'S', []), awaitContent: () => Promise.resolve({ ok: false, errno: 2, name: 'ENOENT', value: undefined, span }) };
  t.equal(await awaitTransition(gone as unknown as Guest, 'klp_p', 1, idle), undefined);
});

void t.test('one that does not: who holds it', async (t) => {
  t.match(await awaitTransition(guest(false, 'S', ['other+0x1/0x2']), 'klp_p', 1, idle), { holding: [{ comm: 'sleeper', at: undefined }] });
  t.equal(await awaitTransition(guest(false, 'S', [], '0\n'), 'klp_p', 1, idle), undefined, 'it ended as the time was up');
});

void t.test('on a host that is too slow only who sleeps in what is patched is known to hold it', async (t) => {
  const held = await awaitTransition(guest(false, 'D', ['patched_one+0x1/0x2']), 'klp_p', 1, starved());
  t.match(held, { holding: [{ at: 'patched_one+0x1/0x2' }] });
  await t.rejects(awaitTransition(guest(false, 'D', ['other+0x1/0x2']), 'klp_p', 1, starved()), tooSlow);
  await t.rejects(awaitTransition(guest(false, 'R', ['patched_one+0x1/0x2']), 'klp_p', 1, starved()), tooSlow, 'it may be on its way out');
  t.equal(await awaitTransition(guest(false, 'S', [], '0\n'), 'klp_p', 1, starved()), undefined);
});
