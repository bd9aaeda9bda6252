// SPDX-License-Identifier: MIT
import { type Task, must } from '../guest/guest.js';
import { SituationError } from '../model/reference.js';
import type { SessionRecord } from './session-record.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;

/**
 * Ends a task for good, which the model is told of as its release.
 * @throws SituationError when it goes on
 */
export async function endTask(record: SessionRecord, task: Task, what = `end thread ${task.pid}`): Promise<void> {
  const { pid: tid } = task;
  await record.operate({ kind: 'release', tid }, what, () => record.guest.kill(tid, 'SIGKILL'));
  await awaitEnd(record, task, 'killed');
}

/**
 * Waits for the end of a task that has been made to end.
 * @param why completes "the thread was", should it go on
 * @throws SituationError when it goes on
 */
export async function awaitEnd({ guest, slowdown }: SessionRecord, task: Task, why: 'killed' | 'released'): Promise<void> {
  const ended = must(await guest.wait(task, patience * slowdown), `end of thread ${task.pid}`);
  if (ended.state === 'running') throw new SituationError(`thread ${task.pid} was ${why} but does not end`);
}
