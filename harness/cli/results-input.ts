// SPDX-License-Identifier: MIT
import { readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { UsageError, messageOf } from '../errors.js';
import { Collector } from '../report/collect.js';
import { type Results, resultsSchema, resultsVersion } from '../report/results-schema.js';
import { readJournal } from '../runner/journal-reader.js';

/** The results of a run as the command line named it. */
export interface ReadResults {
  /** What was read, relative to the working directory. */
  readonly file: string;
  readonly results: Results;
  /** What a reader should be told of it. */
  readonly notice?: string;
}

/**
 * Reads what a run came to. `word` is a run's folder (its results.json; its journal where there is none, since it is written
 * at a run's end), or one of these files, told apart by the name's ending.
 *
 * @throws UsageError when there is none, or it is damaged or of another version
 */
export async function readResults(word: string): Promise<ReadResults> {
  const found = await stat(word).catch((cause: unknown) => {
    throw new UsageError(`there is no run ${word}`, { cause, hint: 'name a run\'s folder in klp-results, its results.json or its journal' });
  });
  if (!found.isDirectory()) return word.endsWith('.json') ? fromJson(word) : fromJournal(word);
  const [json, journal] = [join(word, 'results.json'), join(word, 'journal.ndjson')];
  if (await isFile(json)) return fromJson(json);
  if (await isFile(journal)) return fromJournal(journal);
  throw new UsageError(`there is no run in ${word}: it has neither results.json nor journal.ndjson`, { hint: 'name a run\'s folder in klp-results' });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

async function fromJson(path: string): Promise<ReadResults> {
  const file = relative('.', path);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new UsageError(`can't read ${file}: ${messageOf(cause)}`, { cause });
  });
  return { file, results: parseResults(text, file) };
}

/** @throws UsageError that says what is wrong with the text of a results.json */
function parseResults(text: string, file: string): Results {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${file}: not JSON: ${messageOf(cause)}`, { cause });
  }
  const v = typeof raw === 'object' && raw !== null && 'v' in raw ? raw.v : undefined;
  if (typeof v === 'number' && v !== resultsVersion) throw new UsageError(`${file}: results version ${v}; this klp reads version ${resultsVersion}`);
  const parsed = resultsSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new UsageError(`${file}: no results of a run`, { details: z.prettifyError(parsed.error).split('\n').slice(0, 8) });
}

async function fromJournal(path: string): Promise<ReadResults> {
  const file = relative('.', path);
  const { events, notice } = await readJournal(file);
  if (events[0]?.type !== 'run.started') throw new UsageError(`${file}: the run was stopped before it began`);
  const collector = new Collector();
  for (const event of events) collector.add(event);
  return { file, results: collector.results(), ...(notice === undefined ? {} : { notice }) };
}
