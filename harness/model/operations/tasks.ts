// SPDX-License-Identifier: MIT
import { functionKey } from '../description.js';
import { below, depths, traceOf } from '../reliability.js';
import type { Facts, State } from '../state.js';
import { type Task, doing, isInterrupted, leavesOnSignal, reachableBodies, switched, userTask } from '../tasks.js';
import { type OperationOf, type Outcome, staged } from './types.js';

/**
 * A task enters a function and stays there: it can only be in a body that a call of its reaches. Nothing is known where the
 * kernel's own frames decide, and of a task that comes in the middle of a transition and cannot be unwound: which side it is on.
 */
export function park(state: State, op: OperationOf<'park'>, facts: Facts): readonly Outcome[] {
  const before = state.tasks.find((t) => t.tid === op.tid);
  if (before !== undefined && before.frames.length > 0) return [];
  if (!reachableBodies(state, op.function, before?.tid).includes(op.body)) return [];
  const { tid, by: kind, activity, depth = 0 } = op;
  const way = below(state, op.function, depth, isInterrupted(activity));
  const trace = traceOf(way, facts);
  if (depth > depths.fits && depth < depths.tooDeep) return [];
  if (!trace.reliable && state.transition?.arrived.includes(tid) === false) return [];
  const frames = [{ function: op.function, body: op.body }];
  const task: Task = { tid, kind, activity, frames, below: way, trace, signalled: before?.signalled ?? false };
  return [staged(`task ${tid} ${doing(activity)} in ${op.body} of ${functionKey(op.function)}`, withTask(state, task))];
}

/** A task computes in user space, where every interrupt makes it pass the exit to user mode. */
export function spin(state: State, { tid }: OperationOf<'spin'>): readonly Outcome[] {
  return [staged(`task ${tid} computes in user space`, withTask(state, userTask(tid, 'user space')))];
}

/**
 * A task is stopped and continued. One that sleeps interruptibly leaves the kernel for it, which switches it, and enters
 * the function anew, as its system call is restarted; no other is moved (livepatch.txt 122-124).
 */
export function signal(state: State, { tid }: OperationOf<'signal'>): readonly Outcome[] {
  const task = state.tasks.find((t) => t.tid === tid);
  if (!task) return [];
  if (!leavesOnSignal(task)) return [staged(`task ${tid} takes no signal where it is`, withTask(state, { ...task, signalled: true }))];
  const out = withTask(state, { ...task, frames: [], signalled: true });
  return [staged(`task ${tid} leaves the kernel`, switched(out, tid))];
}

/** A parked task leaves. */
export function release(state: State, op: OperationOf<'release'>): readonly Outcome[] {
  return [staged(`task ${op.tid} leaves`, { ...state, tasks: state.tasks.filter((t) => t.tid !== op.tid) })];
}

function withTask(state: State, task: Task): State {
  const others = state.tasks.filter((t) => t.tid !== task.tid);
  return { ...state, tasks: [...others, task] };
}

/** Somebody holds a patch's kobject, so that an unregister has to wait, or lets go of it. */
export function hold(state: State, op: OperationOf<'hold' | 'let-go'>): readonly Outcome[] {
  const others = state.heldKobjects.filter((name) => name !== op.patch);
  const heldKobjects = op.kind === 'hold' ? [...others, op.patch] : others;
  return [staged(`the kobject of ${op.patch} is ${op.kind === 'hold' ? 'held' : 'let go'}`, { ...state, heldKobjects })];
}
