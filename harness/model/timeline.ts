// SPDX-License-Identifier: MIT
import type { State } from './state.js';
import { holders } from './tasks.js';

/*
 * Where a thread may be in the course of time: its patch_state is -1 at rest, and in a transition goes from the initial to
 * the target state once (livepatch.txt 97-103); a reversal leaves it where it is, and turns the way round (168-171).
 */

/** What patch_state can read. */
export const readings = [-1, 0, 1] as const;

/** What a thread may read in one of several states. */
export function allowedReadings(states: readonly State[], tid: number): ReadonlySet<number> {
  return new Set(states.flatMap((state) => readingsIn(state, tid)));
}

function readingsIn(state: State, tid: number): readonly number[] {
  const { transition } = state;
  if (!transition) return [-1];
  const { target } = transition;
  if (transition.phase === 'finishing') return [target, -1];
  return holds(state, tid) ? [1 - target] : [0, 1];
}

function holds(state: State, tid: number): boolean {
  return holders(state).some((h) => h.task.tid === tid);
}

/** What a thread may read when a transition has begun, by what it may have read before: all begin in the initial state. */
export function begunReadings(states: readonly State[], from: ReadonlySet<number>): ReadonlySet<number> {
  const initial = states.flatMap(({ transition }) => (transition ? [1 - transition.target] : []));
  return from.has(-1) ? new Set([...from, ...initial]) : from;
}

/**
 * What a thread may come to read.
 * @param states those that the kernel may be in after an operation, with what it may do then by itself
 * @param from what the thread may have read at some time
 */
export function reachableReadings(states: readonly State[], tid: number, from: ReadonlySet<number>): ReadonlySet<number> {
  const reach = new Set(from);
  const moves = states.flatMap((state) => movesIn(state, tid));
  // At most two follow on each other: to the target, then to rest.
  for (let i = 0; i < 2; i++) for (const [initial, next] of moves) if (reach.has(initial)) reach.add(next);
  const allowed = allowedReadings(states, tid);
  return new Set([...reach].filter((value) => allowed.has(value)));
}

type Move = readonly [from: number, to: number];

/** Ways that a thread may go by itself in a state. */
function movesIn(state: State, tid: number): readonly Move[] {
  const { transition } = state;
  if (!transition) return [];
  const { target } = transition;
  if (transition.phase === 'finishing') return [[target, -1]];
  return holds(state, tid) ? [] : [[1 - target, target]];
}
