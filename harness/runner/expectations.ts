// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, UsageError } from '../errors.js';
import type { Failure } from '../events/schema.js';
import { worst } from '../model/verdict.js';
import type { Verdict } from '../model/verdict.js';

export const expectationsVersion = 1;

const text = z.string().trim().min(1, 'must not be empty');
const date = z.iso.date('must be a day that exists, as YYYY-MM-DD');

const entry = z
  .strictObject({
    /** Name of a kernel, or a glob with `*` and `?`; without it the entry holds for all kernels. */
    kernel: text.optional(),
    scenario: text.optional(),
    clause: text.optional(),
    verdict: z.enum(['fail', 'deviates', 'error'], 'must be "fail", "deviates" or "error"'),
    /** Why it is known; shown in every report. */
    reason: text,
    /** Who looks after it. */
    owner: text,
    /** Last day on which the entry counts, in UTC. */
    expires: date,
  })
  .refine((e) => (e.scenario === undefined) !== (e.clause === undefined), {
    error: 'must name either a "scenario" or a "clause"',
  });

const envelope = z.strictObject({
  version: z.literal(expectationsVersion, `must be ${expectationsVersion}`),
  expectations: z.array(z.unknown()),
});

export type Expectation = z.infer<typeof entry>;

/** What one scenario came to on one kernel. */
export interface ScenarioOutcome {
  readonly kernel: string;
  readonly scenario: string;
  readonly verdict: Verdict;
  /** See {@link clauseVerdicts}. */
  readonly clauses: readonly { readonly clause: string; readonly verdict: Verdict; readonly note?: string }[];
  readonly failure?: Failure['kind'] | undefined;
}

/**
 * The clauses of a scenario on one kernel: each judgement, and a clause that the scenario names but never got
 * to judge with the scenario's own verdict when that is error or n/a.
 *
 * @param named     clauses the scenario names
 * @param judgements of its last attempt, in any order; a clause may stand there more than once
 */
export function clauseVerdicts(
  named: readonly string[],
  judgements: ScenarioOutcome['clauses'],
  verdict: Verdict,
): ScenarioOutcome['clauses'] {
  const judged = judgements.map(({ clause, verdict: of }) => ({ clause, verdict: of }));
  if (verdict !== 'error' && verdict !== 'n/a') return judged;
  const left = named.filter((clause) => !judged.some((j) => j.clause === clause));
  return [...judged, ...left.map((clause) => ({ clause, verdict }))];
}

/** An entry that no longer holds. */
export interface StaleExpectation {
  readonly entry: Expectation;
  /** `unmatched` says little after a run of only some scenarios or kernels. */
  readonly why: 'expired' | 'unmatched' | 'changed';
  /** For a person, as in run.finished. */
  readonly text: string;
}

/**
 * @param source the file's text
 * @param file   its name, for messages
 * @throws UsageError that says file, entry (counted from 1) and field
 */
export function parseExpectations(source: string, file: string): readonly Expectation[] {
  let raw: unknown;
  try {
    raw = JSON.parse(source);
  } catch (cause) {
    throw new UsageError(`${file}: not JSON: ${messageOf(cause)}`, { cause });
  }
  const head = envelope.safeParse(raw, { reportInput: true });
  if (!head.success) throw invalid(head.error.issues.map((issue) => `${file}: ${field(issue)}`));
  const problems: string[] = [];
  const entries = head.data.expectations.flatMap((item, i) => {
    const parsed = entry.safeParse(item, { reportInput: true });
    if (parsed.success) return [parsed.data];
    problems.push(...parsed.error.issues.map((issue) => `${file}: entry ${i + 1}: ${field(issue)}`));
    return [];
  });
  if (problems.length > 0) throw invalid(problems);
  return entries;
}

/** @throws UsageError when the file can't be read or is not as docs/verdicts.md describes it */
export function readExpectations(file: string): readonly Expectation[] {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`can't read the expectations file ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseExpectations(source, file);
}

function invalid(problems: readonly string[]): UsageError {
  const [first = '', ...others] = problems;
  return new UsageError(first, { details: others, hint: 'docs/verdicts.md describes the expectations file' });
}

function field(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown field ${issue.keys.map((k) => `"${k}"`).join(', ')}`;
  const path = issue.path.map(String).join('.');
  const missing = issue.code !== 'custom' && issue.input === undefined && path !== '';
  return [path && `"${path}"`, missing ? 'is missing' : issue.message].filter(Boolean).join(' ');
}

/** The file's entries, asked about results. Pure: `today` is given. */
export class Expectations {
  readonly #entries: readonly Expectation[];
  readonly #today: string;

  /** @param today YYYY-MM-DD in UTC; an entry counts through its own day */
  constructor(entries: readonly Expectation[], today: string) {
    this.#entries = entries;
    this.#today = today;
  }

  /**
   * The entries because of which a result is expected: one that names the scenario with this verdict, else
   * one for each clause judged in it that did not pass, where that accounts for the whole verdict. A panic,
   * an oops or a hang that comes on top of failing clauses is news: only an entry that names the scenario
   * covers it.
   *
   * @returns none when the result is not expected; a pass or n/a never is
   */
  covering(outcome: ScenarioOutcome): readonly Expectation[] {
    const { verdict } = outcome;
    if (verdict === 'pass' || verdict === 'n/a') return [];
    const valid = this.#entries.filter((e) => !this.#expired(e) && matchesKernel(e, outcome.kernel));
    const whole = valid.find((e) => e.scenario === outcome.scenario && e.verdict === verdict);
    if (whole) return [whole];
    if (verdict !== 'error' && outcome.failure !== undefined && outcome.failure !== 'assertion') return [];
    const guilty = outcome.clauses.filter((c) => c.verdict !== 'pass' && c.verdict !== 'n/a');
    if (guilty.length === 0 || worst(guilty.map((c) => c.verdict)) !== verdict) return [];
    const found = guilty.map((c) => valid.find((e) => e.clause === c.clause && e.verdict === c.verdict));
    const covering = found.filter((e) => e !== undefined);
    return covering.length === found.length ? [...new Set(covering)] : [];
  }

  /**
   * The reasons of what {@link covering} finds, for scenario.finished; undefined when the result is not
   * expected.
   */
  reason(outcome: ScenarioOutcome): string | undefined {
    const covering = this.covering(outcome);
    return covering.length === 0 ? undefined : [...new Set(covering.map((e) => e.reason))].join('; ');
  }

  /**
   * Entries that have expired, that matched nothing of what ran, or whose subject came to something else
   * everywhere. One whose subject only ever ended in error is kept: nothing was learnt of it.
   */
  stale(outcomes: readonly ScenarioOutcome[]): readonly StaleExpectation[] {
    return this.#entries.flatMap((e): StaleExpectation[] => {
      if (this.#expired(e))
        return [{ entry: e, why: 'expired', text: `${describe(e)}: expired on ${e.expires} (${e.owner})` }];
      const ran = outcomes.filter((o) => matchesKernel(e, o.kernel));
      const seen =
        e.scenario !== undefined
          ? ran.filter((o) => o.scenario === e.scenario).map((o) => o.verdict)
          : ran.flatMap((o) => o.clauses.filter((c) => c.clause === e.clause).map((c) => c.verdict));
      if (seen.length === 0)
        return [
          { entry: e, why: 'unmatched', text: `${describe(e)}: nothing that ran matches (${e.owner})` },
        ];
      if (seen.includes(e.verdict) || seen.every((v) => v === 'error')) return [];
      const now = [...new Set(seen)].join(', ');
      return [{ entry: e, why: 'changed', text: `${describe(e)}: now ${now} (${e.owner})` }];
    });
  }

  #expired(e: Expectation): boolean {
    return e.expires < this.#today;
  }
}

/** An entry in few words: `scenario x on debian-*: expected fail`. */
function describe(e: Expectation): string {
  const subject = e.scenario !== undefined ? `scenario ${e.scenario}` : `clause ${e.clause ?? ''}`;
  return `${subject}${e.kernel === undefined ? '' : ` on ${e.kernel}`}: expected ${e.verdict}`;
}

function matchesKernel(e: Expectation, kernel: string): boolean {
  if (e.kernel === undefined || e.kernel === kernel) return true;
  return glob(e.kernel, kernel);
}

/** `*` and `?` over the whole name. Without a regular expression, so that no pattern takes long. */
export function glob(pattern: string, name: string): boolean {
  let [p, n] = [0, 0];
  let [star, resume] = [-1, 0];
  while (n < name.length) {
    if (pattern[p] === '*') [star, resume, p] = [p, n, p + 1];
    else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) [p, n] = [p + 1, n + 1];
    else if (star !== -1) [p, resume, n] = [star + 1, resume + 1, resume + 1];
    else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
