// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { calls, must } from '../guest/guest.js';
import { schedulerState } from '../guest/tasks.js';
import { SituationError } from '../model/reference.js';
import type { SeenState } from '../model/observations/kinds.js';
import type { Situation } from './scenario.js';
import type { SessionRecord } from './session-record.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 10_000;

/** -ERESTARTNOINTR: fork(2) is to be done again once a signal has been seen to. */
const interrupted = '-513';

interface Birth {
  readonly child: number;
  readonly parent: SeenState;
  readonly born: SeenState;
}

/**
 * Has a task fork from where it is, and judges what the child is born with. Between its birth and the look at it lies what a
 * pass of the kernel's work may switch it in; no two forks on end are met by one, as it comes once a second.
 */
export async function fork(record: SessionRecord, target: string, tid: number): Promise<void> {
  const what = `fork of thread ${tid}`;
  record.doing = what;
  const file = `/proc/${target}/fork`;
  for (let another = 2; ; another--) {
    const [outcome] = must(await record.guest.batch([calls.io(file, { write: String(tid), read: 80 })]), what);
    if (!outcome.ok) {
      const why = { ESRCH: 'it is there no longer', EOPNOTSUPP: 'the kernel has no kprobes (CONFIG_KPROBES)' }[outcome.name];
      throw new SituationError(`${what}: ${outcome.name}${why === undefined ? '' : `: ${why}`}`);
    }
    const said = outcome.value.data.toString().trim();
    const { child, parent, born } = birthOf(said, what);
    if (another > 0 && parent.patchState !== born.patchState) continue;
    const proof = `${target}: the probe in wake_up_new_task() saw child ${child} of thread ${tid}: ${said}`;
    record.witness(`thread ${tid} forks in the kernel`, [proof], outcome.span);
    const seen = `parent ${parent.patchState}, child ${born.patchState}`;
    record.observe(what, seen, outcome.span, { kind: 'birth', tid, parent, child: born });
    return;
  }
}

/** What the target module says of a birth: child, then state and pending flag of the parent, and of the child. */
function birthOf(said: string, what: string): Birth {
  const [child = 0, ...rest] = said.split(' ').map(Number);
  const [parentState, parentPending, state, pending] = rest;
  if (child <= 0 || parentState === undefined || state === undefined) {
    const why = said === interrupted ? ': a signal waits for it, which the kernel sends to what holds a transition for long' : '';
    throw new SituationError(`${what}: ${said || 'no child was seen'}${why}`);
  }
  return { child, parent: { patchState: parentState, pending: parentPending === 1 }, born: { patchState: state, pending: pending === 1 } };
}

/** A task that ends and is not waited for until it is released. */
export async function zombie(record: SessionRecord): Promise<Situation> {
  const { guest, slowdown } = record;
  const what = 'a task that ends and is not waited for';
  record.doing = what;
  const spawned = await guest.spawn({ kind: 'op', name: 'klp-zombie', call: calls.ping() });
  const task = must(spawned, what);
  const { pid: tid } = task;
  const witness = async (): Promise<void> => {
    const deadline = Date.now() + patience * slowdown;
    for (;;) {
      const stat = await guest.readText(`/proc/${tid}/stat`);
      const state = await schedulerState(guest, tid);
      if (state === 'Z') {
        record.witness(`thread ${tid} is a zombie`, [`/proc/${tid}/stat: state ${state}`], stat.span);
        return;
      }
      if (Date.now() > deadline) throw new SituationError(`thread ${tid} has not become a zombie: state ${state}`);
      await sleep(20);
    }
  };
  await witness();
  await record.operate({ kind: 'die', tid }, what, () => Promise.resolve(spawned));
  return {
    tid,
    witness,
    release: async () => {
      const ending = `wait for the zombie ${tid}`;
      await record.operate({ kind: 'release', tid }, ending, () => guest.wait(task, patience * slowdown));
    },
  };
}
