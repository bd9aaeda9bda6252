// SPDX-License-Identifier: MIT
import type { LogRecord } from '../guest/guest.js';

/** How a script ended, and what it said until then. */
export interface ScriptEnd {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status; 124 and 137 are those of timeout(1). */
  readonly code: number;
}

/** What one case came to. */
export interface CaseResult {
  readonly verdict: 'pass' | 'fail' | 'error' | 'n/a';
  /** Why it is no pass. */
  readonly reason?: string;
  /** What the script said of it: the difference between the logs, its errors. */
  readonly details?: readonly string[];
}

/** KSFT_SKIP of tools/testing/selftests/kselftest.h. */
const skipped = 4;
const timedOut: readonly number[] = [124, 137];

/** Titles of a script's cases, in their order: what it hands to start_test of functions.sh. */
export function casesOf(script: string): string[] {
  return [...script.matchAll(/^\s*start_test "([^"]+)"/gm)].map(([, title = '']) => title);
}

/**
 * What a script's cases came to, by its own words: `TEST: <title> ... ok` or `not ok` (check_result of functions.sh). It ends
 * with the first failure, so that the cases after it are not known: an error each, never a pass. Status 4 says that
 * what is left can't be asked; a case that a script with status 0 has not named was left out by a condition of its own.
 *
 * @param titles of all its cases, in their order
 */
export function caseResults(titles: readonly string[], end: ScriptEnd): ReadonlyMap<string, CaseResult> {
  const results = new Map<string, CaseResult>();
  for (const chunk of end.stdout.split(/^TEST: /m).slice(1)) {
    const title = titles.find((one) => chunk.startsWith(`${one} ... `));
    if (title !== undefined) results.set(title, said(chunk.slice(title.length + ' ... '.length), end));
  }
  const last = [...results.keys()].at(-1);
  const failed = end.code !== 0 && end.code !== skipped;
  if (last !== undefined && failed && [...results.values()].every((r) => r.verdict === 'pass')) results.set(last, died(end));
  for (const title of titles) if (!results.has(title)) results.set(title, unreached(last, end));
  return results;
}

function said(text: string, end: ScriptEnd): CaseResult {
  if (/^ok$/m.test(text.split('\n')[0] ?? '')) return { verdict: 'pass' };
  if (!text.startsWith('not ok')) return died(end);
  const details = text.slice('not ok'.length).trim().split('\n');
  return { verdict: 'fail', reason: 'the kernel log is not what the script expects', details };
}

/** A case that the script did not come to the end of. */
function died(end: ScriptEnd): CaseResult {
  const details = linesOf(end.stderr);
  if (end.code === skipped) return { verdict: 'n/a', reason: skipText(end) };
  if (end.code === 0) return { verdict: 'error', reason: 'the script said neither ok nor not ok', details };
  if (timedOut.includes(end.code)) return { verdict: 'error', reason: 'the script was ended: its time was up', details };
  return { verdict: 'fail', reason: errorText(end) ?? `the script ended with status ${end.code}`, details };
}

function unreached(last: string | undefined, end: ScriptEnd): CaseResult {
  if (end.code === 0) return { verdict: 'n/a', reason: 'the script leaves it out on this kernel, by a condition of its own' };
  if (end.code === skipped) return { verdict: 'n/a', reason: skipText(end) };
  if (last !== undefined) return { verdict: 'error', reason: `not run: the script ended in "${last}"` };
  const why = errorText(end) ?? `status ${end.code}`;
  return { verdict: 'error', reason: `not run: the script ended before its first case: ${why}`, details: linesOf(end.stderr) };
}

function skipText({ stdout, stderr }: ScriptEnd): string {
  const text = /^(?:SKIP|skip all tests): (.*)$/m.exec(`${stderr}\n${stdout}`)?.[1];
  return `the script skips it: ${text ?? 'it does not say why'}`;
}

function errorText({ stderr }: ScriptEnd): string | undefined {
  return /^ERROR: (.*)$/m.exec(stderr)?.[1];
}

function linesOf(text: string): string[] {
  return text.trim() === '' ? [] : text.trim().split('\n').slice(-30);
}

/** A case's part of the kernel log. */
export interface CaseLog {
  readonly records: readonly LogRecord[];
  /** From its beginning to that of the next one; of the last, to the end of the log. */
  readonly milliseconds: number;
}

/** The kernel log, cut where functions.sh says that a case begins; by title. */
export function caseLogs(records: readonly LogRecord[]): ReadonlyMap<string, CaseLog> {
  const begins = records.flatMap((record, at) => {
    const title = /^===== TEST: (.*) =====$/.exec(record.text)?.[1];
    return title === undefined ? [] : [{ title, at, begin: record.microseconds }];
  });
  return new Map(
    begins.map(({ title, at, begin }, i) => {
      const next = begins[i + 1];
      const end = next?.begin ?? records.at(-1)?.microseconds ?? begin;
      return [title, { records: records.slice(at, next?.at), milliseconds: Number(end - begin) / 1000 }];
    }),
  );
}

/** Options that a suite's `config` file asks for and a kernel's configuration has not; test modules are built apart. */
export function missingOptions(config: string, options: ReadonlyMap<string, string>): string[] {
  return [...config.matchAll(/^(CONFIG_\w+)=(\S+)$/gm)]
    .filter(([, name = '', value]) => name !== 'CONFIG_TEST_LIVEPATCH' && options.get(name) !== value)
    .map(([line]) => line);
}
