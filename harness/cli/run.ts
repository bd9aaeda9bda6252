// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Command, Option } from 'commander';
import { ExitStatus, UsageError } from '../errors.js';
import type { KeyFiles } from '../modules/sign.js';
import { blobName } from '../runner/blob.js';
import { readExpectations } from '../runner/expectations.js';
import type { Jobs } from '../runner/jobs.js';
import type { RunKernel } from '../runner/kernel-run.js';
import type { PastRun } from '../runner/resume.js';
import { run } from '../runner/run.js';
import { parseShard } from '../runner/shard.js';
import { clauseIds } from '../runner/scenario.js';
import { parseAccel } from '../vm/accel.js';
import { goOn, unattended } from './go-on.js';
import { interruptible } from './interrupt.js';
import { type LastFailedWords, chosenOf, lastFailedWords, nothingFailed } from './last-failed.js';
import { chooseReporters, outputs, reporterHelp } from './outputs.js';
import { chosenThen, resumeWords } from './resume.js';
import { say } from './say.js';
import { chooseKernels } from './select.js';
import { chooseRun, sameShard, type ChosenRun, type WhatToRun } from './shard.js';
import { chooseFaults, chooseSelftests, suites } from './suite.js';
import { beside, besideFor, ownTerminal } from './terminal.js';

export interface RunWords extends WhatToRun {
  readonly list?: boolean;
  readonly suite?: (typeof suites)[number];
  readonly reporter: string;
  readonly output: string;
  readonly accel: string;
  readonly profile: 'mainline' | 'documents';
  readonly strict?: boolean;
  readonly retries: number;
  readonly jobs: Jobs;
  /** True without a folder. */
  readonly resume?: string | true;
  readonly lastFailed?: boolean;
  readonly maxFailures?: number;
  readonly quiet?: boolean;
  readonly expectations?: string;
  readonly fresh?: boolean;
  readonly rdinit?: string;
  readonly bootDeadline?: number;
  readonly pauseOnFailure?: boolean;
  readonly pauseTimeout?: number;
  readonly gdb?: boolean;
  readonly signKey?: string;
  readonly signCert?: string;
}

/** Read when it is there and none is named. */
const usualExpectations = 'klp.expectations.json';

/** A parser of options: a whole number, from `least` on. */
export function wholeNumber(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least) throw new UsageError(`"${text}" is no whole number from ${least} on`);
    return value;
  };
}

function guests(text: string): Jobs {
  return text === 'auto' ? text : wholeNumber(1)(text);
}

/** A parser of options that may be given again. */
export function oneMore(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** Options shared by every command that chooses kernels. */
export function withKernelOptions(command: Command): Command {
  return command
    .option('--arch <arch>', 'architecture: x86_64 (also amd64) or arm64 (also aarch64)')
    .option('--image <file>', 'kernel image brought along; needs --build-dir')
    .option('--build-dir <dir>', 'build directory the image came from')
    .option('--toolchain <word>', 'for modules of --image: a Debian suite, host, or a CROSS_COMPILE prefix')
    .option('--machine <profile>', 'machine profile for --image: pc; mt2731 or virt')
    .option('--modules-dir <dir>', 'lib/modules/<release> of --image, when it lacks drivers built in')
    .addOption(new Option('--boot <what>', 'image: start a bzImage as it is, not the kernel inside it').choices(['auto', 'image']).default('auto'))
    .option('--append <words>', "words for the kernel's command line; the judged guest has none")
    .addOption(new Option('--accel <accel>', 'accelerator').choices(['auto', 'kvm', 'tcg']).default('auto'));
}

/** `klp run` and its options, without what it does. */
function runOptions(): Command {
  const command = new Command('run')
    .description('run scenarios on kernels')
    .argument('[scenario...]', 'ids, or files that export scenarios; all when left out')
    .option('--kernel <name>', 'a kernel of the catalogue (see klp kernels list); may be given again', oneMore)
    .option('--grep <regexp>', 'only scenarios whose id, title or clauses match')
    .addOption(new Option('--suite <name>', "instead of scenarios: upstream's own livepatch selftests, or modules that break livepatch's format").choices(suites))
    .option('--list', 'show the chosen scenarios and end')
    .option('--reporter <name>', reporterHelp, 'list')
    .option('--output <dir>', 'where results go', 'klp-results')
    .addOption(new Option('--profile <profile>', 'who has the last word where the documents are silent').choices(['mainline', 'documents']).default('mainline'))
    .option('--strict', 'deviations count as failures')
    .option('--retries <n>', "more attempts after an infrastructure failure, or what may be the emulator's", wholeNumber(0), 1)
    .option('--jobs <n>', 'guests side by side, or auto: as many as the host has room for', guests, 'auto')
    .option('--resume [dir]', 'go on with a run that did not finish: the latest, or the one in this folder')
    .option('--last-failed', 'only what failed or ended in error in the last run, by kernel and scenario')
    .option('--max-failures <n>', 'begin nothing more after so many unexpected failures', wholeNumber(1))
    .option('--quiet', 'show failures and the summary only')
    .option('--expectations <file>', `known failures and deviations (default: ${usualExpectations} if there)`)
    .option('--pause-on-failure', 'stop where a scenario fails and say how to reach its guest')
    .option('--pause-timeout <s>', `seconds after which a pause ends (default: none on a terminal, else ${unattended})`, wholeNumber(1))
    .option('--gdb', 'give each guest a stub for a debugger, behind a socket of your own')
    .option('--sign-key <file>', 'private key (PEM) that modules are signed with, for kernels that take no others')
    .option('--sign-cert <file>', 'its certificate, when it is not in the same file')
    .option('--shard <i/n>', 'run one of n parts, and leave a blob of it for klp merge', parseShard)
    .option('--plan <file>', 'the plan that says what the parts are, from klp plan --output')
    .option('--fresh', 'boot the guests, though the cache may have their state')
    .addOption(new Option('--rdinit <path>', 'another first program in the guest').hideHelp())
    .addOption(new Option('--boot-deadline <ms>', 'milliseconds until the guest must be ready').argParser(wholeNumber(1)).hideHelp());
  return withKernelOptions(command);
}

/** `klp run`. */
export function runCommand(done: (status: number) => void, harness: string): Command {
  const command = runOptions();
  return command.action(async (words: string[], options: RunWords) => {
    if (options.resume === undefined) {
      const failed = options.lastFailed === true ? await lastFailedWords(command, runOptions) : undefined;
      done(await perform(failed?.words ?? words, failed?.options ?? options, harness, { failed }));
      return;
    }
    await using past = await resumeWords(command, options.resume, runOptions);
    done(await perform(past.words, past.options, harness, { past: past.run }));
  });
}

/** An earlier run: one to go on with, or one whose failures are run again. */
interface Earlier {
  readonly past?: PastRun | undefined;
  readonly failed?: LastFailedWords | undefined;
}

/** @returns the exit status */
async function perform(words: readonly string[], options: RunWords, harness: string, { past, failed }: Earlier): Promise<number> {
  if (options.quiet === true && options.reporter !== 'list') throw new UsageError(`--quiet is for the reporter list, not for ${options.reporter}`);
  if (failed?.last.executions.length === 0) {
    process.stdout.write(`${nothingFailed(failed.last)}\n`);
    return ExitStatus.ok;
  }
  const what = await chooseWhat(words, options, harness);
  const { runKernel, ...choice } = what;
  const every = failed ? failedOnes(failed, what.scenarios) : what.scenarios;
  if (options.list === true) {
    for (const { scenario: s } of every) process.stdout.write(`${s.id}\n    ${s.title}\n    ${clauseIds(s).join(' ')}\n`);
    return ExitStatus.ok;
  }
  const chosen = past ? chosenThen('scenario', past.started.scenarios.map((s) => s.id), every, (c) => c.scenario.id) : every;
  const now = await choice.kernels();
  const executions = past ? past.started.executions : failed && chosenOf(failed.last, every.map((c) => c.scenario.id), now.map((k) => k.name));
  const names = past ? past.started.kernels : executions?.map((e) => e.kernel);
  const kernels = names ? chosenThen('kernel', names, now, (k) => k.name) : now;
  const signing = keyFiles(options);
  const shard = choice.shard(kernels);
  if (past) sameShard(past, shard);
  const expectations = options.expectations ?? (existsSync(usualExpectations) ? usualExpectations : undefined);
  // Unknown names are found before anything is booted.
  const shown = chooseReporters(options.reporter, options.quiet);
  const leaveTerminal = ownTerminal(shown.find((s) => s.file === undefined)?.reporter);
  const interrupts = interruptible();
  const { signal, release } = interrupts;
  const pause = goOn({
    input: process.stdin,
    say: (line) => beside(() => void process.stderr.write(`${line}\n`)),
    attended: process.stderr.isTTY,
    interrupts,
    ...(options.pauseTimeout === undefined ? {} : { seconds: options.pauseTimeout }),
  });
  try {
    const summary = await run({
      kernels,
      scenarios: chosen.map((c) => c.scenario),
      scenarioWords: (id) => chosen.find((c) => c.scenario.id === id)?.words ?? id,
      accel: parseAccel(options.accel),
      profile: options.profile,
      strict: options.strict === true,
      retries: options.retries,
      jobs: options.jobs,
      expectations: expectations === undefined ? [] : readExpectations(expectations),
      output: options.output,
      outputs: (directory) => outputs(shown, directory),
      harness,
      command: failed?.command ?? ['klp', ...process.argv.slice(2)],
      signal,
      gdb: options.gdb === true,
      ...(signing === undefined ? {} : { signing }),
      ...(options.pauseOnFailure === true ? { pause: { say: pause.say, wait: (until) => besideFor(() => pause.wait(until)) } } : {}),
      ...(executions && { executions }),
      ...(options.maxFailures === undefined ? {} : { maxFailures: options.maxFailures }),
      ...(past === undefined ? {} : { past }),
      ...(shard && { shard }),
      ...(runKernel && { runKernel }),
      fresh: options.fresh === true,
      ...(options.rdinit === undefined ? {} : { rdinit: options.rdinit }),
      ...(options.bootDeadline === undefined ? {} : { bootDeadline: options.bootDeadline }),
    });
    for (const problem of summary.problems) say(`klp: ${problem}`);
    const where = relative('.', summary.directory);
    if (shard) process.stderr.write(`blob: ${join(where, blobName(shard))}\n`);
    process.stderr.write(`results: ${where}${past ? '' : ` (also ${join(options.output, 'latest')})`}\n`);
    if (signal.aborted) process.stderr.write(`to go on with it: npx klp run --resume ${where}\n`);
    return summary.exit;
  } finally {
    release();
    leaveTerminal();
  }
}

/** Those that failed on any kernel. */
function failedOnes({ last }: LastFailedWords, every: ChosenRun['scenarios']): ChosenRun['scenarios'] {
  const found = every.filter((c) => last.executions.some((e) => e.scenarios.includes(c.scenario.id)));
  // Says what failed, when nothing of it was chosen.
  if (found.length === 0) chosenOf(last, [], []);
  return found;
}

/** Scenarios and kernels, or the cases of a suite. */
async function chooseWhat(words: readonly string[], options: RunWords, harness: string): Promise<ChosenRun & { readonly runKernel?: RunKernel }> {
  if (options.suite === undefined) return chooseRun(words, options, harness);
  const said = { '--shard': options.shard, '--plan': options.plan, '--pause-on-failure': options.pauseOnFailure, '--gdb': options.gdb, '--sign-key': options.signKey };
  const wrong = Object.entries(said).filter(([, value]) => value !== undefined).map(([name]) => name);
  if (wrong.length > 0) throw new UsageError(`--suite ${options.suite} does not go with ${wrong.join(', ')}`);
  const kernels = await chooseKernels(options);
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const { cases, runKernel } =
    options.suite === 'faults' ? chooseFaults(words, options.grep) : await chooseSelftests(kernels, words, options.grep, tell);
  return { scenarios: cases, runKernel, kernels: () => Promise.resolve(kernels), shard: () => undefined };
}

function keyFiles({ signKey: key, signCert: certificate }: RunWords): KeyFiles | undefined {
  if (key !== undefined) return { key, certificate: certificate ?? key };
  if (certificate !== undefined) throw new UsageError('--sign-cert belongs to --sign-key');
  return undefined;
}
