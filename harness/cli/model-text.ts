// SPDX-License-Identifier: MIT
import type { LogLine, Outcome } from '../model/operations/index.js';
import type { DryResult, DryStep, Expectation } from '../runner/dry-run.js';

/** One step of a dry run, for a person. */
export function stepLines(step: DryStep): readonly string[] {
  const head = `${step.number}. ${step.what}`;
  if (step.kind === 'witness') return [head];
  const judged = step.judgements
    .filter((j) => j.verdict !== 'pass')
    .map((j) => `     ${j.verdict}: ${j.clause}: ${j.what}: ${j.seen}; allowed: ${j.mainline.allowed}${j.note === undefined ? '' : ` (${j.note})`}`);
  if (step.kind === 'observation') return [head, ...step.expected.flatMap(expectationLines), ...judged];
  const { allowed, answer } = step;
  const outcomes = allowed.flatMap((o) => outcomeLines(o, sameOutcome(o, answer.outcome)));
  const none = allowed.length === 0 ? ['     the model does not say'] : [];
  return [head, ...none, ...outcomes, ...judged, ...step.states.map((text) => `     → ${text}`)];
}

/** Two answers of the rules that a person cannot tell apart. */
function sameOutcome(a: Outcome, b: Outcome | undefined): boolean {
  return a.errno === b?.errno && a.clause === b.clause && a.because === b.because && a.oracle === b.oracle;
}

function outcomeLines({ errno, clause, because, oracle, forbidden, log, unlogged }: Outcome, taken: boolean): readonly string[] {
  const notes = [oracle === 'documents' ? 'so the documents; mainline does otherwise' : '', forbidden ? 'mainline; the documents forbid it' : ''];
  const note = notes.filter((text) => text !== '').map((text) => ` (${text})`).join('');
  return [
    `   ${taken ? '*' : ' '} ${errno.padEnd(7)} ${(clause ?? '').padEnd(7)} ${because}${note}`,
    ...log.map((line) => `       log     ${line.clause.padEnd(7)} ${textOf(line)}`),
    ...unlogged.map((line) => `       no log  ${line.clause.padEnd(7)} ${textOf(line)}`),
  ];
}

/** The pattern as it would be written outside of slashes. */
function textOf({ pattern }: LogLine): string {
  return pattern.source.replaceAll(String.raw`\/`, '/');
}

function expectationLines({ clause, what, allowed, documents }: Expectation): readonly string[] {
  return [
    `     ${clause.padEnd(7)} ${what}: ${allowed.join(' or ')}`,
    ...documents.map((text) => `     ${''.padEnd(7)} (so mainline; the documents demand: ${text})`),
  ];
}

/** What the scenario came to, for a person. */
export function resultLines({ verdict, reason, judgements }: DryResult): readonly string[] {
  const clauses = [...new Set(judgements.map((j) => j.clause))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return ['', `${verdict}${reason === undefined ? '' : `: ${reason}`}`, ...(clauses.length > 0 ? [`judged: ${clauses.join(' ')}`] : []), ''];
}

/** One step as data; patterns as text. */
export function stepJson(step: DryStep): object {
  const { number, what, kind, states, judgements } = step;
  const head = { step: number, kind, what };
  const judged = judgements.map(({ clause, what: of, seen, verdict, note }) => ({ clause, what: of, seen, verdict, note }));
  if (step.kind === 'witness') return head;
  if (step.kind === 'observation') return { ...head, seen: step.seen, expected: step.expected, judged, states };
  const allowed = step.allowed.map(({ errno, clause, because, oracle, forbidden, log, unlogged }) => {
    const lines = (all: Outcome['log']): object[] => all.map((l) => ({ clause: l.clause, pattern: textOf(l) }));
    return { errno, clause, because, oracle, forbidden, log: lines(log), unlogged: lines(unlogged) };
  });
  return { ...head, operation: step.op, allowed, taken: step.answer.errno, judged, states };
}
