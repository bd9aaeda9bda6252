// SPDX-License-Identifier: MIT
import type { FunctionName } from './description.js';
import { type Body, type State, bodyIn, original, stackOf } from './state.js';
import { sidesOf } from './tasks.js';

/*
 * Passes: in one system call a task calls a function, and from within it a second one. The first is on its stack all the
 * time, so nothing can switch the task between the two calls: it sees both on one side (ENA-14).
 */

/** The two functions: the one that is on the stack, and the one that it calls. */
export type PassFunctions = readonly [outer: FunctionName, inner: FunctionName];

/** What one pass reached. */
export type Pair = readonly [outer: Body, inner: Body];

/** Tasks that make passes all the time, and what these may have reached since they were last looked at. */
export interface Passing {
  readonly functions: PassFunctions;
  readonly pairs: readonly Pair[];
}

/** What a pass may reach, by the side of its caller; with two patches the sides differ in one function, perhaps. */
export function reachablePairs(state: State, [outer, inner]: PassFunctions, caller?: number): readonly Pair[] {
  return distinct(sidesOf(state, caller).map((side): Pair => [bodyOn(state, outer, side), bodyOn(state, inner, side)]));
}

/** Which body a caller with this patch_state reaches; only the newest entry asks for it (klp_ftrace_handler). */
function bodyOn(state: State, f: FunctionName, side: 0 | 1): Body {
  const [top, below] = stackOf(state, f);
  if (!top || !state.ftraceOn) return original;
  if (state.transition?.patch !== top.description.name || side === 1) return bodyIn(top, f);
  return below ? bodyIn(below, f) : original;
}

/** The state after an operation: passes that ended before it have reached what was there before. */
export function passedOn(before: State, after: State): State {
  if (!before.passing || !after.passing) return after;
  const pairs = distinct([...after.passing.pairs, ...reachablePairs(after, after.passing.functions)]);
  return { ...after, passing: { ...after.passing, pairs } };
}

function distinct(pairs: readonly Pair[]): readonly Pair[] {
  return [...new Map(pairs.map((pair) => [pair.join(' '), pair])).values()];
}
