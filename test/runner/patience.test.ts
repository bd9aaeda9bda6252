// SPDX-License-Identifier: MIT
import t from 'tap';
import { Patience } from '../../harness/runner/patience.js';
import { hostWait } from '../../harness/vm/host-wait.js';

/** A clock, and how long the guest has been kept waiting. */
async function patience(): Promise<{ of: Patience; pass: (milliseconds: number, waiting?: number) => void }> {
  let now = 5000;
  let waited = 300;
  const of = await Patience.start(1000, () => Promise.resolve(waited), () => now);
  return { of, pass: (milliseconds, waiting = 0) => ((now += milliseconds), (waited += waiting)) };
}

void t.test('a kernel that had the host to itself has its time and no more', async (t) => {
  const { of, pass } = await patience();
  t.equal(of.left, 1000);
  pass(999, 200);
  t.notOk(await of.isOver());
  pass(1);
  t.ok(await of.isOver());
});

void t.test('it gets as much more as the host kept it waiting, of that as well', async (t) => {
  const { of, pass } = await patience();
  pass(1000, 800);
  t.notOk(await of.isOver());
  t.equal(of.left, 800);
  pass(800, 700);
  t.notOk(await of.isOver());
  t.equal(of.left, 700);
  pass(700, 100);
  t.ok(await of.isOver());
});

void t.test('a host that goes on like that judges nothing', async (t) => {
  const { of, pass } = await patience();
  const forever = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) {
      pass(1000, 1800);
      await of.isOver();
    }
  };
  await t.rejects(forever(), /this host is too slow to tell: in 7 s the guest has waited for a CPU for 13 s/);
});

void t.test('how long a process has waited for a CPU is counted by the kernel; one that is gone has not', async (t) => {
  const first = await hostWait(process.pid);
  t.ok(first > 0);
  t.ok((await hostWait(process.pid)) >= first);
  t.equal(await hostWait(2 ** 22 + 1), 0);
});
