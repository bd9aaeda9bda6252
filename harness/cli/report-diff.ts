// SPDX-License-Identifier: MIT
import { Command, Option } from 'commander';
import { ExitStatus, UsageError } from '../errors.js';
import { type Pair, type Side, compare } from '../report/compare.js';
import { comparePage } from '../report/compare-page.js';
import type { PageForm } from '../report/page.js';
import { formed } from './report-page.js';
import { write } from './report.js';
import { readResults } from './results-input.js';
import { say } from './say.js';

interface DiffWords {
  readonly kernel?: readonly string[];
  readonly format: PageForm;
  readonly output?: string;
}

/** `klp report diff A B`: what got better, worse, appeared or vanished from one run, or kernel, to another (docs/compare.md). */
export function reportDiffCommand(done: (status: number) => void): Command {
  return new Command('diff')
    .description('what got better, worse, appeared or vanished between two runs or kernels')
    .argument('<a>', 'a run\'s folder, its results.json or its journal: what was')
    .argument('<b>', 'the same: what is')
    .option('--kernel <a=b>', 'compare this kernel of A with that of B; NAME alone for the same name in both; may be given again', collected)
    .addOption(new Option('--format <name>', 'text, markdown or html').choices(['text', 'markdown', 'html']).default('text'))
    .option('--output <file>', 'where it goes, instead of standard output')
    .action(async (a: string, b: string, { kernel = [], format, output }: DiffWords) => {
      const pairs = kernel.map(pairOf);
      const [was, is] = [await side(a), await side(b)];
      const comparison = compare(was, is, pairs);
      await write(formed(comparePage(comparison), format, output), output);
      done(comparison.worse ? ExitStatus.conformance : ExitStatus.ok);
    });
}

async function side(word: string): Promise<Side> {
  const { results, notice } = await readResults(word);
  if (notice !== undefined) say(`klp: ${notice}`);
  return { name: word, results };
}

function collected(word: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, word];
}

/** @throws UsageError unless it is `A=B` or one name */
function pairOf(word: string): Required<Pair> {
  const [a = '', b = a, ...more] = word.split('=');
  if (a === '' || b === '' || more.length > 0) throw new UsageError(`--kernel ${word}: give a kernel of A and one of B, as bookworm-x86_64=mine`);
  return { a, b };
}
