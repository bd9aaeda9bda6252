// SPDX-License-Identifier: MIT
import { FoldedReporter } from './folded.js';
import type { KernelResult, Results, ScenarioResult } from './results-schema.js';
import { isNews, partOf } from './summary.js';
import { clean, duration, plural } from './text.js';

/** Rows of each table: a job's summary on GitHub may have 1 MiB. */
const rowsShown = 100;
const order = ['fail', 'error', 'deviates', 'pass', 'n/a'] as const;

/**
 * The `markdown` reporter: a page for the summary of a CI job. Kernels by verdict, what is not as expected with the line that
 * repeats it, what is missing. GitHub-flavoured; all foreign text is escaped.
 */
export class MarkdownReporter extends FoldedReporter {
  protected document(results: Results): string {
    return page(results).join('\n');
  }
}

function page(results: Results): string[] {
  const news = results.scenarios.filter((s) => isNews(s, results.strict));
  const bad = news.filter((s) => s.notRun !== true);
  const profile = `profile ${results.profile}${results.strict ? ', strict' : ''}`;
  return [
    `## ${ending(results)}`,
    '',
    `klp ${text(results.harness)}, clause catalogue ${results.catalogue}, run ${text(results.run)}${partOf(results)}; ${profile}, ${duration(results.durationMs)}`,
    '',
    ...kernelTable(results),
    ...section('Missing', results.missing ?? []),
    ...notAsExpected(bad),
    ...section('Flaky', results.scenarios.filter((s) => s.flaky).map((s) => `${s.kernel} ${s.scenario}: ${s.verdict} on attempt ${s.attempts}`)),
    ...notRun(news.filter((s) => s.notRun === true)),
    ...section('Expectations that no longer hold', results.staleExpectations),
  ];
}

function ending(results: Results): string {
  if (!results.finished) return 'klp: the run did not finish';
  if (results.interrupted) return 'klp: the run was interrupted';
  const words = { 0: 'as expected', 1: 'failures', 3: 'errors' } as const;
  const exit = results.exit ?? 0;
  const missing = results.missing !== undefined && results.missing.length > 0 ? ', and shards are missing' : '';
  return `klp: ${Object.hasOwn(words, exit) ? words[exit as keyof typeof words] : 'ended'}${missing} (exit status ${exit})`;
}

function kernelTable(results: Results): string[] {
  const rows = results.kernels.map((kernel) => {
    const own = results.scenarios.filter((s) => s.kernel === kernel.kernel);
    const counts = order.map((verdict) => {
      const some = own.filter((s) => s.verdict === verdict);
      const expected = some.filter((s) => s.expected !== undefined).length;
      return `${some.length === 0 ? '' : some.length}${expected > 0 ? ` (${expected} expected)` : ''}`;
    });
    return `| ${text(kernel.kernel)} | ${about(kernel)} | ${counts.join(' | ')} |`;
  });
  return [`| kernel | | ${order.join(' | ')} |`, `|---|---|${order.map(() => '--:').join('|')}|`, ...rows, ''];
}

function about({ acquired, booted, failure }: KernelResult): string {
  const words = [acquired?.release, acquired?.arch, booted?.accel, ...(failure ? [`${failure.kind}: ${failure.message}`] : [])];
  return words.filter((w) => w !== undefined).map(text).join(', ');
}

function notAsExpected(bad: readonly ScenarioResult[]): string[] {
  if (bad.length === 0) return [];
  const rows = bad.slice(0, rowsShown).flatMap((s) => {
    const flaky = s.attempts > 1 ? `, attempt ${s.attempts}` : '';
    return [`- **${s.verdict}** ${text(s.kernel)} ${text(s.scenario)}${flaky}: ${text(s.reason ?? s.title)}`, '', ...code(s.repeat), ''];
  });
  const more = bad.length - rowsShown;
  return ['### Not as expected', '', ...rows, ...(more > 0 ? [`… and ${more} more`, ''] : [])];
}

function notRun(left: readonly ScenarioResult[]): string[] {
  const kernels = [...new Set(left.map((s) => s.kernel))];
  const lines = kernels.map((kernel) => {
    const own = left.filter((s) => s.kernel === kernel);
    return `${kernel}: ${plural(own.length, 'scenario')}, ${own[0]?.reason ?? ''}`;
  });
  return section('Not run', lines);
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const more = lines.length - rowsShown;
  return [`### ${title}`, '', ...lines.slice(0, rowsShown).map((line) => `- ${text(line)}`), ...(more > 0 ? [`- … and ${more} more`] : []), ''];
}

/** A block of one line, inside a list item; the fence is longer than any row of backticks in it. */
export function code(line: string): string[] {
  const shown = clean(line, 4000);
  const fence = '`'.repeat(Math.max(3, ...[...shown.matchAll(/`+/g)].map((m) => m[0].length + 1)));
  return [`  ${fence}sh`, `  ${shown}`, `  ${fence}`];
}

/**
 * Foreign text on one line: printable, and without a character that means something to Markdown, HTML, a table, or GitHub
 * (mentions, references, autolinks).
 */
export function text(foreign: string): string {
  const escaped = clean(foreign)
    .replace(/[\\`*_{}[\]()#+!|~^$]/g, (c) => `\\${c}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
  // A zero-width joint would be invisible; an entity is not, and stops mentions and links all the same.
  return escaped.replaceAll('@', '&commat;').replace(/:\/\//g, '&colon;//').replace(/\bwww\./gi, (m) => `${m.slice(0, 3)}&period;`);
}
