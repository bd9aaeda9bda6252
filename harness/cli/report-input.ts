// SPDX-License-Identifier: MIT
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { UsageError } from '../errors.js';
import { readJournal } from '../runner/journal-reader.js';
import type { InputRun } from '../runner/combine.js';
import { settled } from '../runner/settled.js';

/** What a report is made of when no run is named. */
export const usualRun = 'klp-results/latest';

/** A run as the command line named it. */
export interface ReadRun extends InputRun {
  /** What a reader should be told of a journal that does not end as it should. */
  readonly notice?: string;
}

/**
 * Reads the runs that words name: folders of runs, or journals themselves; {@link usualRun} for none. The same journal under
 * two names (`latest` and its own) is read once.
 *
 * @throws UsageError when there is no journal, or it is damaged otherwise than at its end
 */
export async function readRuns(words: readonly string[]): Promise<readonly ReadRun[]> {
  const files = await Promise.all((words.length > 0 ? words : [usualRun]).map(journalOf));
  return Promise.all([...new Set(files)].map(readRun));
}

async function readRun(path: string): Promise<ReadRun> {
  const file = relative('.', path);
  const { events, notice } = await readJournal(file);
  return { file, events: settled(events), ...(notice === undefined ? {} : { notice }) };
}

/** The real path of the journal that a word stands for. */
async function journalOf(word: string): Promise<string> {
  const found = await stat(word).catch((cause: unknown) => {
    const hint = word === usualRun ? 'klp run leaves one; or name a run: klp report RUN' : 'name a folder of klp-results, or a journal.ndjson';
    throw new UsageError(`there is no run ${word}`, { cause, hint });
  });
  if (!found.isDirectory()) return realpath(word);
  const path = join(word, 'journal.ndjson');
  return realpath(path).catch(async (cause: unknown) => {
    const names = await readdir(word);
    const runs = names.filter((name) => /^\d{8}-\d{6}-/.test(name)).sort();
    const hint = runs.length > 0 ? `name one of the runs in it, as ${join(word, runs.at(-1) ?? '')}` : 'name a folder of klp-results, or a journal.ndjson';
    throw new UsageError(`there is no run in ${word}: it has no journal.ndjson`, { cause, hint });
  });
}
