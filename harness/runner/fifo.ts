// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { calls, must } from '../guest/guest.js';
import { schedulerState } from '../guest/tasks.js';
import { type FunctionName, vmlinux } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { original } from '../model/state.js';
import type { Situation } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { endTask } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 10_000;

const fifo = '/tmp/klp-fifo';

/** In which a task sleeps that opens a FIFO, until another opens its other end (fs/pipe.c); nothing else in the guest does. */
export const fifoOpen: FunctionName = { object: vmlinux, name: 'fifo_open' };

/** A task opens a FIFO that nobody else opens: it sleeps interruptibly in a function of the kernel itself until it is released. */
export async function openFifo(record: SessionRecord): Promise<Situation> {
  const { guest, slowdown } = record;
  const what = 'open a FIFO';
  record.doing = what;
  const made = await guest.run(`[ -p ${fifo} ] || busybox mkfifo ${fifo}`);
  if (made.code !== 0) throw new SituationError(`there is no ${fifo}: ${made.stderr.trim()}`);
  const spawned = await guest.spawn({ kind: 'op', name: 'klp-fifo', call: calls.io(fifo, { read: 1 }) });
  const task = must(spawned, what);
  const { pid: tid } = task;
  const witness = async (): Promise<void> => {
    const deadline = Date.now() + patience * slowdown;
    for (;;) {
      const state = await schedulerState(guest, tid);
      const [stack] = await guest.stacks([tid]);
      const frame = stack?.ok === true ? stack.value.split('\n').find((line) => line.includes(`${fifoOpen.name}+`)) : undefined;
      if (state === 'S' && stack && frame !== undefined) {
        record.witness(`thread ${tid} sleeps in ${fifoOpen.name}`, [`/proc/${tid}/stack: ${frame.trim()}`, `state ${state}`], stack.span);
        return;
      }
      if (Date.now() > deadline) throw new SituationError(`thread ${tid} does not sleep in ${fifoOpen.name}: state ${state}`);
      await sleep(20);
    }
  };
  await witness();
  const park = { kind: 'park', tid, by: 'user', activity: 'interruptible', function: fifoOpen, body: original } as const;
  await record.operate(park, what, () => Promise.resolve(spawned));
  return {
    tid,
    witness,
    // Not by its other end: whoever opens that has been switched, and reaches the replacement.
    release: () => endTask(record, task),
  };
}
