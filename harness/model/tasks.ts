// SPDX-License-Identifier: MIT
import type { FunctionName } from './description.js';
import { type Body, type Facts, type PatchState, type State, bodyIn, entryFor, original, patchInTransition, stackOf } from './state.js';

/*
 * What is known of tasks: where those are that the scenario has put somewhere, which of them hold a transition, and which
 * code a call of theirs reaches. A task's pending flag (TIF_PATCH_PENDING) is set as long as it has a transition's other
 * state; nothing shows it. Idle tasks are in no list of /proc: nothing shows their state but the end of the transition, for
 * which they have to switch as well.
 */

/** One frame that matters: a patchable function, and the body of it that the task entered. */
export interface Frame {
  readonly function: FunctionName;
  readonly body: Body;
}

/**
 * What a task does where it is: sleeps there, from which a signal may wake it or not; runs there, on a CPU in the kernel,
 * which it gives up when another task wants it; or computes in user space.
 */
export const activities = ['uninterruptible', 'interruptible', 'running', 'user space'] as const;
export type Activity = (typeof activities)[number];

/** A task that the scenario has put somewhere. */
export interface Task {
  readonly tid: number;
  readonly kind: 'user' | 'kernel';
  readonly activity: Activity;
  /** Outermost first; none in user space. */
  readonly frames: readonly Frame[];
  /** It has been sent a signal that makes a user task leave the kernel, if it sleeps so that it can. */
  readonly signalled: boolean;
}

/** Whether a signal takes a task out of the kernel, and so switches it. No kernel thread takes signals by itself. */
export function leavesOnSignal({ kind, activity }: Task): boolean {
  return kind === 'user' && activity === 'interruptible';
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
 * Why a parked task cannot switch: the frame that holds it (klp_check_stack, kernel/livepatch/transition.c), or
 * undefined when nothing does. Entries that are immediate are not looked for.
 */
function holdingFrame(state: State, task: Task): Frame | undefined {
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

/** The tasks that hold the transition, with the frame that is the reason. */
export function holders(state: State): readonly { readonly task: Task; readonly frame: Frame }[] {
  return state.tasks.flatMap((task) => {
    const frame = holdingFrame(state, task);
    return frame ? [{ task, frame }] : [];
  });
}

/**
 * Tasks that may hold the transition, or not: they run in the kernel, outside of what is patched, and whether they happen to
 * be off their CPU when they are looked at is chance (klp_try_switch_task, kernel/livepatch/transition.c).
 */
export function stragglers(state: State): readonly Task[] {
  if (state.transition?.phase !== 'running' || state.transition.forced) return [];
  return state.tasks.filter((task) => task.activity === 'running' && !holdingFrame(state, task));
}

/**
 * The state with a holder taken out of the function and back into it by a signal that user space does not see: it has
 * switched in between (klp_send_signals, 5.1 and later).
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

