// SPDX-License-Identifier: MIT
import { functionKey } from '../description.js';
import { type State, reachableBodies } from '../state.js';
import { type OperationOf, type Outcome, staged } from './types.js';

/** A task enters a function and sleeps there: it can only be in a body that a call reaches. */
export function park(state: State, op: OperationOf<'park'>): readonly Outcome[] {
  if (!reachableBodies(state, op.function).includes(op.body)) return [];
  const task = { tid: op.tid, frames: [{ function: op.function, body: op.body }] };
  const because = `task ${op.tid} sleeps in ${op.body} of ${functionKey(op.function)}`;
  return [staged(because, { ...state, tasks: [...state.tasks, task] })];
}

/** A parked task leaves. */
export function release(state: State, op: OperationOf<'release'>): readonly Outcome[] {
  const tasks = state.tasks.filter((t) => t.tid !== op.tid);
  return [staged(`task ${op.tid} leaves the function`, { ...state, tasks })];
}

/** Somebody holds a patch's kobject, so that an unregister has to wait, or lets go of it. */
export function hold(state: State, op: OperationOf<'hold' | 'let-go'>): readonly Outcome[] {
  const others = state.heldKobjects.filter((name) => name !== op.patch);
  const heldKobjects = op.kind === 'hold' ? [...others, op.patch] : others;
  return [staged(`the kobject of ${op.patch} is ${op.kind === 'hold' ? 'held' : 'let go'}`, { ...state, heldKobjects })];
}
