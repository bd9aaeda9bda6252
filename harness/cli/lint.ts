// SPDX-License-Identifier: MIT
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { type ElfObject, ElfError, type LintedFile, explained, klpSections, klpSymbols, lint, lintJson, lintLines, lintPage, lintSarif, modinfo, readObject } from '../elf/index.js';
import { ExitStatus, UsageError, messageOf } from '../errors.js';
import { type ModuleFile, isModuleFile, moduleFile, modulesOf } from '../modules/packed.js';
import { confusionOf, confusionPage, unexplained } from '../report/confusion.js';
import { resultsSchema } from '../report/results-schema.js';
import { clean, jsonText, plural } from '../report/text.js';
import { Bench } from '../runner/bench.js';
import { LintTables } from '../runner/lint-tables.js';
import { parseAccel } from '../vm/accel.js';
import { interruptible } from './interrupt.js';
import type { GuestOptions } from './one-guest.js';
import { oneMore, withKernelOptions } from './run.js';
import { say } from './say.js';
import { chooseKernels } from './select.js';

interface LintWords extends GuestOptions {
  readonly format: 'text' | 'json' | 'sarif';
  readonly rules?: boolean;
  readonly confusion?: readonly string[] | true;
}

/** Files that are unpacked side by side: `xz` is a process each. */
const together = 4;

/** `klp lint FILE.ko…`: what livepatch's document or a kernel takes exception to. Loads nothing. */
export function lintCommand(done: (status: number) => void, version: string): Command {
  const command = new Command('lint')
    .description('look for what is wrong with livepatch modules, without loading them')
    .argument('[file...]', '.ko, .ko.xz, .ko.zst or .ko.gz, and folders of such')
    .option('--kernel <name>', "a kernel of the catalogue, whose symbols and modules are checked against", oneMore)
    .addOption(new Option('--format <format>', 'what to print').choices(['text', 'json', 'sarif']).default('text'))
    .option('--rules', 'print every rule, as Markdown, and end')
    .option('--confusion [run...]', 'compare the lint with what kernels did in runs of --suite faults (default: the latest), as Markdown, and end');
  withKernelOptions(command);
  return command.action(async (words: readonly string[], options: LintWords) => {
    if (options.rules === true) {
      process.stdout.write(lintPage());
      return;
    }
    if (options.confusion !== undefined) {
      done(await printConfusion(options.confusion === true ? [join('klp-results', 'latest')] : options.confusion));
      return;
    }
    const files = await filesOf(words);
    const tables = options.kernel === undefined && options.image === undefined ? undefined : await tablesOf(options);
    const linted: LintedFile[] = [];
    if (tables) for (const file of files) addTarget(tables, file.name, await file.unpacked());
    for (let i = 0; i < files.length; i += together) {
      const some = files.slice(i, i + together).map(async (file) => ({ file: file.file, bytes: await file.unpacked() }));
      for (const { file, bytes } of await Promise.all(some)) {
        const report = lint(bytes, { kernel: await tables?.with(objectsOf(bytes)) });
        linted.push({ file, report });
        if (options.format !== 'text') continue;
        for (const line of lintLines({ file, report })) process.stdout.write(`${clean(line)}\n`);
      }
    }
    finish(linted, options.format, version);
    done(linted.some(({ report }) => report.findings.some((f) => f.severity === 'error')) ? ExitStatus.conformance : ExitStatus.ok);
  });
}

/**
 * @param runs folders of runs
 * @returns the exit status: 1 for a false alarm or a miss that nothing explains
 * @throws UsageError for a folder without results, or without modules that a kernel was given
 */
async function printConfusion(runs: readonly string[]): Promise<number> {
  const results = await Promise.all(
    runs.map(async (run) => {
      const file = join(run, 'results.json');
      try {
        return resultsSchema.parse(JSON.parse(await readFile(file, 'utf8')));
      } catch (error) {
        throw new UsageError(`${file}: ${messageOf(error)}`, { hint: 'klp run --suite faults leaves such a folder' });
      }
    }),
  );
  const confusion = confusionOf(results);
  if (confusion.trials.length === 0) {
    throw new UsageError(`no kernel was given a module of --suite faults in ${runs.join(', ')}`, { hint: 'klp run --suite faults' });
  }
  process.stdout.write(confusionPage(confusion, explained));
  return unexplained(confusion, explained).length > 0 ? ExitStatus.conformance : ExitStatus.ok;
}

function finish(linted: readonly LintedFile[], format: LintWords['format'], version: string): void {
  if (format !== 'text') {
    process.stdout.write(`${jsonText(format === 'json' ? lintJson(linted) : lintSarif(linted, version), 2)}\n`);
    return;
  }
  const count = (severity: string): number =>
    linted.reduce((sum, { report }) => sum + report.findings.filter((f) => f.severity === severity).length, 0);
  const found = [plural(count('error'), 'error'), plural(count('warning'), 'warning')].join(', ');
  process.stdout.write(`${plural(linted.length, 'module')}: ${found}\n`);
}

/** @throws UsageError for what is no module file, and a folder that has none */
async function filesOf(words: readonly string[]): Promise<readonly ModuleFile[]> {
  if (words.length === 0) throw new UsageError('which modules?', { hint: 'klp lint FILE.ko…' });
  const files: ModuleFile[] = [];
  for (const word of words) {
    const found = await stat(word).catch((error: unknown) => {
      throw new UsageError(`${word}: ${messageOf(error)}`);
    });
    if (!found.isDirectory()) {
      if (!isModuleFile(word)) throw new UsageError(`${word} is no module`, { hint: 'files end in .ko, .ko.xz, .ko.zst or .ko.gz' });
      files.push(moduleFile(word));
      continue;
    }
    const below = await modulesOf(word);
    if (below.length === 0) throw new UsageError(`there is no module in ${word}`);
    files.push(...below);
  }
  return files;
}

/** @throws UsageError for more than one kernel */
async function tablesOf(options: LintWords): Promise<LintTables> {
  const [choice, ...others] = await chooseKernels(options);
  if (!choice || others.length > 0) throw new UsageError('one kernel at a time');
  const { signal, release } = interruptible();
  try {
    const kernel = await choice.acquire(say);
    return await LintTables.open(kernel, async (use) => {
      await using bench = await Bench.start({ kernel, accel: parseAccel(options.accel), progress: say, signal });
      return await use(bench.guest);
    });
  } finally {
    release();
  }
}

function read(bytes: Uint8Array): ElfObject | undefined {
  try {
    return readObject(bytes);
  } catch (error) {
    if (error instanceof ElfError) return undefined;
    throw error;
  }
}

/** A module beside the livepatches may be what they patch. */
function addTarget(tables: LintTables, name: string, bytes: Uint8Array): void {
  const object = read(bytes);
  if (object && klpSections(object).length === 0) tables.add(modinfo(object, 'name') ?? name, object);
}

/** Objects that a module's livepatch sections and symbols name. */
export function objectsOf(bytes: Uint8Array): ReadonlySet<string> {
  const object = read(bytes);
  if (!object) return new Set();
  const named = [...klpSections(object), ...klpSymbols(object)].map(({ parsed }) => parsed?.object ?? 'vmlinux');
  return new Set(named);
}
