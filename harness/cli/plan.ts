// SPDX-License-Identifier: MIT
import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { type CatalogueEntry, catalogue, findKernel } from '../../kernels/catalogue.js';
import { parseArch } from '../arch.js';
import { UsageError, messageOf } from '../errors.js';
import { type Durations, readDurations } from '../runner/durations.js';
import { type Plan, makePlan } from '../runner/plan.js';
import { mostShards, split } from '../runner/shard.js';
import { type MatrixFormat, matrixFormats, matrixText } from './matrix.js';
import { oneMore, wholeNumber } from './run.js';
import { say } from './say.js';
import { chooseScenarios } from './select.js';

interface PlanWords {
  readonly kernel?: readonly string[];
  readonly kernels?: string;
  readonly arch?: string;
  readonly grep?: string;
  readonly shards?: number;
  readonly format: MatrixFormat;
  readonly output?: string;
}

/** `klp plan`: splits scenarios on kernels into shards, and prints them as a CI system's matrix. Boots and fetches nothing. */
export function planCommand(harness: string): Command {
  return new Command('plan')
    .description('split scenarios on kernels into shards, and print the matrix for a CI system')
    .argument('[scenario...]', 'ids, or files that export scenarios; all when left out')
    .option('--kernel <name>', 'a kernel of the catalogue; may be given again; all when left out', oneMore)
    .option('--kernels <names>', 'the same, several with commas')
    .option('--arch <arch>', 'only kernels of this architecture')
    .option('--grep <regexp>', 'only scenarios whose id, title or clauses match')
    .option('--shards <n>', 'how many (default: one for each kernel)', wholeNumber(1))
    .addOption(new Option('--format <format>', 'what to print').choices(matrixFormats).default('json'))
    .option('--output <file>', 'write the plan to this file, for klp run --plan')
    .action(async (words: readonly string[], options: PlanWords) => {
      const kernels = await plannedKernels(options);
      const chosen = await chooseScenarios(words, options.grep);
      const scenarios = chosen.map((c) => c.scenario.id);
      const most = Math.min(mostShards, kernels.length * scenarios.length);
      const shards = options.shards ?? Math.min(kernels.length, most);
      if (shards > most) say(`klp: ${shards} shards are more than there is to split; the plan has ${most}`);
      // Without livepatch most scenarios are n/a there, which takes no time and is not recorded.
      const none = chosen.filter((c) => c.scenario.needs.includes('livepatch')).map((c) => [c.scenario.id, 0] as const);
      const read = async (k: CatalogueEntry): Promise<Durations> => new Map([...(k.livepatch ? [] : none), ...(await readDurations(k.name, k.arch))]);
      const recorded = new Map(await Promise.all(kernels.map(async (k) => [k.name, await read(k)] as const)));
      const names = kernels.map((k) => k.name);
      const parts = split(names, scenarios, (kernel) => recorded.get(kernel) ?? new Map<string, number>(), Math.min(shards, most));
      const choice = { words: [...words], ...(options.grep === undefined ? {} : { grep: options.grep }), kernels: names, scenarios };
      // What stays empty would be a job for nothing.
      const plan = makePlan(choice, harness, parts.filter((p) => p.length > 0));
      if (options.output !== undefined) await write(options.output, plan);
      process.stdout.write(matrixText(options.format, plan, kernels));
    });
}

async function plannedKernels(options: PlanWords): Promise<readonly CatalogueEntry[]> {
  const names = [...(options.kernel ?? []), ...(options.kernels?.split(',') ?? [])].map((n) => n.trim()).filter((n) => n !== '');
  const named = names.length > 0 ? await Promise.all(names.map((n) => findKernel(n))) : await catalogue();
  const distinct = [...new Map(named.map((k) => [k.name, k])).values()];
  if (options.arch === undefined) return distinct;
  const arch = parseArch(options.arch);
  const kept = distinct.filter((k) => k.arch === arch);
  if (kept.length === 0) throw new UsageError(`none of the kernels is for ${arch}`, { hint: 'npx klp kernels list shows them' });
  return kept;
}

async function write(file: string, plan: Plan): Promise<void> {
  await writeFile(file, `${JSON.stringify(plan, undefined, 1)}\n`).catch((cause: unknown) => {
    throw new UsageError(`can't write the plan ${file}: ${messageOf(cause)}`, { cause });
  });
}
