// SPDX-License-Identifier: MIT
import type { FunctionName } from './description.js';
import type { Below, Trace } from './reliability.js';
import { type Body, type Facts, type PatchState, type State, bodyIn, entryFor, original, patchInTransition, stackOf } from './state.js';

/*
 * What is known of tasks: where those are that the scenario has put somewhere, which of them hold a transition, and which
 * code a call of theirs reaches. A task's pending flag (TIF_PATCH_PENDING) is set as long as it has a transition's other
 * state; only a target module shows it. Idle tasks are in no list of /proc: an interrupt over one shows its state, and the
 * end of the transition, for which they have to switch as well.
 */

/** One frame that matters: a patchable function, and the body of it that the task entered. */
export interface Frame {
  readonly function: FunctionName;
  readonly body: Body;
}

/**
 * What a task does where it is: sleeps there, from which a signal may wake it or not; runs there, on a CPU in the kernel,
 * which it gives up when another task wants it, or which is taken from it all the time (preempted); sleeps uninterruptibly in a
 * page fault that it took in the kernel. Or it computes in user space; forks without end; has ended and was not waited for.
 */
export const activities = ['uninterruptible', 'interruptible', 'running', 'preempted', 'faulting', 'user space', 'forking', 'zombie'] as const;
export type Activity = (typeof activities)[number];
/** What a task can do inside a function. */
export type Stay = Exclude<Activity, 'user space' | 'forking' | 'zombie'>;

/** Whether an exception of the kernel's own code lies below the function in which a task stays. */
export function isInterrupted(activity: Activity): boolean {
  return activity === 'faulting' || activity === 'preempted';
}

/** What a task does that stays in a function, as a verb. */
export function doing(activity: Activity): string {
  if (activity === 'preempted') return 'is preempted';
  return activity === 'running' ? 'runs' : 'sleeps';
}

/** A task that the scenario has put somewhere. */
export interface Task {
  readonly tid: number;
  readonly kind: 'user' | 'kernel';
  readonly activity: Activity;
  /** Outermost first; none in user space. */
  readonly frames: readonly Frame[];
  /** What lies below the innermost of them. */
  readonly below: Below;
  /** How the stack check sees it while it is there. */
  readonly trace: Trace;
  /** It has been sent a signal that makes a user task leave the kernel, if it sleeps so that it can. */
  readonly signalled: boolean;
}

/** A user task that is in no function which a patch could replace. */
export function userTask(tid: number, activity: Exclude<Activity, Stay>): Task {
  const below: Below = { depth: 0, trampoline: 'none', exception: false };
  return { tid, kind: 'user', activity, frames: [], below, trace: { reliable: true, hidden: false }, signalled: false };
}

/** Whether a signal takes a task out of the kernel, and so switches it. No kernel thread takes signals by itself. */
export function leavesOnSignal({ kind, activity }: Task): boolean {
  return kind === 'user' && activity === 'interruptible';
}

/** Whether the fake signal takes a task out of the function: it wakes kernel threads (klp_send_signals, 5.1 and later). */
export function leavesOnFakeSignal({ activity }: Task): boolean {
  return activity === 'interruptible';
}

/**
 * Bodies a call of `f` may reach: the newest enabled patch's (livepatch.txt 387-391); while that patch is in transition,
 * what lies below it for a caller that is unpatched, and either for one whose state is not known. With ftrace switched off
 * nothing is redirected.
 *
 * Only the newest entry asks for the caller's state (klp_ftrace_handler, kernel/livepatch/patch.c): a patch in transition
 * with another above it changes nothing for any caller.
 *
 * @param caller thread id of the caller, if it has one that sweeps have shown
 */
export function reachableBodies(state: State, f: FunctionName, caller?: number): readonly Body[] {
  const [top, below] = stackOf(state, f);
  if (!top || !state.ftraceOn) return [original];
  const { transition } = state;
  const patched = bodyIn(top, f);
  const unpatched = below ? bodyIn(below, f) : original;
  if (transition?.patch !== top.description.name) return [patched];
  const known = caller === undefined ? undefined : stateOfTask(state, caller);
  if (known === undefined) return [patched, unpatched];
  return [known === 1 ? patched : unpatched];
}

/**
 * What patch_state a thread may have: of those that livepatch gives it, and -1 where none is in force.
 * @param tid none of one that no sweep shows
 */
export function possibleStates(state: State, tid?: number): readonly number[] {
  const { transition } = state;
  if (!transition) return [-1];
  if (transition.phase === 'finishing') return [transition.target, -1];
  const known = tid === undefined ? undefined : stateOfTask(state, tid);
  return known === undefined ? [1 - transition.target, transition.target] : [known];
}

/** Bodies that a caller of this patch_state may reach: what it says decides as long as a transition goes on. */
export function bodiesWith(state: State, f: FunctionName, patchState: number): readonly Body[] {
  const [top, below] = stackOf(state, f);
  if (!top || state.transition?.phase !== 'running' || state.transition.patch !== top.description.name) return reachableBodies(state, f);
  const unpatched = below ? bodyIn(below, f) : original;
  return [state.ftraceOn && patchState === 1 ? bodyIn(top, f) : unpatched];
}

/** The state with a thread known to have the target state of the transition under way. */
export function switched(state: State, ...tids: readonly number[]): State {
  const { transition } = state;
  if (transition?.phase !== 'running') return state;
  const arrived = [...new Set([...transition.arrived, ...tids])].sort((a, b) => a - b);
  return { ...state, transition: { ...transition, arrived } };
}

/** Which state a thread is in while a transition goes on, where that is certain: it has arrived, or something holds it. */
function stateOfTask(state: State, tid: number): PatchState | undefined {
  const { transition } = state;
  if (!transition) return undefined;
  if (transition.forced || transition.arrived.includes(tid)) return transition.target;
  return holders(state).some((h) => h.task.tid === tid) ? ((1 - transition.target) as PatchState) : undefined;
}

/** The sides on which a thread may be while a transition goes on; without one, the only side there is. */
export function sidesOf(state: State, caller?: number): readonly PatchState[] {
  const known = caller === undefined ? undefined : stateOfTask(state, caller);
  if (known !== undefined) return [known];
  return state.transition?.phase === 'running' ? [1, 0] : [state.transition?.target ?? 1];
}

/**
 * Why a task is not switched: what the stack check looks for is on its stack, it runs in there so that its stack is not even
 * looked at, or its stack is not reliable.
 */
export type Holder = { readonly task: Task } & (
  | { readonly why: 'frame' | 'running'; readonly frame: Frame }
  | { readonly why: 'unreliable'; readonly frame?: Frame }
);

/**
 * What the stack check looks for of what is on a task's stack (klp_check_stack_func, kernel/livepatch/transition.c).
 * Entries that are immediate are not looked for.
 */
function affectedFrame(state: State, task: Task): Frame | undefined {
  const { transition } = state;
  const patch = patchInTransition(state);
  if (transition?.phase !== 'running' || transition.forced || !patch) return undefined;
  return task.frames.find((frame) => {
    const stack = stackOf(state, frame.function);
    const place = stack.indexOf(patch);
    if (place < 0 || entryFor(patch.description, frame.function)?.entry.immediate) return false;
    if (transition.target === 0) return frame.body === bodyIn(patch, frame.function);
    const previous = stack[place + 1];
    return frame.body === (previous ? bodyIn(previous, frame.function) : original);
  });
}

/** The tasks that hold the transition, with the reason, in the order of klp_try_switch_task()'s checks. */
export function holders(state: State): readonly Holder[] {
  return state.tasks.flatMap((task): readonly Holder[] => {
    const frame = affectedFrame(state, task);
    if (task.activity === 'running') return frame ? [{ task, why: 'running', frame }] : [];
    if (waitsUnreliable(state, task)) return [{ task, why: 'unreliable', ...(frame ? { frame } : {}) }];
    return frame && !task.trace.hidden ? [{ task, why: 'frame', frame }] : [];
  });
}

/** One that has switched in another way, or was at the target when the transition turned, holds nothing. */
function waitsUnreliable({ transition }: State, { tid, trace }: Task): boolean {
  return transition?.phase === 'running' && !transition.forced && !trace.reliable && !transition.arrived.includes(tid);
}

/** Tasks that are switched although the stack check should find what it looks for: it does not see it. */
export function unseen(state: State): readonly { readonly task: Task; readonly frame: Frame }[] {
  return state.tasks.flatMap((task) => {
    const frame = task.trace.hidden ? affectedFrame(state, task) : undefined;
    return frame ? [{ task, frame }] : [];
  });
}

/**
 * Tasks that may hold the transition, or not: they run in the kernel, outside of what is patched, and whether they happen to
 * be off their CPU when they are looked at is chance (klp_try_switch_task, kernel/livepatch/transition.c).
 */
export function stragglers(state: State): readonly Task[] {
  if (state.transition?.phase !== 'running' || state.transition.forced) return [];
  return state.tasks.filter((task) => task.activity === 'running' && !affectedFrame(state, task));
}

/**
 * The state with a holder taken out of the function and back into it by a signal that user space does not see, or a kernel
 * thread by being woken: it has switched in between (klp_send_signals, 5.1 and later).
 */
export function movedBySignal(state: State, task: Task): State {
  const moved = switched(state, task.tid);
  const frames = task.frames.map((frame) => {
    const [body = frame.body] = reachableBodies(moved, frame.function, task.tid);
    return { ...frame, body };
  });
  return { ...moved, tasks: moved.tasks.map((t) => (t.tid === task.tid ? { ...task, frames } : t)) };
}

/**
 * Whether kernel threads hold every enable for good: without reliable stacks they can't be checked, and nothing else
 * switches one that sleeps (klp_try_switch_task, 5.2 and later; earlier kernels register no such patch).
 */
export function kernelThreadsHold(facts: Facts): boolean {
  return !facts.capabilities.has('reliable-stacks');
}

/** Whether the transition under way can't end by itself. */
export function isHeld(state: State, facts: Facts): boolean {
  if (state.transition?.phase !== 'running' || state.transition.forced) return false;
  return holders(state).length > 0 || (state.transition.target === 1 && kernelThreadsHold(facts));
}

