// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Task, calls, must } from '../guest/guest.js';
import { schedulerState } from '../guest/tasks.js';
import { type FunctionName, functionKey, targetKeyOf } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { type Body, isHeld, original, reachableBodies } from '../model/state.js';
import { type FunctionCalls, knobOf } from './function-calls.js';
import type { ParkOptions, Sleeper } from './scenario.js';
import type { SessionRecord } from './session-record.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = { park: 10_000, release: 10_000 };

/** Functions that modules export, so that a sleeper finds them by name. */
const exported: readonly (string | undefined)[] = ['alpha', 'beta', 'quiet'];

/** Starts a task that enters a function and sleeps there, and proves that it does. */
export async function park(
  record: SessionRecord,
  functions: FunctionCalls,
  f: FunctionName,
  { sleep: how = 'uninterruptible', depth = 0 }: ParkOptions = {},
): Promise<Sleeper> {
  const directory = `/proc/${f.object}`;
  const what = `park a task (${how}, ${depth} frames deep) in ${f.name}`;
  record.doing = what;
  const file = `${directory}/${knobOf(f, 'park a task in')}`;
  const spawned = await record.guest.spawn({ kind: 'op', name: 'klp-sleeper', call: calls.io(file, { write: `${how} ${depth}`, read: 80 }) });
  const task = must(spawned, what);
  const tid = task.pid;
  const body = await awaitAsleep(record, tid, f, how === 'interruptible' ? 'S' : 'D');
  await record.operate({ kind: 'park', tid, function: f, body }, what, () => Promise.resolve(spawned));
  await witness(record, tid, f, body);
  return {
    tid,
    release: () => release(record, task, `${directory}/release`),
    witness: () => witness(record, tid, f, body),
    call: (other) => ask(record, functions, tid, `${directory}/ask`, other),
  };
}

/** Waits until a task sleeps inside a body of the function. @returns which body, as its stack shows */
async function awaitAsleep({ guest, model, slowdown }: SessionRecord, tid: number, f: FunctionName, state: string): Promise<Body> {
  const deadline = Date.now() + patience.park * slowdown;
  const bodies = [...new Set(model.states.flatMap((s) => reachableBodies(s, f)))];
  for (;;) {
    const now = await schedulerState(guest, tid);
    const [stack] = await guest.stacks([tid]);
    const frames = stack?.ok === true ? stack.value : '';
    const body = bodies.find((b) => frames.includes(frameOf(f, b)));
    if (now === state && body !== undefined) return body;
    if (now === 'Z' || Date.now() > deadline) {
      throw new SituationError(
        `thread ${tid} does not sleep in ${f.name} (${bodies.join(' or ')}): state ${now}, stack: ${frames.trim() || 'none'}`,
      );
    }
    await sleep(20);
  }
}

async function witness(record: SessionRecord, tid: number, f: FunctionName, body: Body): Promise<void> {
  const { guest, model } = record;
  const [stack] = await guest.stacks([tid]);
  if (stack?.ok !== true || !stack.value.includes(frameOf(f, body))) {
    throw new SituationError(`thread ${tid} no longer sleeps in ${body} of ${f.name}`);
  }
  const proof = stack.value.trim().split('\n');
  // Where every state the kernel may be in has the transition held, the file has to say so in the same span.
  const { states } = model;
  const transition = states.every((s) => isHeld(s, model.facts)) ? states[0]?.transition : undefined;
  if (transition) {
    const value = await guest.readText(`/sys/kernel/livepatch/${transition.patch}/transition`);
    const text = value.ok ? value.value.trim() : value.name;
    proof.push(`${transition.patch}/transition: ${text}`);
    if (text !== '1') throw new SituationError(`transition reads ${text} while thread ${tid} sleeps in ${f.name}`);
  }
  record.witness(`thread ${tid} sleeps in ${body} of ${f.name}`, proof, stack.span);
}

async function release(record: SessionRecord, task: Task, file: string): Promise<void> {
  const what = `release thread ${task.pid}`;
  await record.operate({ kind: 'release', tid: task.pid }, what, () => record.guest.write(file, String(task.pid)));
  const ended = must(await record.guest.wait(task, patience.release * record.slowdown), what);
  if (ended.state === 'running') throw new SituationError(`thread ${task.pid} was released but does not end`);
}

/** Has a sleeper call a function from where it sleeps; it is asleep again when the call has been judged. */
async function ask(record: SessionRecord, functions: FunctionCalls, tid: number, file: string, f: FunctionName): Promise<void> {
  const what = `call of ${functionKey(f)} by thread ${tid}`;
  record.doing = what;
  if (!exported.includes(targetKeyOf(f))) {
    throw new SituationError(`thread ${tid} cannot call ${functionKey(f)}: only alpha, beta and quiet of a target module are exported`);
  }
  const [outcome] = must(await record.guest.batch([calls.io(file, { write: `${tid} ${f.name}`, read: 80 })]), what);
  if (!outcome.ok) {
    const why = { ENOENT: `${f.object} is not loaded`, ESRCH: 'it sleeps no longer' }[outcome.name];
    throw new SituationError(`${what}: ${outcome.name}${why === undefined ? '' : `: ${why}`}`);
  }
  const body = functions.bodyOf(f, outcome.value.data.toString());
  record.observe(what, body, outcome.span, { kind: 'call', function: f, caller: tid, body });
}

/** What a stack shows of a body: the function itself, or the module of the patch that replaces it. */
function frameOf(f: FunctionName, body: Body): string {
  return body === original ? `${f.name}+` : `[${body}]`;
}
