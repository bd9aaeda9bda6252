// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Span, type Task, type TaskSpec, must } from '../guest/guest.js';
import { writeFlags } from '../guest/protocol.js';
import { userTicks } from '../guest/tasks.js';
import type { PlainDescription } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import type { Storm, StormKind } from './scenario.js';
import { moduleDirectory } from './session-operations.js';
import type { SessionRecord } from './session-record.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;

/** Tasks of a storm: as many as a guest has CPUs. */
const stormTasks = 2;

/** How far a storm has got. */
interface Progress {
  readonly count: number;
  readonly span: Span;
}

/** One way to keep the system busy. */
interface Busy {
  /** What is counted, and how much more of it a look wants. */
  readonly unit: string;
  readonly enough: number;
  readonly progress: () => Promise<Progress>;
  readonly end: () => Promise<void>;
}

function begin(record: SessionRecord, kind: StormKind): Promise<Busy> {
  if (kind === 'forks') return forks(record);
  return kind === 'computing' ? computing(record) : loads(record, kind);
}

async function forks(record: SessionRecord): Promise<Busy> {
  const tasks = await workers(record, { kind: 'forks', name: 'klp-forks' });
  const progress = async (): Promise<Progress> => {
    const outcome = await record.guest.readText('/proc/stat');
    return { count: Number(/^processes (\d+)$/m.exec(must(outcome, '/proc/stat'))?.[1]), span: outcome.span };
  };
  return { unit: 'processes were made', enough: 20, progress, end: () => endAll(record, tasks) };
}

async function computing(record: SessionRecord): Promise<Busy> {
  const tasks = await workers(record, { kind: 'spin', name: 'klp-computing' });
  const progress = async (): Promise<Progress> => {
    let count = 0;
    let span: Span | undefined;
    for (const { pid } of tasks) {
      const own = await userTicks(record.guest, pid);
      count += must(own, `user time of thread ${pid}`);
      span = { begin: span?.begin ?? own.span.begin, end: own.span.end };
    }
    if (!span) throw new SituationError('no task computes');
    return { count, span };
  };
  return { unit: 'ticks in user space', enough: 5, progress, end: () => endAll(record, tasks) };
}

/** A shell of its own loads and unloads a module until it finds a file. */
async function loads({ guest, slowdown }: SessionRecord, { name }: PlainDescription): Promise<Busy> {
  const stop = `/tmp/${name}-stop`;
  const loop = `while [ ! -e ${stop} ]; do busybox insmod ${moduleDirectory}/${name}.ko; busybox rmmod ${name}; done; rm ${stop}`;
  await guest.run(`rm -f ${stop}; (${loop}) </dev/null >/dev/null 2>&1 &`);
  let from = await guest.logEnd();
  let count = 0;
  const progress = async (): Promise<Progress> => {
    const { next, records } = await guest.log(from);
    from = next;
    count += records.filter(({ text }) => text.startsWith(stormMark)).length;
    return { count, span: (await guest.readText('/proc/uptime')).span };
  };
  const end = async (): Promise<void> => {
    must(await guest.write(stop, '', writeFlags.create), stop);
    if (!must(await guest.awaitGone(stop, patience * slowdown), stop).came) throw new SituationError(`the shell that loads ${name} does not end`);
  };
  return { unit: 'modules were loaded', enough: 5, progress, end };
}

async function workers({ guest, doing }: SessionRecord, spec: TaskSpec): Promise<readonly Task[]> {
  const tasks: Task[] = [];
  for (let i = 0; i < stormTasks; i++) tasks.push(must(await guest.spawn(spec), doing));
  return tasks;
}

async function endAll({ guest, slowdown }: SessionRecord, tasks: readonly Task[]): Promise<void> {
  for (const { pid } of tasks) must(await guest.kill(pid, 'SIGKILL'), `end thread ${pid}`);
  for (const task of tasks) {
    const ended = must(await guest.wait(task, patience * slowdown), `end of thread ${task.pid}`);
    if (ended.state === 'running') throw new SituationError(`thread ${task.pid} was killed but does not end`);
  }
}

/** How the line begins that a module of a storm writes into the log. */
const stormMark = 'klp-storm: ';

/** The C source of a module that says that it was loaded, and does nothing else. */
const stormSource = [
  '// SPDX-License-Identifier: GPL-2.0-only',
  '#include <linux/module.h>',
  '',
  'static int __init storm_init(void)',
  '{',
  `\tprintk(KERN_INFO "${stormMark}loaded\\n");`,
  '\treturn 0;',
  '}',
  '',
  'static void __exit storm_exit(void)',
  '{',
  '}',
  '',
  'module_init(storm_init);',
  'module_exit(storm_exit);',
  'MODULE_LICENSE("GPL");',
  'MODULE_DESCRIPTION("Comes and goes");',
  '',
].join('\n');

/** Begins a load on the system, which the model knows nothing of. */
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
          record.witness(what, [`${more} ${unit} since the last look`], { begin: last.span.begin, end: now.span.end });
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

/** A module for a storm of loads. */
export function stormModule(name: string): PlainDescription {
  return { kind: 'plain', name, source: stormSource };
}
