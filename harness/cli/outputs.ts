// SPDX-License-Identifier: MIT
import { appendFileSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError, messageOf } from '../errors.js';
import type { Display, Reporter } from '../report/reporter.js';
import { createReporter, reporterNames } from '../report/reporters.js';
import type { Output } from '../runner/journal.js';

/** Files every run leaves, by reporter. */
const files = { tap: 'results.tap', json: 'results.json', markdown: 'summary.md', html: 'report.html' } as const;

/** What `--reporter` takes, for the help of commands. */
export const reporterHelp = `what to print: ${reporterNames.join(', ')}; NAME=FILE puts it into a file, several with commas between them`;

/** A reporter that was asked for; its text goes to standard output where no file is named. */
export interface Chosen {
  readonly name: string;
  readonly reporter: Reporter;
  readonly file?: string;
}

/** The parts of `list,junit=out.xml`. */
function parts(text: string): readonly { readonly name: string; readonly file?: string }[] {
  return text.split(',').map((part) => {
    const at = part.indexOf('=');
    return at === -1 ? { name: part.trim() } : { name: part.slice(0, at).trim(), file: part.slice(at + 1).trim() };
  });
}

/**
 * The reporters of a command line: names, or `NAME=FILE`. Standard output has `list` where none of them is for it.
 *
 * @param quiet on standard output failures and the summary only
 * @throws UsageError for an unknown name, two for standard output, two for one file, or a file that can't be written; nothing
 *   was begun then
 */
export function chooseReporters(text: string, quiet = false): readonly Chosen[] {
  const asked = parts(text);
  const shown = asked.filter((p) => p.file === undefined);
  if (shown.length > 1) {
    const names = shown.map((p) => p.name);
    throw new UsageError(`--reporter ${text}: standard output is for one of ${names.join(' and ')}`, { hint: `give the others a file: ${names.map((n, i) => (i === 0 ? n : `${n}=FILE`)).join(',')}` });
  }
  const all = shown.length === 0 ? [{ name: 'list' }, ...asked] : asked;
  const chosen = all.map(({ name, file }): Chosen => {
    const reporter = createReporter(name, file === undefined ? display(quiet) : plainDisplay);
    return file === undefined ? { name, reporter } : { name, reporter, file: writable(file, text) };
  });
  const places = chosen.flatMap((c) => c.file ?? []);
  const twice = places.find((file, i) => places.indexOf(file) !== i);
  if (twice !== undefined) throw new UsageError(`--reporter ${text}: ${twice} is there twice`);
  return chosen;
}

/** The same reporters, with files that are found from any folder. */
export function withAbsoluteFiles(text: string): string {
  return parts(text)
    .map(({ name, file }) => (file === undefined || file === '' ? name : `${name}=${resolve(file)}`))
    .join(',');
}

function writable(file: string, text: string): string {
  if (file === '') throw new UsageError(`--reporter ${text}: a file belongs behind the "="`);
  try {
    mkdirSync(dirname(file), { recursive: true });
    closeSync(openSync(file, 'a'));
  } catch (cause) {
    throw new UsageError(`--reporter ${text}: can't write ${file}: ${messageOf(cause)}`, { cause });
  }
  return resolve(file);
}

/**
 * Where a run's events are shown: what was asked for, and the files of the run's folder.
 * @param chosen as {@link chooseReporters} made them, before anything was begun
 */
export function outputs(chosen: readonly Chosen[], directory: string): readonly Output[] {
  return [
    ...chosen.map(({ name, reporter, file }) =>
      file === undefined ? { name, reporter, write: (text: string) => void process.stdout.write(text) } : fileOutput(name, reporter, file),
    ),
    ...Object.entries(files).map(([name, file]) => fileOutput(name, createReporter(name, plainDisplay), join(directory, file))),
  ];
}

/** What a file is. */
export const plainDisplay: Display = { colour: false, live: false, columns: 80 };

/** What standard output is. @param quiet failures and the summary only */
export function display(quiet = false): Display {
  return displayOf(process.stdout, process.env, quiet);
}

/**
 * What a place that text goes to is. Its size is asked for anew each time: a terminal may be resized.
 * NO_COLOR and FORCE_COLOR count unless they are empty (https://no-color.org, https://force-color.org); FORCE_COLOR wins, and 0
 * means none, as it does to Node.
 */
export function displayOf(
  place: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'rows'>,
  { NO_COLOR, FORCE_COLOR, CI, TERM }: NodeJS.ProcessEnv,
  quiet = false,
): Display {
  const said = (word: string | undefined): word is string => word !== undefined && word !== '';
  const able = place.isTTY && TERM !== 'dumb';
  return {
    colour: said(FORCE_COLOR) ? !['0', 'false'].includes(FORCE_COLOR) : able && !said(NO_COLOR),
    live: able && !said(CI),
    // A terminal that does not tell its size says 0.
    get columns() {
      return place.columns || 80;
    },
    get rows() {
      return place.rows || 24;
    },
    quiet,
  };
}

/**
 * Written at once: what fails is this reporter's fault alone, and what a killed run had reported is in the file. What an
 * earlier part of a resumed run has left is written anew.
 */
function fileOutput(name: string, reporter: Reporter, file: string): Output {
  rmSync(file, { force: true });
  return { name, reporter, write: (text) => appendFileSync(file, text) };
}
