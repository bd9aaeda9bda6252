// SPDX-License-Identifier: MIT
import type { Judgement, ScenarioResult } from './results-schema.js';

/** Lines of a message that are kept; the journal has all. */
const linesKept = 12;

/** What a judgement comes to, in a line: what was checked and seen, what mainline and the documents say. */
export function judgementText({ clause, verdict, what, seen, mainline, documents, note }: Judgement): string {
  const stance = documents.reference === undefined ? documents.stance : `${documents.stance} (${documents.reference})`;
  const allowed = mainline.does ? `mainline does it: ${mainline.allowed}` : `mainline: ${mainline.allowed}`;
  return `${clause} ${verdict}: ${what}: seen ${seen}; ${allowed}; documents: ${stance}${note === undefined ? '' : `; ${note}`}`;
}

/** Why a result is not a pass, from its reason to the reports of the kernel that came with it. Empty for one that is. */
export function why(result: ScenarioResult): string[] {
  const { verdict, reason, failure, judgements, splats } = result;
  if (verdict === 'pass') return [];
  const during = failure?.during === undefined ? '' : ` during ${failure.during}`;
  return [
    ...(reason === undefined ? [] : lines(reason)),
    ...(failure === undefined || failure.message === reason ? [] : lines(`${failure.kind}${during}: ${failure.message}`)),
    ...judgements.filter((j) => j.verdict !== 'pass' && j.verdict !== 'n/a').map(judgementText),
    ...splats.filter((s) => !s.declared).map((s) => `${s.kind}, not declared by the scenario: ${s.lines[0] ?? ''}`),
  ];
}

/** The first line of {@link why}. */
export function shortly(result: ScenarioResult): string {
  return why(result)[0] ?? '';
}

/** What decides whether two bad results are of the same kind: the kind of failure and the clauses, not the wording. */
export function badKind({ failure, judgements }: ScenarioResult): string {
  const clauses = judgements.filter((j) => j.verdict === 'fail' || j.verdict === 'error').map((j) => j.clause);
  return [failure?.kind ?? '', ...[...new Set(clauses)].sort()].join(' ').trim();
}

function lines(text: string): string[] {
  const all = text.split(/\r?\n/, linesKept + 1);
  return all.length > linesKept ? [...all.slice(0, linesKept), '…'] : all;
}
