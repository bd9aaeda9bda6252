// SPDX-License-Identifier: MIT
import t from 'tap';
import type { Guest, Outcome, Thread } from '../../harness/guest/guest.js';
import { holdText, holdingThreads, whoHolds } from '../../harness/guest/holders.js';

const span = { begin: 1_000_000_000n, end: 12_500_000_000n };
const good = <T>(value: T): Outcome<T> => ({ ok: true, errno: 0, name: 'OK', value, span });

function thread(tid: number, state: string, patchState: number | undefined, stack: readonly string[], more: Partial<Thread> = {}): Thread {
  const text = stack.map((frame) => `[<0>] ${frame}\n`).join('');
  const seen = { errno: 0, text, span };
  return { pid: tid, tid, comm: `task-${tid}`, kernel: false, state, patchState, errno: 0, span, stack: seen, wchan: undefined, ...more };
}

const sleeping = ['sleep_here+0x10/0x80 [klp_target]', 'klp_target_alpha+0x1b/0x30 [klp_target]', 'ksys_write+0x6c/0xf0'];
const threads = [
  thread(1, 'S', 1, ['do_wait+0x1/0x2']),
  thread(50, 'D', 0, sleeping),
  thread(51, 'S', 0, ['pipe_read+0x1/0x2'], { pid: 50 }),
  thread(60, 'S', 0, ['kthread_worker+0x1/0x2', 'replacement+0x3/0x9 [klp_alpha]'], { kernel: true, comm: 'klp-kernel' }),
  thread(70, 'R', 0, []),
  thread(80, 'Z', undefined, []),
];

function guest(files: Readonly<Record<string, string>>, log: readonly string[]): Guest {
  const names = ['klp_alpha', 'klp_alpha/klp_target', 'klp_alpha/klp_target/klp_target_alpha,1', 'klp_beta', 'klp_beta/vmlinux'];
  const tree = names.map((name) => ({ name, type: 'directory' as const, mode: 0o755, size: 0n }));
  const only: Partial<Guest> = {
    tree: () => Promise.resolve(good(tree) as never),
    readText: (path) => {
      const value = files[path.replace('/sys/kernel/livepatch/', '')];
      return Promise.resolve(value === undefined ? { ok: false, errno: 2, name: 'ENOENT', value: undefined, span } : good(value));
    },
    sweep: () => Promise.resolve(good(threads)),
    log: () =>
      Promise.resolve({
        next: 9n,
        records: log.map((text, i) => ({ level: 5, facility: 0, sequence: BigInt(i), microseconds: BigInt(i) * 1_000_000n, text, dictionary: {} })),
      }),
  };
  return only as Guest;
}

const files = { 'klp_alpha/transition': '1\n', 'klp_alpha/enabled': '1\n', 'klp_beta/transition': '0\n' };
const log = [
  "livepatch: 'klp_beta': patching...",
  "livepatch: 'klp_alpha': starting unpatching transition",
  "livepatch: 'klp_alpha': starting patching transition",
  "livepatch: 'klp_beta': patching complete",
];

void t.test('who holds the transition, where, since when', async (t) => {
  const hold = await whoHolds(guest(files, log));
  t.match(hold, { patch: 'klp_alpha', to: 'patched', since: 10_500, threads: 6 });
  t.strictSame(hold?.holding.map((h) => [h.tid, h.at]), [
    [50, 'klp_target_alpha+0x1b/0x30 [klp_target]'],
    [51, undefined],
    [60, 'replacement+0x3/0x9 [klp_alpha]'],
    [70, undefined],
  ]);
  t.equal(await whoHolds(guest({ ...files, 'klp_alpha/transition': '0\n' }, log)), undefined, 'nothing is in transition');
  t.match(await whoHolds(guest(files, [])), { since: undefined });
  const back = await whoHolds(guest({ ...files, 'klp_alpha/enabled': '0\n' }, log));
  t.match(back, { to: 'unpatched' });
  t.strictSame(back?.holding.map((h) => h.tid), [1]);
});

void t.test('said to a person', async (t) => {
  const hold = await whoHolds(guest(files, log));
  t.ok(hold);
  if (!hold) return;
  t.strictSame(holdText(hold), [
    'klp_alpha is being patched, for 10.5 s now: 4 of 6 threads hold it',
    '  task-50 (process 50), asleep, cannot be woken by signals, in klp_target_alpha [klp_target]',
    '    to move it: nothing but what it waits for: it has to leave that function',
    '      sleep_here+0x10/0x80 [klp_target]',
    '    → klp_target_alpha+0x1b/0x30 [klp_target]',
    '      ksys_write+0x6c/0xf0',
    '  task-51 (thread of process 50, 51), asleep, can be woken by signals, in no function of this patch that its stack shows',
    '    to move it: a signal: SIGSTOP and SIGCONT take it out of the kernel unseen (from 5.1 on the kernel does so itself every 15 seconds)',
    '      pipe_read+0x1/0x2',
    '  klp-kernel (kernel thread 60), asleep, can be woken by signals, in replacement [klp_alpha]',
    '    to move it: nothing but what it waits for: it has to leave that function',
    '      kthread_worker+0x1/0x2',
    '    → replacement+0x3/0x9 [klp_alpha]',
    '  task-70 (process 70), running or ready to run, without a stack that could be read',
    '    to move it: its next return to user space, within a tick if it is there already; in the kernel it has to come back from it',
  ]);
  t.match(holdText(hold, 1).at(-1), '  … and 3 more');
  t.match(holdText({ ...hold, holding: [], since: undefined }), [/^klp_alpha is being patched: all of 6 threads have switched/]);
});

void t.test('4.14 gives addresses, and a last line of its own', (t) => {
  const text = '[<ffffffffc0123456>] klp_target_alpha+0x1b/0x30 [klp_target]\n[<ffffffffffffffff>] 0xffffffffffffffff\n';
  const [only] = holdingThreads('klp_alpha', 'patched', [thread(5, 'D', 0, [], { stack: { errno: 0, text, span } })], ['klp_target_alpha']);
  t.strictSame(only?.stack, ['klp_target_alpha+0x1b/0x30 [klp_target]']);
  t.equal(only?.at, 'klp_target_alpha+0x1b/0x30 [klp_target]');
  t.end();
});
