// SPDX-License-Identifier: MIT
import { functionKey } from '../description.js';
import { type Pair, reachablePairs } from '../passes.js';
import { type Rule, prediction } from './types.js';

/** Passes of some callers: how many reached which two bodies. */
export interface SeenPasses {
  /** A task that is parked, and made them when it was asked to; null for those that do nothing else. */
  readonly caller: number | null;
  readonly pair: Pair;
  readonly count: number;
}

/** No pass reaches what no side has: old and new together (klp_ftrace_handler decides by the state of the task alone). */
export const passesRule: Rule<'passes'> = (state, { functions, passes }) => {
  const callers = [...new Set(passes.map((p) => p.caller))];
  return callers.map((caller) => {
    const own = passes.filter((p) => p.caller === caller);
    const allowed = caller === null ? (state.passing?.pairs ?? []) : reachablePairs(state, functions, caller);
    const fits = ({ pair }: SeenPasses): boolean => allowed.some((a) => a[0] === pair[0] && a[1] === pair[1]);
    const who = caller === null ? '' : ` by thread ${caller}`;
    const what = `passes through ${functions.map(functionKey).join(' and ')}${who}`;
    return prediction('ENA-14', what, own.map(counted).join(', '), allowed.map(both).join(' or ') || 'none', own.every(fits));
  });
};

function counted({ pair, count }: SeenPasses): string {
  return `${count} × ${both(pair)}`;
}

function both(pair: Pair): string {
  return pair.join(' + ');
}
