// SPDX-License-Identifier: MIT
import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { UsageError, messageOf } from '../errors.js';
import { eventsJsonSchema } from '../events/json-schema.js';
import type { KlpEvent } from '../events/schema.js';
import { resultsJsonSchema } from '../report/json-schema.js';
import type { Reporter } from '../report/reporter.js';
import { createReporter, reporterNames } from '../report/reporters.js';
import { jsonText } from '../report/text.js';
import { combineRuns } from '../runner/combine.js';
import { thisHost } from '../runner/run.js';
import { display, plainDisplay } from './outputs.js';
import { type ReadRun, readRuns, usualRun } from './report-input.js';
import { reportCertificateCommand } from './report-certificate.js';
import { reportDiffCommand } from './report-diff.js';
import { reportTrendCommand } from './report-trend.js';
import { say } from './say.js';

interface ReportWords {
  readonly format: string;
  readonly output?: string;
  readonly schema?: keyof typeof schemas;
}

/** What the forms for programs are described by; docs/schema has both as files. */
const schemas = { results: resultsJsonSchema, events: eventsJsonSchema } as const;

/** `klp report [RUN…]`: a run's journal, or several runs' together, in any form. Runs nothing and judges nothing anew. */
export function reportCommand(done: (status: number) => void): Command {
  return new Command('report')
    // Behind the name of a subcommand, --format and --output are the subcommand's.
    .enablePositionalOptions()
    .addCommand(reportDiffCommand(done))
    .addCommand(reportTrendCommand())
    .addCommand(reportCertificateCommand())
    .description('show a run again, or several as one, in any form')
    .argument('[run...]', `folders of klp-results, or journals (default: ${usualRun})`)
    .option('--format <name>', `what to print: ${reporterNames.join(', ')}`, 'list')
    .option('--output <file>', 'where it goes, instead of standard output')
    .addOption(new Option('--schema <what>', 'print the JSON Schema of results.json, or of an event of a journal, and end').choices(Object.keys(schemas)))
    .action(async (words: readonly string[], { format, output, schema }: ReportWords) => {
      if (schema !== undefined) {
        await write(`${jsonText(schemas[schema](), 2)}\n`, output);
        return;
      }
      const reporter = createReporter(format, output === undefined ? display() : plainDisplay);
      const runs = await readRuns(words);
      for (const { notice } of runs) if (notice !== undefined) say(`klp: ${notice}`);
      await write(replay(reporter, eventsOf(runs)), output);
    });
}

/** Of one run its own events, of several those of one run that has them all. */
function eventsOf(runs: readonly ReadRun[]): readonly KlpEvent[] {
  const [run, ...others] = runs;
  if (run && others.length === 0) return run.events;
  const { events, notes } = combineRuns(runs, { command: ['klp', ...process.argv.slice(2)], host: thisHost() });
  for (const note of notes) say(`klp: ${note}`);
  return events;
}

/** What a reporter makes of a stream of events. */
export function replay(reporter: Reporter, events: readonly KlpEvent[]): string {
  return events.map((event) => reporter.event(event)).join('') + reporter.end();
}

/** Text to standard output, or into a file. @throws UsageError when it can't be written */
export async function write(text: string, file: string | undefined): Promise<void> {
  if (file === undefined) {
    process.stdout.write(text);
    return;
  }
  await writeFile(file, text).catch((cause: unknown) => {
    throw new UsageError(`can't write ${file}: ${messageOf(cause)}`, { cause });
  });
}
