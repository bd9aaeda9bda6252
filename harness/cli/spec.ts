// SPDX-License-Identifier: MIT
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { scenarios } from '../../scenarios/index.js';
import { ExitStatus, messageOf, UsageError } from '../errors.js';
import { clauses, renderSpecification } from '../model/catalogue/index.js';
import type { ClauseId } from '../model/catalogue/index.js';
import { faultTrials, trialScenario } from '../runner/fault-trials.js';
import { type Scenario, clauseIds } from '../runner/scenario.js';

/**
 * Writes the specification, generated from the clause catalogue, as Markdown pages.
 *
 * @param directory where the pages go; made if it is not there; pages of the same name are overwritten
 * @param coverage  scenario ids by the clause they test
 * @returns the files written, `README.md` first
 * @throws UsageError when the directory cannot be written to
 * @throws UnknownClauseError when a scenario names a clause that is not in the catalogue
 */
export async function writeSpecification(
  directory: string,
  coverage: ReadonlyMap<ClauseId, readonly string[]>,
): Promise<string[]> {
  const pages = renderSpecification(clauses, coverage);
  const written: string[] = [];
  try {
    await mkdir(directory, { recursive: true });
    for (const [name, content] of pages) {
      const file = join(directory, name);
      await writeFile(file, content);
      written.push(file);
    }
  } catch (error) {
    throw new UsageError(`cannot write the specification to ${directory}: ${messageOf(error)}`, {
      hint: 'give a directory that you can write to',
      cause: error,
    });
  }
  return written;
}

/** What judges clauses: scenarios, and the modules of `klp run --suite faults`. */
const judging: readonly Scenario[] = [...scenarios, ...faultTrials.map(trialScenario)];

/** Scenario ids by the clause they test. */
function coverageOf(all: readonly Scenario[]): ReadonlyMap<ClauseId, readonly string[]> {
  const coverage = new Map<ClauseId, string[]>();
  for (const s of all) for (const id of clauseIds(s)) coverage.set(id, [...(coverage.get(id) ?? []), s.id]);
  return coverage;
}

/** `klp spec DIR`. */
export function specCommand(done: (status: number) => void): Command {
  return new Command('spec')
    .description('write the specification, generated from the clause catalogue, as Markdown')
    .argument('<dir>', 'where the pages go')
    .option('--check', 'write nothing; say which pages are out of date, and end with status 1 if any is')
    .action(async (directory: string, options: { readonly check?: boolean }) => {
      if (options.check !== true) {
        for (const file of await writeSpecification(directory, coverageOf(judging))) process.stdout.write(`${file}\n`);
        return;
      }
      for (const [name, content] of renderSpecification(clauses, coverageOf(judging))) {
        const file = join(directory, name);
        if ((await readFile(file, 'utf8').catch(() => '')) === content) continue;
        process.stderr.write(`klp: ${file} is out of date: make spec\n`);
        done(ExitStatus.conformance);
      }
    });
}
