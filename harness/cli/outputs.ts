// SPDX-License-Identifier: MIT
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Display, Reporter } from '../report/reporter.js';
import { createReporter } from '../report/reporters.js';
import type { Output } from '../runner/journal.js';

/** Files every run leaves, by reporter. */
const files = { tap: 'results.tap', json: 'results.json', markdown: 'summary.md' } as const;

/**
 * Where a run's events are shown: the chosen reporter on standard output, the others in files of the run's folder.
 * @param shown as {@link createReporter} made it, before anything was begun
 */
export function outputs(name: string, shown: Reporter, directory: string): readonly Output[] {
  return [
    { name, reporter: shown, write: (text) => void process.stdout.write(text) },
    ...Object.entries(files).map(([reporter, file]) => fileOutput(reporter, join(directory, file))),
  ];
}

/** What a file is. */
export const plainDisplay: Display = { colour: false, live: false, columns: 80 };

/** What standard output is. */
export function display(): Display {
  const { NO_COLOR, FORCE_COLOR, CI } = process.env;
  const terminal = process.stdout.isTTY;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== '0';
  const plain = NO_COLOR !== undefined && NO_COLOR !== '';
  return {
    colour: forced || (terminal && !plain),
    live: terminal && CI === undefined,
    columns: process.stdout.columns || 80,
  };
}

/**
 * Written at once: what fails is this reporter's fault alone, and what a killed run had reported is in the file. What an
 * earlier part of a resumed run has left is written anew.
 */
function fileOutput(name: string, file: string): Output {
  rmSync(file, { force: true });
  const reporter = createReporter(name, plainDisplay);
  return { name, reporter, write: (text) => appendFileSync(file, text) };
}
