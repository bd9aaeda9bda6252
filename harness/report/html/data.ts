// SPDX-License-Identifier: MIT
import type { KernelResult, Results, Verdict } from '../results-schema.js';
import { type ClauseText, type SectionText, clauseText, sectionsOf } from './clauses.js';
import type { EvidenceCollector } from './evidence.js';
import { type Execution, Executions } from './executions.js';
import { cut, cutLines } from './pool.js';
import type { Timeline } from './timeline.js';
import { naturally } from '../text.js';

/** Order of verdicts on the page, worst first. A verdict is its index here. */
export const verdictOrder = ['fail', 'error', 'deviates', 'pass', 'n/a'] as const satisfies readonly Verdict[];

/** One clause on one kernel. `note` is an index of strings, -1 for none. */
export interface Cell {
  readonly kernel: number;
  readonly verdict: number;
  /** Every scenario that kept it from passing is in the expectations file. */
  readonly expected: boolean;
  /** A scenario of it passed only when tried again. */
  readonly flaky: boolean;
  readonly note: number;
  /** Index of lists of scenarios, which are indices of `scenarios`. */
  readonly scenarios: number;
}

/** Cells as the page has them: kernel, verdict, 1 expected + 2 flaky, note, scenarios. */
export type PackedCell = readonly [number, number, number, number, number];

/** What the page shows, as its script reads it. Texts are foreign, and cut. */
export interface PageData {
  readonly v: 1;
  readonly runs: readonly string[];
  readonly catalogue: number;
  readonly profile: string;
  readonly kernels: readonly string[];
  readonly sections: readonly SectionText[];
  readonly clauses: readonly ClauseText[];
  /** By clause. */
  readonly cells: readonly (readonly PackedCell[])[];
  readonly scenarios: readonly { readonly id: string; readonly title: string }[];
  readonly strings: readonly string[];
  readonly steps: readonly (readonly number[])[];
  readonly lists: readonly (readonly number[])[];
  readonly executions: readonly Execution[];
  readonly evidence: readonly unknown[];
  readonly timelines: readonly Timeline[];
}

/** What the page is made of: its data, and what of it stands in the page itself. */
export interface Page {
  readonly results: Results;
  readonly runs: readonly string[];
  readonly kernels: readonly KernelResult[];
  readonly data: PageData;
  readonly cells: readonly (readonly Cell[])[];
}

/**
 * The page of a run.
 * @param results  what the events came to
 * @param evidence what was done and seen
 */
export function pageOf(results: Results, evidence: EvidenceCollector): Page {
  const kernels = new Map(results.kernels.map((k, i) => [k.kernel, i]));
  const ids = [...new Set(results.clauses.map((c) => c.clause))];
  const texts = new Map(results.clauses.map((c) => [c.clause, clauseText(c.clause, c.statement, results.catalogue)]));
  const sections = sectionsOf([...texts.values()]);
  const place = new Map(sections.map((s, i) => [s.id, i]));
  const clauses = ids
    .flatMap((id) => texts.get(id) ?? [])
    .sort((a, b) => (place.get(a.section) ?? 0) - (place.get(b.section) ?? 0) || naturally(a.id, b.id));
  const executions = new Executions(results, evidence, kernels);
  const row = new Map(clauses.map((c, i) => [c.id, i]));
  const cells: Cell[][] = clauses.map(() => []);
  for (const { kernel, clause, verdict, expected, note, scenarios } of results.clauses) {
    cells[row.get(clause) ?? 0]?.push({
      kernel: kernels.get(kernel) ?? 0,
      verdict: verdictOrder.indexOf(verdict),
      expected,
      flaky: scenarios.some((s) => executions.isFlaky(kernel, s)),
      note: note === undefined ? -1 : executions.strings.add(cut(note)),
      scenarios: executions.lists.add(scenarios.map((s) => executions.scenario(s))),
    });
  }
  const { runs } = evidence;
  return {
    results,
    runs,
    kernels: results.kernels,
    cells,
    data: {
      v: 1,
      runs,
      catalogue: results.catalogue,
      profile: results.profile,
      kernels: results.kernels.map((k) => k.kernel),
      sections,
      clauses: clauses.map((c) => ({ ...c, statement: cut(c.statement) })),
      cells: cells.map((of) => of.map((c): PackedCell => [c.kernel, c.verdict, Number(c.expected) + 2 * Number(c.flaky), c.note, c.scenarios])),
      ...executions.data(),
    },
  };
}

/** The words of a failure for the page. */
export function failureOf(failure: NonNullable<KernelResult['failure']>): Record<string, unknown> {
  const { kind, message, during, hint, details, registers } = failure;
  return {
    kind,
    message: cut(message),
    ...(during !== undefined && { during: cut(during) }),
    ...(hint !== undefined && { hint: cut(hint) }),
    ...(details && { details: cutLines(details, 200) }),
    ...(registers && { registers: cutLines(registers, 200) }),
  };
}
