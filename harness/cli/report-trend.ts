// SPDX-License-Identifier: MIT
import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError, messageOf } from '../errors.js';
import type { PageForm } from '../report/page.js';
import { jsonText } from '../report/text.js';
import { type LeftOut, type Night, nightOf, trendJson, trendOf } from '../report/trend.js';
import { trendPage } from '../report/trend-page.js';
import { formed } from './report-page.js';
import { write } from './report.js';
import { readResults } from './results-input.js';

/** Folders below DIR that are looked into: an archive has one for a month, a night and a job. */
const deepest = 4;

interface TrendWords {
  readonly last?: number;
  readonly format: PageForm | 'json';
  readonly output?: string;
}

/** `klp report trend DIR`: what many runs show together: first bad runs, flaky scenarios, durations (docs/compare.md). */
export function reportTrendCommand(): Command {
  return new Command('trend')
    .description('many runs: since when what is bad, what is flaky, what takes how long')
    .argument('[dir]', 'a folder with runs somewhere below', 'klp-results')
    .option('--last <n>', 'only the newest of them', count)
    .addOption(new Option('--format <name>', 'text, markdown, html or json').choices(['text', 'markdown', 'html', 'json']).default('text'))
    .option('--output <file>', 'where it goes, instead of standard output')
    .action(async (directory: string, { last, format, output }: TrendWords) => {
      const { nights, leftOut } = await readNights(directory);
      const trend = trendOf(trendOf(nights).nights.slice(-(last ?? nights.length)));
      await write(format === 'json' ? `${jsonText(trendJson(trend, leftOut), 2)}\n` : formed(trendPage(trend, leftOut), format, output), output);
    });
}

function count(word: string): number {
  const number = Number(word);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Give a number of runs, from 1.');
  return number;
}

/**
 * Reads the runs below a folder one after the other, and keeps little of each. Damaged ones are left out, and shards and
 * parts of a run that is there as a whole.
 *
 * @throws UsageError when there is no run that can be read
 */
async function readNights(directory: string): Promise<{ nights: readonly Night[]; leftOut: readonly LeftOut[] }> {
  const folders = await runsBelow(directory);
  if (folders.length === 0) throw new UsageError(`there is no run in ${directory}`, { hint: 'name a folder that has runs\' folders below it, as klp-results' });
  const leftOut: LeftOut[] = [];
  const nights = new Map<string, Night>();
  const parts = new Map<string, string>();
  for (const folder of folders) {
    try {
      const { results } = await readResults(folder);
      const known = nights.get(results.run);
      if (known) leftOut.push({ name: folder, why: `the same run as ${known.name}` });
      else nights.set(results.run, nightOf(folder, results));
      for (const { run } of [...(results.merged ?? []), ...(results.combined ?? [])]) parts.set(run, folder);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      leftOut.push({ name: folder, why: messageOf(error) });
    }
  }
  for (const [run, whole] of parts) {
    const part = nights.get(run);
    if (!part) continue;
    nights.delete(run);
    leftOut.push({ name: part.name, why: `part of ${whole}` });
  }
  if (nights.size === 0) throw new UsageError(`there is no run in ${directory} that can be read`, { details: leftOut.map(({ name, why }) => `${name}: ${why}`) });
  return { nights: [...nights.values()], leftOut };
}

/** Folders with results or a journal, by name. What links lead to (`latest`) is found under its own name, or is not below. */
async function runsBelow(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  const look = async (folder: string, depth: number): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
      throw new UsageError(`can't read ${folder}: ${messageOf(cause)}`, { cause });
    });
    if (entries.some((e) => e.isFile() && (e.name === 'results.json' || e.name === 'journal.ndjson'))) {
      found.push(folder);
      return;
    }
    if (depth === deepest) return;
    for (const entry of entries.sort((x, y) => (x.name < y.name ? -1 : 1))) if (entry.isDirectory()) await look(join(folder, entry.name), depth + 1);
  };
  await realpath(directory).catch((cause: unknown) => {
    throw new UsageError(`there is no folder ${directory}`, { cause });
  });
  await look(directory, 0);
  return found;
}
