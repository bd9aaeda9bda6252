// SPDX-License-Identifier: MIT
import { type Prediction, type Rule, prediction } from './types.js';

/** Which callbacks ran, and in which order: those the clauses have run, and no others. */
export const callbacksRule: Rule<'callbacks'> = (state, { ran }) => {
  const clauses = [...new Set(state.callbacks.map((c) => c.clause))];
  const all = state.callbacks.map((c) => c.text);
  const text = (list: readonly string[]): string => list.join(', ') || 'none';
  const same = (list: readonly string[]): boolean => text(list) === text(ran);
  const what = 'callbacks that ran';
  return (clauses.length === 0 ? ['CBK-1'] : clauses).map((clause): Prediction => {
    const ordinary = prediction(clause, what, text(ran), text(all), same(all));
    if (clause !== 'CBK-7') return ordinary;
    // Of an object that could not be patched, the document has nothing more run.
    const demanded = state.callbacks.filter((c) => c.clause !== 'CBK-7').map((c) => c.text);
    return { ...ordinary, documented: { allowed: text(demanded), holds: same(demanded) } };
  });
};
