// SPDX-License-Identifier: MIT
import { functionKey } from '../description.js';
import { reachablePairs } from '../passes.js';
import type { State } from '../state.js';
import { type OperationOf, type Outcome, staged } from './types.js';

/** Tasks begin to make passes, or end it. */
export function passes(state: State, { functions }: OperationOf<'passes'>): readonly Outcome[] {
  if (!functions) return [staged('no task makes passes any more', { ...state, passing: null })];
  const passing = { functions, pairs: reachablePairs(state, functions) };
  return [staged(`tasks call ${functionKey(functions[0])}, and from within it ${functionKey(functions[1])}`, { ...state, passing })];
}
