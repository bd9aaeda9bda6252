// SPDX-License-Identifier: MIT
import { clause as clauseOf } from '../model/catalogue/index.js';
import { type Verdict, worst } from '../model/verdict.js';
import type { Journal } from './journal.js';
import type { ScenarioResult } from './results.js';
import type { PastKernel } from './resume.js';

export interface ClauseResult {
  readonly clause: string;
  readonly verdict: Verdict;
  readonly scenarios: readonly string[];
  /** Of a scenario that gave the verdict. */
  readonly note?: string | undefined;
}

/** Over several scenarios a clause takes the worst. */
export function clauseResults(results: readonly Pick<ScenarioResult, 'scenario' | 'clauses'>[]): readonly ClauseResult[] {
  const parts = results.flatMap((r) => r.clauses.map((c) => ({ ...c, scenario: r.scenario })));
  return [...new Set(parts.map((p) => p.clause))].map((clause) => {
    const own = parts.filter((p) => p.clause === clause);
    const verdict = worst(own.map((p) => p.verdict));
    const note = own.find((p) => p.verdict === verdict)?.note;
    return { clause, verdict, scenarios: [...new Set(own.map((p) => p.scenario))], note };
  });
}

/**
 * Writes the verdict of each clause on a kernel whose scenarios are all done.
 *
 * @param past of a resumed run: what was written then is not written again, unless a scenario has run since
 * @returns the verdicts, those written then included
 */
export function judgeClauses(
  journal: Journal,
  kernel: string,
  results: readonly ScenarioResult[],
  past?: PastKernel,
): readonly Verdict[] {
  const same = results.every((r) => past?.finished.get(r.scenario)?.result === r);
  const written = past && same ? past.judged : new Map<string, Verdict>();
  const judged = clauseResults(results);
  for (const { clause, verdict, scenarios, note } of judged) {
    if (written.get(clause) === verdict) continue;
    const { statement } = clauseOf(clause);
    journal.emit('clause.judged', { kernel, clause, statement, verdict, scenarios: [...scenarios], ...(note === undefined ? {} : { note }) });
  }
  return judged.map((c) => c.verdict);
}
