// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Call, type Span, type Task, calls, must } from '../guest/guest.js';
import { beginsTransition } from '../guest/holders.js';
import { isExiting, schedulerState } from '../guest/tasks.js';
import { readTrace } from '../guest/tracefs.js';
import { type FunctionName, functionKey } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { type Body, original, pristine } from '../model/state.js';
import { type Below, below, gateBelow } from '../model/reliability.js';
import { doing, isHeld, isInterrupted, reachableBodies } from '../model/tasks.js';
import { fork } from './forks.js';
import { type FunctionCalls, exportedNames, isExported, knobOf } from './function-calls.js';
import { interrupt } from './interrupts.js';
import { readProbe } from './probes.js';
import { interruption, letPreempt } from './preemption.js';
import type { ParkOptions, Sleeper } from './scenario.js';
import type { Ending, SessionRecord } from './session-record.js';
import { awaitEnd } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = {
  park: 10_000,
  signal: 10_000,
  /** Nanoseconds of the guest's clock, not multiplied: the kernel itself is watched. */
  alone: 60_000_000_000n,
};

/** What is parked, in words. */
const parked = { user: 'task', kernel: 'kernel thread', work: 'work item' } as const;

/** As /proc/<tid>/stat shows it. */
const stateOf = { uninterruptible: 'D', interruptible: 'S', running: 'R', preempted: 'R', faulting: 'D' } as const;

/** A task in a function of a target module, as far as it does not change. */
interface Place {
  readonly record: SessionRecord;
  readonly functions: FunctionCalls;
  readonly tid: number;
  readonly f: FunctionName;
  readonly by: NonNullable<ParkOptions['by']>;
  readonly activity: NonNullable<ParkOptions['activity']>;
  readonly dying: boolean;
  readonly depth: number;
}

/** Starts a task that enters a function and stays there, and proves that it does. */
export async function park(
  record: SessionRecord,
  functions: FunctionCalls,
  f: FunctionName,
  { by = 'user', activity = 'uninterruptible', depth = 0, threads = 0, dying = false }: ParkOptions = {},
): Promise<Sleeper> {
  if (dying && (by !== 'user' || activity !== 'uninterruptible' || depth > 0)) {
    throw new SituationError('only a user task can be killed, and it sleeps uninterruptibly in the function itself then');
  }
  const directory = `/proc/${f.object}`;
  const what = `park a ${parked[by]} (${activity}, ${depth} frames deep) in ${f.name}`;
  record.doing = what;
  const knob = knobOf(f, 'park a task in');
  if (activity === 'preempted') await letPreempt(record);
  const call = calls.io(`${directory}/${knob}`, { write: `${activity} ${depth} ${by}`, read: 80 });
  const asUser = dying ? calls.write(`${directory}/dying`, knob) : call;
  const { tid, task, started } =
    by === 'user' ? await startTask(record, asUser, { activity, threads }, what) : await startThread(record, call, what);
  const place: Place = { record, functions, tid, f, by, activity, dying, depth };
  if (dying) await killWaiting(record, tid);
  let body = await awaitThere(place, 0);
  const settle = (): Promise<void> =>
    record.operate({ kind: 'park', tid, by: by === 'user' ? 'user' : 'kernel', activity, function: f, body, depth }, what, () => Promise.resolve(started));
  await settle();
  await witness(place, body);
  return {
    tid,
    release: () => release(place, task),
    witness: () => witness(place, body),
    call: (other) => ask(place, other),
    leftAlone: async () => {
      body = (await leftAlone(place)) ?? body;
      await witness(place, body);
    },
    interrupt: (other) => {
      if (activity !== 'running') throw new SituationError(`thread ${tid} sleeps: no interrupt goes off over it`);
      return interrupt(record, functions, tid, other);
    },
    fork: () => fork(record, f.object, tid),
    stopAndContinue: async () => {
      const again = await stopAndContinue(place);
      if (again === undefined) return;
      body = again;
      await settle();
      await witness(place, body);
    },
  };
}

interface Started {
  readonly tid: number;
  /** Of a user task. */
  readonly task?: Task;
  readonly started: Ending;
}

/** The task that makes the call. */
async function startTask(
  { guest, model }: SessionRecord,
  call: Call,
  { activity, threads }: { readonly activity: Place['activity']; readonly threads: number },
  what: string,
): Promise<Started> {
  // The kernel's worker that looks at tasks pushes one aside on its own CPU, and no other.
  const running = model.states[0]?.tasks.filter((one) => one.activity === 'running').length ?? 0;
  const cpus = activity === 'running' ? { cpus: [(running + 1) % 2] } : activity === 'preempted' ? { cpus: [0] } : {};
  const started = await guest.spawn({ kind: 'op', name: 'klp-sleeper', call, threads, ...cpus });
  const task = must(started, what);
  return { tid: task.pid, task, started };
}

/** The kernel thread that the module makes of the call. */
async function startThread({ guest }: SessionRecord, call: ReturnType<typeof calls.io>, what: string): Promise<Started> {
  const started = await guest.batch([call]);
  const [made] = must(started, what);
  return { tid: Number(must(made, what).data.toString()), started };
}

/** Kills a task once it waits for that. */
async function killWaiting({ guest, slowdown }: SessionRecord, tid: number): Promise<void> {
  const deadline = Date.now() + patience.park * slowdown;
  for (;;) {
    const [stack] = await guest.stacks([tid]);
    if (stack?.ok === true && stack.value.includes('dying_write')) break;
    if (Date.now() > deadline) throw new SituationError(`thread ${tid} does not wait to be killed`);
    await sleep(20);
  }
  must(await guest.kill(tid, 'SIGKILL'), `kill thread ${tid}`);
}

/** What the target says of a task in it. */
interface Entry {
  /** How many had come when it did: another when it has left and come again. */
  readonly number: number;
  /** Of the loop of one that runs. */
  readonly turns: number;
  /** Of the function that calls itself to make the stack deep. */
  readonly frames: number;
  readonly span: Span;
}

async function entryOf({ record, tid, f }: Place): Promise<Entry | undefined> {
  const file = `/proc/${f.object}/sleepers`;
  const outcome = await record.guest.readText(file);
  const lines = must(outcome, file).split('\n').map((line) => line.split(' ').map(Number));
  const [, number, turns, frames] = lines.find(([of]) => of === tid) ?? [];
  if (number === undefined || turns === undefined || frames === undefined) return undefined;
  return { number, turns, frames, span: outcome.span };
}

/**
 * Waits until a task is in a body of the function, and has come there later than `after`.
 * @returns which body, as its stack shows; where that does not show it, it must be clear from the model
 */
async function awaitThere(place: Place, after: number): Promise<Body> {
  const { record, tid, f, activity } = place;
  const { guest, model, slowdown } = record;
  const deadline = Date.now() + patience.park * slowdown;
  const bodies = [...new Set(model.states.flatMap((s) => reachableBodies(s, f, tid)))];
  for (;;) {
    const now = await schedulerState(guest, tid);
    const [stack] = await guest.stacks([tid]);
    const frames = stack?.ok === true ? stack.value : '';
    const entry = await entryOf(place);
    if (now === stateOf[activity] && entry !== undefined && entry.number > after) {
      const there = entry.frames === place.depth + 1;
      if (activity === 'running' ? entry.turns > 0 : there && isObscured(place)) return onlyOne(bodies, place);
      const body = bodies.find((b) => frames.includes(frameOf(f, b)));
      if (activity !== 'running' && there && body !== undefined && (activity !== 'preempted' || interruption.test(frames))) return body;
    }
    if (now === 'Z' || Date.now() > deadline) {
      throw new SituationError(
        `thread ${tid}, which should be ${activity}, is not in ${f.name} (${bodies.join(' or ')}): state ${now}, stack: ${frames.trim() || 'none'}`,
      );
    }
    await sleep(20);
  }
}

function onlyOne([body, other]: readonly Body[], { tid, f }: Place): Body {
  if (body !== undefined && other === undefined) return body;
  throw new SituationError(`thread ${tid} is in ${f.name}, but its stack does not show in which body`);
}

/** Frames that /proc/<tid>/stack has room for, but for a few (64: MAX_STACK_TRACE_DEPTH, fs/proc/base.c). */
const shown = 50;

/** Whether /proc/<tid>/stack may lack the function: it is too far away, or a trampoline stands in between, which is what is judged. */
function isObscured(place: Place): boolean {
  return place.depth > shown || wayOf(place).trampoline !== 'none';
}

/** What lies between the task and its function, or would if it came now. */
function wayOf({ record, tid, f, activity, depth }: Place): Below {
  const [state = pristine] = record.model.states;
  return state.tasks.find((task) => task.tid === tid)?.below ?? below(state, f, depth, isInterrupted(activity));
}

async function witness(place: Place, body: Body): Promise<void> {
  const { record, tid, f, activity } = place;
  const { model, guest } = record;
  const { proof, span } = await (activity === 'running' ? runs(place) : activity === 'preempted' ? preempted(place, body) : sleeps(place, body));
  // Where every state the kernel may be in has the transition held, the file has to say so in the same span.
  const { states } = model;
  const transition = states.every((s) => isHeld(s, model.facts)) ? states[0]?.transition : undefined;
  if (transition) {
    const value = await guest.readText(`/sys/kernel/livepatch/${transition.patch}/transition`);
    const text = value.ok ? value.value.trim() : value.name;
    proof.push(`${transition.patch}/transition: ${text}`);
    if (text !== '1') throw new SituationError(`transition reads ${text} while thread ${tid} is in ${f.name}`);
  }
  record.witness(`thread ${tid} ${doing(activity)} in ${body} of ${f.name}`, proof, span);
}

async function sleeps(place: Place, body: Body): Promise<{ proof: string[]; span: Span }> {
  const { record, tid, f, activity, depth, dying } = place;
  const [stack] = await record.guest.stacks([tid]);
  const entry = await entryOf(place);
  const frame = isObscured(place) ? 'sleep_below+' : frameOf(f, body);
  const lacks = activity === 'faulting' && stack?.value?.includes('handle_mm_fault+') !== true;
  if (stack?.ok !== true || !stack.value.includes(frame) || entry?.frames !== depth + 1 || lacks) {
    throw new SituationError(`thread ${tid} no longer sleeps in ${body} of ${f.name}`);
  }
  const proof = stack.value.trim().split('\n');
  if (dying) {
    if (!(await isExiting(record.guest, tid))) throw new SituationError(`thread ${tid} was killed, but is not on its way out`);
    proof.unshift('PF_EXITING is set');
  }
  if (depth > 0) proof.push(`it is ${depth} frames below, as it counts them`);
  proof.push(...(await followed(place)));
  return { proof, span: { begin: stack.span.begin, end: entry.span.end } };
}

/** That the function which the task called to stay there has been entered under a tracer, or a kretprobe, and not left. */
async function followed(place: Place): Promise<readonly string[]> {
  const { record, f } = place;
  const { trampoline } = wayOf(place);
  const { name } = gateBelow(f);
  if (trampoline === 'kretprobe') {
    const { inside } = await readProbe(record, f.object);
    if (inside === 0) throw new SituationError(`the kretprobe in ${name} waits for no return`);
    return [`calls of ${name} that its kretprobe has seen begin and not end: ${inside}`];
  }
  if (trampoline === 'none') return [];
  const trace = await readTrace(record.guest);
  const open = must(trace, 'trace').split('\n').find((line) => line.includes(name) && line.trimEnd().endsWith('{'));
  if (open === undefined) throw new SituationError(`the graph tracer has recorded no call of ${name} that has not returned`);
  return [`trace: ${open.trim()}`];
}

/** Its loop goes on. */
async function runs(place: Place): Promise<{ proof: string[]; span: Span }> {
  const { record, tid, f } = place;
  const deadline = Date.now() + patience.park * record.slowdown;
  const first = await entryOf(place);
  for (;;) {
    const entry = await entryOf(place);
    if (first && entry?.number === first.number && entry.turns > first.turns) {
      const proof = `its loop in ${f.object} has gone from turn ${first.turns} to turn ${entry.turns}`;
      return { proof: [proof], span: { begin: first.span.begin, end: entry.span.end } };
    }
    if (!entry || Date.now() > deadline) throw new SituationError(`thread ${tid} does not run in ${f.name}`);
    await sleep(20);
  }
}

/** It is off its CPU, though it never gave that up: an interrupt's frames lie below the function. Now and then it does run. */
async function preempted({ record, tid, f }: Place, body: Body): Promise<{ proof: string[]; span: Span }> {
  const deadline = Date.now() + patience.park * record.slowdown;
  for (;;) {
    const [stack] = await record.guest.stacks([tid]);
    const frames = stack?.ok === true ? stack.value : '';
    if (stack && frames.includes(frameOf(f, body)) && interruption.test(frames)) return { proof: frames.trim().split('\n'), span: stack.span };
    if (Date.now() > deadline) throw new SituationError(`thread ${tid} is not preempted in ${f.name}; its stack: ${frames.trim() || 'none'}`);
    await sleep(20);
  }
}

/** Sends SIGSTOP, then SIGCONT. @returns the body that it sleeps in when it has come back; undefined when neither moves it */
async function stopAndContinue(place: Place): Promise<Body | undefined> {
  const { record, tid, f, by, activity } = place;
  const { guest, slowdown } = record;
  const what = `stop and continue thread ${tid}`;
  const moves = by === 'user' && activity === 'interruptible';
  const before = await entryOf(place);
  await record.operate({ kind: 'signal', tid }, what, async () => {
    must(await guest.kill(tid, 'SIGSTOP'), what);
    const deadline = Date.now() + patience.signal * slowdown;
    while (moves && (await schedulerState(guest, tid)) !== 'T') {
      if (Date.now() > deadline) throw new SituationError(`thread ${tid} was sent SIGSTOP but does not stop`);
      await sleep(20);
    }
    return guest.kill(tid, 'SIGCONT');
  });
  if (!moves) return undefined;
  const body = await awaitThere(place, before?.number ?? 0);
  record.observe(`call of ${functionKey(f)} by thread ${tid}`, body, undefined, { kind: 'call', function: f, caller: tid, body });
  return body;
}

/** Watches a sleeper that nobody touches. @returns the body that it sleeps in when it has left and come back */
async function leftAlone(place: Place): Promise<Body | undefined> {
  const { record, tid, f } = place;
  record.doing = `leaving thread ${tid} alone`;
  const patch = record.model.states.find((s) => s.transition)?.transition?.patch;
  const first = await entryOf(place);
  if (patch === undefined || !first) throw new SituationError(`thread ${tid} holds no transition`);
  let last = first;
  while (last.number === first.number && last.span.end - first.span.begin < patience.alone) {
    await sleep(100);
    // Between leaving and coming back it is in no list.
    last = (await entryOf(place)) ?? last;
  }
  const moved = last.number !== first.number;
  const body = moved ? await awaitThere(place, first.number) : undefined;
  const { records } = await record.guest.log();
  const begin = records.findLast((r) => beginsTransition(patch).test(r.text));
  const since = records.filter((r) => begin !== undefined && r.sequence >= begin.sequence);
  const signal = since.find((r) => r.text.includes('livepatch: signaling remaining tasks'));
  const after = begin && signal && Number(signal.microseconds - begin.microseconds) / 1000;
  record.observe(`thread ${tid}, left alone`, moved ? 'has left and come back' : 'stays', undefined, {
    kind: 'left-alone',
    tid,
    moved,
    after,
    pending: await pendingSignals(record, tid),
    log: since.map((r) => r.text),
  });
  if (body !== undefined) {
    record.observe(`call of ${functionKey(f)} by thread ${tid}`, body, undefined, { kind: 'call', function: f, caller: tid, body });
  }
  return body;
}

async function pendingSignals({ guest }: SessionRecord, tid: number): Promise<string> {
  const file = `/proc/${tid}/status`;
  const status = must(await guest.readText(file), file);
  const masks = [...status.matchAll(/^(SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)].filter(([, , mask = '']) => /[^0]/.test(mask));
  return masks.map(([text]) => text).join(', ') || 'none';
}

/** @param task of a user task, which is waited for; a kernel thread is gone when the write returns */
async function release({ record, tid, f }: Place, task: Task | undefined): Promise<void> {
  const what = `release thread ${tid}`;
  await record.operate({ kind: 'release', tid }, what, () => record.guest.write(`/proc/${f.object}/release`, String(tid)));
  if (task) await awaitEnd(record, task, 'released');
}

/** Has a task call a function from where it is; it is there again when the call has been judged. */
async function ask({ record, functions, tid, f: at }: Place, f: FunctionName): Promise<void> {
  const what = `call of ${functionKey(f)} by thread ${tid}`;
  record.doing = what;
  if (!isExported(f)) {
    throw new SituationError(`thread ${tid} cannot call ${functionKey(f)}: only ${exportedNames} of a target module are exported`);
  }
  const [outcome] = must(await record.guest.batch([calls.io(`/proc/${at.object}/ask`, { write: `${tid} ${f.name}`, read: 80 })]), what);
  if (!outcome.ok) {
    const why = { ENOENT: `${f.object} is not loaded`, ESRCH: 'it is there no longer' }[outcome.name];
    throw new SituationError(`${what}: ${outcome.name}${why === undefined ? '' : `: ${why}`}`);
  }
  const body = functions.bodyOf(f, outcome.value.data.toString());
  record.observe(what, body, outcome.span, { kind: 'call', function: f, caller: tid, body });
}

/** What a stack shows of a body: the function itself, or the module of the patch that replaces it. */
export function frameOf(f: FunctionName, body: Body): string {
  return body === original ? `${f.name}+` : `[${body}]`;
}
