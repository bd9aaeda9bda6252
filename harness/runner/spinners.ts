// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '../guest/guest.js';
import { userTicks } from '../guest/tasks.js';
import { SituationError } from '../model/reference.js';
import type { FunctionCalls } from './function-calls.js';
import { interrupt } from './interrupts.js';
import type { Spinner } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { endTask } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 10_000;

/** Starts a task that computes in user space, and proves that it does. */
export async function spin(record: SessionRecord, functions: FunctionCalls): Promise<Spinner> {
  const { guest, model } = record;
  const what = 'start a task that computes';
  record.doing = what;
  // One after the other on each CPU: side by side, they would leave another idle.
  const computing = model.states[0]?.tasks.filter((one) => one.activity === 'user space').length ?? 0;
  const spawned = await guest.spawn({ kind: 'spin', name: 'klp-spinner', cpus: [computing % 2] });
  const task = must(spawned, what);
  const { pid: tid } = task;
  await record.operate({ kind: 'spin', tid }, what, () => Promise.resolve(spawned));
  await witness(record, tid);
  return {
    tid,
    witness: () => witness(record, tid),
    interrupt: (f) => interrupt(record, functions, tid, f),
    release: () => endTask(record, task),
  };
}

/** Waits until it has used more CPU time in user space than before. */
async function witness(record: SessionRecord, tid: number): Promise<void> {
  const { guest, slowdown } = record;
  const deadline = Date.now() + patience * slowdown;
  const before = await userTicks(guest, tid);
  for (;;) {
    const now = await userTicks(guest, tid);
    if (!before.ok || !now.ok) throw new SituationError(`there is no thread ${tid} (${now.name})`);
    if (now.value > before.value) {
      const proof = [`user time of thread ${tid}: ${before.value} ticks, then ${now.value}`];
      record.witness(`thread ${tid} computes in user space`, proof, { begin: before.span.begin, end: now.span.end });
      return;
    }
    if (Date.now() > deadline) throw new SituationError(`thread ${tid} does not compute: ${now.value} ticks of user time, and no more`);
    await sleep(20);
  }
}
