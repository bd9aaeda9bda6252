// SPDX-License-Identifier: MIT
import { Command, Option } from 'commander';
import { scenarios } from '../../scenarios/index.js';
import { capabilityTexts } from '../model/capabilities.js';
import { catalogueVersion, clauses } from '../model/catalogue/index.js';
import { type Known, measure } from '../report/certificate.js';
import { certificatePage } from '../report/certificate-page.js';
import { clauseIds } from '../runner/scenario.js';
import { formed } from './report-page.js';
import { write } from './report.js';
import { usualRun } from './report-input.js';
import { readResults } from './results-input.js';
import { say } from './say.js';

interface CertificateWords {
  readonly kernel?: string;
  readonly format: 'markdown' | 'html';
  readonly output?: string;
}

/** `klp report certificate [RUN]`: what a run shows of one kernel's livepatch, with all that it rests on (docs/compare.md). */
export function reportCertificateCommand(): Command {
  return new Command('certificate')
    .description('what a run shows of a kernel\'s livepatch, with all that it rests on')
    .argument('[run]', 'a run\'s folder, its results.json or its journal', usualRun)
    .option('--kernel <name>', 'which kernel of the run; may be left out when there is one')
    .addOption(new Option('--format <name>', 'markdown or html').choices(['markdown', 'html']).default('markdown'))
    .option('--output <file>', 'where it goes, instead of standard output')
    .action(async (run: string, { kernel, format, output }: CertificateWords) => {
      const { results, notice } = await readResults(run);
      if (notice !== undefined) say(`klp: ${notice}`);
      await write(formed(certificatePage(measure(results, kernel, known)), format, output), output);
    });
}

/** What this klp could have asked. */
const known: Known = {
  catalogue: catalogueVersion,
  clauses: clauses.map(({ id, statement }) => ({ id, statement })),
  scenarios: scenarios.map((s) => ({ id: s.id, clauses: clauseIds(s) })),
  capabilities: capabilityTexts,
};
