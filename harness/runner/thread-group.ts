// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Task, calls, must } from '../guest/guest.js';
import { writeFlags } from '../guest/protocol.js';
import { schedulerState } from '../guest/tasks.js';
import { type FunctionName, functionKey } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import type { Body } from '../model/state.js';
import { reachableBodies } from '../model/tasks.js';
import { type FunctionCalls, callFile, knobOf } from './function-calls.js';
import type { GroupOptions, ThreadGroup } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { frameOf } from './sleepers.js';
import { awaitEnd } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;

/** What is on the stack of a thread that executes a program and waits for the end of the others (de_thread(), fs/exec.c). */
const waiting = /(de_thread|begin_new_exec|flush_old_exec)\+/;
/** SIGKILL, in the mask of pending signals. */
const killed = 1n << 8n;

interface Group {
  readonly record: SessionRecord;
  readonly f: FunctionName;
  readonly task: Task;
  readonly activity: 'uninterruptible' | 'interruptible';
  readonly held: number;
  readonly executing: number;
  readonly body: Body;
}

/** Starts a process, one thread of which enters a function and stays there, and proves that it does. */
export async function threadGroup(
  record: SessionRecord,
  functions: FunctionCalls,
  f: FunctionName,
  { held, executes, activity = 'uninterruptible' }: GroupOptions,
): Promise<ThreadGroup> {
  if (held === 'leader' && executes === 'leader') throw new SituationError('the thread in the function cannot execute a program as well');
  const { guest } = record;
  const what = `a process whose ${held} sleeps (${activity}) in ${f.name}, and whose other ${executes === 'leader' ? 'thread, the leader,' : 'member'} is to execute a program`;
  record.doing = what;
  const script = `/tmp/klp-execute-${knobOf(f, 'park a task in')}`;
  const said = `${script}.said`;
  must(await guest.write(script, `kill -STOP $$\nexec busybox cat ${callFile(f)} > ${said}\n`, writeFlags.create | writeFlags.truncate), script);
  const call = calls.io(callFile(f), { write: `${activity} 0 user`, read: 80 });
  const started = await guest.spawn({ kind: 'exec', name: 'klp-group', call, doer: held, executor: executes, script });
  const task = must(started, what);
  const there = await awaitThere(record, f, task, activity);
  const members = await threadsOf(record, task);
  const executing = executes === 'leader' ? task.pid : members.find((tid) => tid !== task.pid && tid !== there.tid);
  if (executing === undefined) throw new SituationError(`process ${task.pid} has no thread that could execute a program: ${members.join(', ')}`);
  const group: Group = { record, f, task, activity, held: there.tid, executing, body: there.body };
  const park = { kind: 'park', tid: there.tid, by: 'user', activity, function: f, body: there.body } as const;
  await record.operate(park, what, () => Promise.resolve(started));
  await witness(group);
  return {
    tid: task.pid,
    held: { tid: there.tid, witness: () => witness(group), release: () => release(group) },
    exec: () => exec(group),
    executed: () => executed(group),
    call: () => callFunction(group, functions, said),
  };
}

/** Thread ids of a process. */
async function threadsOf({ guest }: SessionRecord, { pid }: Task): Promise<readonly number[]> {
  const folder = `/proc/${pid}/task`;
  const entries = must(await guest.tree(folder, 1), folder);
  return entries.map(({ name }) => Number(name)).filter((tid) => tid > 0);
}

/** Waits until one of the threads sleeps in a body of the function. */
async function awaitThere(record: SessionRecord, f: FunctionName, task: Task, activity: Group['activity']): Promise<{ tid: number; body: Body }> {
  const deadline = Date.now() + patience * record.slowdown;
  const bodies = [...new Set(record.model.states.flatMap((s) => reachableBodies(s, f)))];
  for (;;) {
    for (const tid of await threadsOf(record, task)) {
      const [stack] = await record.guest.stacks([tid]);
      const body = bodies.find((b) => stack?.ok === true && stack.value.includes(frameOf(f, b)) && stack.value.includes('sleep_below+'));
      if (body !== undefined && (await schedulerState(record.guest, tid)) === (activity === 'interruptible' ? 'S' : 'D')) return { tid, body };
    }
    if (Date.now() > deadline) throw new SituationError(`no thread of process ${task.pid} sleeps in ${f.name}`);
    await sleep(20);
  }
}

async function witness({ record, f, task, held, body }: Group): Promise<void> {
  const [stack] = await record.guest.stacks([held]);
  if (stack?.ok !== true || !stack.value.includes(frameOf(f, body))) throw new SituationError(`thread ${held} no longer sleeps in ${body} of ${f.name}`);
  record.witness(`thread ${held} of process ${task.pid} sleeps in ${body} of ${f.name}`, stack.value.trim().split('\n'), stack.span);
}

async function release({ record, f, held }: Group): Promise<void> {
  await record.operate({ kind: 'release', tid: held }, `release thread ${held}`, () => record.guest.write(`/proc/${f.object}/release`, String(held)));
}

async function exec(group: Group): Promise<void> {
  const { record, task, executing, held, activity } = group;
  record.doing = `have thread ${executing} of process ${task.pid} execute a program`;
  must(await record.guest.kill(task.pid, 'SIGUSR1'), record.doing);
  if (activity === 'interruptible') return executed(group);
  const deadline = Date.now() + patience * record.slowdown;
  for (;;) {
    const [stack] = await record.guest.stacks([executing]);
    const file = `/proc/${held}/status`;
    const [, pending = '0'] = /^SigPnd:\s*([0-9a-f]+)$/m.exec(must(await record.guest.readText(file), file)) ?? [];
    if (stack?.ok === true && waiting.test(stack.value) && (BigInt(`0x${pending}`) & killed) !== 0n) {
      const proof = [...stack.value.trim().split('\n'), `thread ${held}: SigPnd ${pending}`];
      record.witness(`thread ${executing} executes a program and waits for the end of thread ${held}, which has been killed`, proof, stack.span);
      return witness(group);
    }
    if (Date.now() > deadline) throw new SituationError(`thread ${executing} does not wait in exec for thread ${held}: ${stack?.value?.trim() ?? 'no stack'}`);
    await sleep(20);
  }
}

/** The program has stopped itself, alone in the process. */
async function executed({ record, task, executing, held }: Group): Promise<void> {
  const { guest, slowdown } = record;
  const { pid } = task;
  const what = `thread ${executing} of process ${pid} executes a program`;
  record.doing = what;
  const deadline = Date.now() + patience * slowdown;
  for (;;) {
    const commandLine = await guest.readText(`/proc/${pid}/cmdline`);
    const threads = await threadsOf(record, task);
    const state = await schedulerState(guest, pid);
    if (commandLine.ok && commandLine.value.startsWith('sh\0') && threads.length === 1 && state === 'T') {
      const proof = [`/proc/${pid}/cmdline: ${commandLine.value.split('\0').join(' ').trim()}`, `threads: ${threads.join(', ')}`, `state ${state}`];
      record.witness(`the program runs as thread ${pid}`, proof, commandLine.span);
      await record.operate({ kind: 'exec', tid: executing, pid, ends: [held] }, what, () => Promise.resolve({ name: 'OK', span: commandLine.span }));
      return;
    }
    if (Date.now() > deadline) {
      throw new SituationError(`no program runs as thread ${pid}: state ${state}, threads ${threads.join(', ')}, command line ${commandLine.value ?? commandLine.name}`);
    }
    await sleep(20);
  }
}

async function callFunction({ record, f, task }: Group, functions: FunctionCalls, said: string): Promise<void> {
  const { guest } = record;
  const { pid } = task;
  const what = `call of ${functionKey(f)} by the program, thread ${pid}`;
  record.doing = what;
  must(await guest.kill(pid, 'SIGCONT'), what);
  await awaitEnd(record, task, 'released');
  const outcome = await guest.readText(said);
  const body = functions.bodyOf(f, must(outcome, said));
  record.observe(what, body, outcome.span, { kind: 'call', function: f, caller: pid, body });
}
