// SPDX-License-Identifier: MIT
import type { Paint } from './paint.js';
import { verdictColour } from './paint.js';
import type {
  ByVerdict,
  ClauseResult,
  KernelResult,
  Results,
  ScenarioResult,
  Verdict,
} from './results-schema.js';
import type { Display } from './reporter.js';
import { clean, cleanLines, duration, naturally, plural, wrap } from './text.js';

const order = ['fail', 'error', 'deviates', 'pass', 'n/a'] as const satisfies readonly Verdict[];
const label = 10;
const indent = ' '.repeat(label + 2);
const repeatsShown = 20;

/** Whether a verdict makes the run's exit status other than 0, expectations apart. */
export function isBad(verdict: Verdict, strict: boolean): boolean {
  return verdict === 'fail' || verdict === 'error' || (strict && verdict === 'deviates');
}

/** Whether a result is not as expected. */
export function isNews({ verdict, expected }: Pick<ScenarioResult, 'verdict' | 'expected'>, strict: boolean): boolean {
  return isBad(verdict, strict) && expected === undefined;
}

/** What a result is one part of, or was put together from: `, shard 1 of 4`; '' for a run of its own. */
export function partOf({ shard, merged, combined }: Pick<Results, 'shard' | 'merged'> & { combined?: readonly unknown[] | undefined }): string {
  if (shard) return `, shard ${shard.index} of ${shard.count}`;
  if (merged) return `, merged from ${plural(merged.length, 'shard')}`;
  return combined ? `, put together from ${plural(combined.length, 'run')}` : '';
}

/**
 * Why a run is no whole result, whatever its single results say: its exit status is not 0 either. Undefined when it is one.
 */
export function notWhole(results: Results): string | undefined {
  if (!results.finished) return 'the run did not finish';
  if (results.interrupted) return 'the run was interrupted';
  if (results.missing !== undefined && results.missing.length > 0) return 'shards are missing';
  const { fail, deviates, pass } = results.counts.scenarios;
  // A shard may be all n/a: the merged result is asked.
  return fail + deviates + pass === 0 && !results.shard ? 'nothing was judged' : undefined;
}

/**
 * Identifiers by section, runs of numbers joined: `REG-1…4,7`, `EF-01…53`. A section with many gaps gives
 * several words, so that a line can be wrapped between them.
 */
export function condense(ids: readonly string[]): string[] {
  const sections = new Map<string, string[]>();
  for (const id of [...new Set(ids)].sort(naturally)) {
    const [, section = id, number = ''] = /^(.*?)(?:-([^-]*))?$/.exec(id) ?? [];
    sections.set(section, [...(sections.get(section) ?? []), number]);
  }
  return [...sections].flatMap(([section, numbers]) => {
    const runs: string[][] = [];
    for (const number of numbers) {
      const last = runs.at(-1)?.at(-1);
      const follows =
        last !== undefined &&
        /^\d+$/.test(last) &&
        /^\d+$/.test(number) &&
        Number(number) === Number(last) + 1;
      if (follows) runs.at(-1)?.push(number);
      else runs.push([number]);
    }
    const texts = runs.map((run) =>
      run.length > 2 ? `${run.at(0) ?? ''}…${run.at(-1) ?? ''}` : run.join(','),
    );
    const words: string[] = [];
    for (let i = 0; i < texts.length; i += 8)
      words.push([section, texts.slice(i, i + 8).join(',')].filter(Boolean).join('-'));
    return words;
  });
}

/** `3 fail (1 expected), 120 pass`: what there is none of is left out. */
export function countsText(counts: ByVerdict, expected: Partial<ByVerdict> = {}): string {
  const parts = order
    .filter((verdict) => counts[verdict] > 0)
    .map(
      (verdict) =>
        `${counts[verdict]} ${verdict}${expected[verdict] ? ` (${expected[verdict]} expected)` : ''}`,
    );
  return parts.length > 0 ? parts.join(', ') : 'none';
}

function kernelHead(kernel: KernelResult, paint: Paint): string {
  const about = [kernel.acquired?.release, kernel.acquired?.arch, kernel.booted?.accel].filter(
    (x) => x !== undefined,
  );
  const name = paint('bold', clean(kernel.kernel));
  return about.length > 0 ? `${name}  ${clean(about.join(', '))}` : name;
}

/** A clause with its statement, note and scenarios. */
function clauseLines(clause: ClauseResult, columns: number): string[] {
  const id = clean(clause.clause);
  const rest = `${indent}${' '.repeat(id.length + 1)}`;
  const text = `${clause.expected ? `${clause.verdict}: ` : ''}${clean(clause.statement)}`;
  const note = clause.note === undefined ? [] : wrap(clean(clause.note).split(' '), columns, rest, rest);
  const by = clause.scenarios.map((s) => clean(s));
  return [
    ...wrap(text.split(' '), columns, `${indent}${id} `, rest),
    ...note,
    ...(by.length > 0 ? wrap(['in', ...by], columns, rest, rest) : []),
  ];
}

/** Identifiers only, and what is said of them all. */
function condensedLines(clauses: readonly ClauseResult[], columns: number, note?: string): string[] {
  const ids = wrap(condense(clauses.map((c) => clean(c.clause))), columns, indent, indent);
  return note === undefined
    ? ids
    : [...ids, ...wrap(clean(note).split(' '), columns, `${indent}  `, `${indent}  `)];
}

/** @param notRun scenarios: clauses that are an error because of them alone need no words each */
function kernelSummary(clauses: readonly ClauseResult[], notRun: ReadonlySet<string>, columns: number, paint: Paint): string[] {
  const sorted = [...clauses].sort((a, b) => naturally(a.clause, b.clause));
  const labelled = (text: string, verdict: Verdict, lines: readonly string[]): string[] => {
    const head = `  ${paint(verdictColour[verdict], text.padEnd(label))}`;
    return lines.map((line, i) => (i === 0 ? head + line.slice(indent.length) : line));
  };
  const listed = (text: string, verdict: Verdict, some: readonly ClauseResult[]): string[] =>
    labelled(
      text,
      verdict,
      some.flatMap((c) => clauseLines(c, columns)),
    );
  const unasked = sorted.filter((c) => c.verdict === 'error' && !c.expected && isUnasked(c, notRun));
  const missing = sorted.filter((c) => c.verdict === 'n/a');
  const reasons = [...new Set(missing.map((c) => c.note))];
  const passed = sorted.filter((c) => c.verdict === 'pass');
  return [
    ...(['fail', 'error', 'deviates'] as const).flatMap((verdict) =>
      listed(
        verdict,
        verdict,
        sorted.filter((c) => c.verdict === verdict && !c.expected && !unasked.includes(c)),
      ),
    ),
    ...labelled('not run', 'error', unasked.length > 0 ? condensedLines(unasked, columns, unasked[0]?.note) : []),
    ...listed(
      'expected',
      'deviates',
      sorted.filter((c) => c.expected),
    ),
    ...listed(
      'noted',
      'pass',
      passed.filter((c) => c.note !== undefined),
    ),
    ...labelled(
      'n/a',
      'n/a',
      reasons.flatMap((note) =>
        condensedLines(
          missing.filter((c) => c.note === note),
          columns,
          note,
        ),
      ),
    ),
    ...labelled('pass', 'pass', passed.length > 0 ? condensedLines(passed, columns) : []),
  ];
}

/** Whether the note, which is one of a scenario that gave the verdict, is of one that was not run. */
function isUnasked({ scenarios, note }: ClauseResult, notRun: ReadonlySet<string>): boolean {
  return note?.startsWith('not run') === true && scenarios.some((s) => notRun.has(s));
}

function expectedCounts(results: readonly { verdict: Verdict; expected?: unknown }[]): Partial<ByVerdict> {
  const counts: Partial<ByVerdict> = {};
  for (const { verdict, expected } of results) {
    if (expected !== undefined && expected !== false) counts[verdict] = (counts[verdict] ?? 0) + 1;
  }
  return counts;
}

function repeats(scenarios: readonly ScenarioResult[], paint: Paint): string[] {
  if (scenarios.length === 0) return [];
  const lines = scenarios
    .slice(0, repeatsShown)
    .map((s) => `  ${paint(verdictColour[s.verdict], s.verdict.padEnd(label))}${clean(s.repeat, 4000)}`);
  const left = scenarios.length - lines.length;
  return [
    '',
    paint('bold', 'To repeat what was not as expected:'),
    ...lines,
    ...(left > 0 ? [`  … and ${left} more`] : []),
  ];
}

/**
 * What stands at the end of a run: clauses by kernel, what to repeat, expectations that no longer hold,
 * counts.
 */
export function summarise(results: Results, display: Display, paint: Paint): string {
  const columns = Math.max(40, display.columns);
  const lines: string[] = [];
  for (const kernel of results.kernels) {
    const clauses = results.clauses.filter((c) => c.kernel === kernel.kernel);
    if (clauses.length === 0 && !kernel.failure) continue;
    lines.push('', kernelHead(kernel, paint));
    if (kernel.failure) lines.push(`  no scenario could run: ${clean(kernel.failure.message)}`);
    const notRun = new Set(results.scenarios.filter((s) => s.kernel === kernel.kernel && s.notRun === true).map((s) => s.scenario));
    lines.push(...kernelSummary(clauses, notRun, columns, paint));
  }
  const bad = results.scenarios.filter((s) => isNews(s, results.strict) && s.notRun !== true);
  lines.push(...repeats(bad, paint));
  if (results.staleExpectations.length > 0) {
    lines.push('', paint('bold', 'Expectations that no longer hold:'));
    for (const stale of results.staleExpectations)
      lines.push(...cleanLines(stale).map((line) => `  ${line}`));
  }
  if (results.missing !== undefined && results.missing.length > 0) {
    lines.push('', paint('bold', 'Missing, so that this is no whole result:'));
    for (const missing of results.missing) lines.push(...cleanLines(missing).map((line) => `  ${line}`));
  }
  const { counts } = results;
  const flaky = counts.flaky > 0 ? `; ${counts.flaky} flaky` : '';
  const left = results.scenarios.filter((s) => s.notRun === true).length;
  const notRun = left > 0 ? `; ${left} not run` : '';
  lines.push(
    '',
    `scenarios  ${countsText(counts.scenarios, expectedCounts(results.scenarios))}${notRun}${flaky}`,
    `clauses    ${countsText(counts.clauses, expectedCounts(results.clauses))}`,
    `           ${outcome(results)}`,
  );
  return `${lines.join('\n')}\n`;
}

/** The last line: how the run ended, in words that agree with its exit status. */
function outcome(results: Results): string {
  const profile = `profile ${results.profile}${results.strict ? ', strict' : ''}`;
  const took = `${plural(results.kernels.length, 'kernel')}, ${profile}, ${duration(results.durationMs)}`;
  if (!results.finished) return `the run did not finish: these are the results up to its end (${took})`;
  const ending = results.interrupted ? 'interrupted' : `exit status ${results.exit ?? 0}`;
  return `${ending} (${took})`;
}
