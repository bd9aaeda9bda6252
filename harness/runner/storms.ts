// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome, type Task, must } from '../guest/guest.js';
import { userTicks } from '../guest/tasks.js';
import { SituationError } from '../model/reference.js';
import type { Storm, StormKind } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { type Busy, type Progress, execs, lowMemory, moduleLoads } from './shell-storms.js';
import { endTask } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;

/** Tasks of a storm: as many as a guest has CPUs. */
const stormTasks = 2;

/** Begins a load on the system. */
export async function startStorm(record: SessionRecord, kind: StormKind): Promise<Storm> {
  const what = `storm of ${stormName(kind)}`;
  record.doing = `begin a ${what}`;
  const { unit, enough, progress, end } = await begin(record, kind);
  let last = await progress();
  return {
    witness: async () => {
      record.doing = `waiting for the ${what}`;
      const deadline = Date.now() + patience * record.slowdown;
      for (;;) {
        const now = await progress();
        const more = now.count - last.count;
        if (more >= enough) {
          const proof = [`${more} ${unit} since the last look`, ...(now.proof === undefined ? [] : [now.proof])];
          record.witness(what, proof, { begin: last.span.begin, end: now.span.end });
          last = now;
          return;
        }
        if (Date.now() > deadline) throw new SituationError(`no ${what}: ${more} ${unit} since the last look`);
        await sleep(20);
      }
    },
    release: end,
  };
}

/** A word for a storm. */
export function stormName(kind: StormKind): string {
  return typeof kind === 'string' ? kind : `loads of ${kind.name}`;
}

function begin(record: SessionRecord, kind: StormKind): Promise<Busy> {
  switch (kind) {
    case 'forks':
      return forks(record);
    case 'computing':
      return computing(record);
    case 'execs':
      return execs(record);
    case 'low-memory':
      return lowMemory(record);
    default:
      return moduleLoads(record, kind);
  }
}

/** Tasks that fork and wait for the child, which ends at once. What the kernel warns of meanwhile is judged at the end. */
async function forks(record: SessionRecord): Promise<Busy> {
  const { guest } = record;
  const from = await guest.logEnd();
  const tasks = await workers(record, 'forks', 'fork-storm');
  const progress = async (): Promise<Progress> => {
    const outcome = await guest.readText('/proc/stat');
    return { count: Number(/^processes (\d+)$/m.exec(must(outcome, '/proc/stat'))?.[1]), span: outcome.span };
  };
  const end = async (): Promise<void> => {
    const { records } = await guest.log(from);
    const warnings = records.map((r) => r.text).filter((text) => /\b(WARNING|BUG|Oops)\b: /.test(text));
    record.observe('warnings of the kernel', warnings.join(' ⏎ ') || 'none', undefined, { kind: 'warnings', warnings });
    await endAll(record, tasks);
  };
  return { unit: 'processes were made', enough: 20, progress, end };
}

async function computing(record: SessionRecord): Promise<Busy> {
  const tasks = await workers(record, 'spin', 'spin');
  const progress = async (): Promise<Progress> => {
    const ticks: Outcome<number>[] = [];
    for (const { pid } of tasks) ticks.push(await userTicks(record.guest, pid));
    const count = ticks.reduce((sum, own) => sum + must(own, 'user time of the tasks that compute'), 0);
    return { count, span: { begin: ticks[0]?.span.begin ?? 0n, end: ticks.at(-1)?.span.end ?? 0n } };
  };
  return { unit: 'ticks in user space', enough: 5, progress, end: () => endAll(record, tasks) };
}

async function workers(record: SessionRecord, kind: 'forks' | 'spin', op: 'fork-storm' | 'spin'): Promise<readonly Task[]> {
  const tasks: Task[] = [];
  for (let i = 0; i < stormTasks; i++) {
    const what = `start task ${i + 1} of the storm`;
    const spawned = await record.guest.spawn({ kind, name: `klp-storm-${i}` });
    const task = must(spawned, what);
    tasks.push(task);
    await record.operate({ kind: op, tid: task.pid }, what, () => Promise.resolve(spawned));
  }
  return tasks;
}

async function endAll(record: SessionRecord, tasks: readonly Task[]): Promise<void> {
  for (const task of tasks) await endTask(record, task, `end thread ${task.pid} of the storm`);
}
