// SPDX-License-Identifier: MIT
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import type { AcquiredKernel } from '../../kernels/types.js';
import { architectures } from '../arch.js';
import { EM_AARCH64, EM_X86_64, ElfError, type LintedFile, isLivepatch, lint, lintLines, modinfo, readObject } from '../elf/index.js';
import { ExitStatus, UsageError, messageOf } from '../errors.js';
import { isModuleFile, moduleFile } from '../modules/packed.js';
import { conclusionLines, stepLines, trialPage } from '../report/trial-page.js';
import { type TrialModuleRecord, type TrialResult, trialVersion } from '../report/trial-schema.js';
import { clean, jsonText, plural } from '../report/text.js';
import type { Bench } from '../runner/bench.js';
import { LintTables } from '../runner/lint-tables.js';
import { type TrialFindings, type TrialModule, type TrialRequest, runTrial } from '../runner/trial.js';
import { shellQuoted } from '../vm/argv.js';
import { objectsOf } from './lint.js';
import { type GuestOptions, withGuest } from './one-guest.js';
import { oneMore, wholeNumber, withKernelOptions } from './run.js';

type TryWords = GuestOptions & {
  readonly kernel?: string;
  readonly target?: readonly string[];
  readonly targetLater?: readonly string[];
  readonly before?: string;
  readonly exercise?: string;
  readonly stress?: boolean;
  readonly patience: number;
  readonly lint: boolean;
  readonly output?: string;
};

/** Seconds that a transition has when nothing else is said. */
const usualPatience = 20;

/** A module that was read from a file of the user's. */
interface Given extends TrialModule {
  readonly file: string;
  readonly role: TrialModuleRecord['role'];
}

/** `klp try FILE.ko…`: a user's own livepatch in a fresh guest: lint, load, transition, revert, unload, and all of it again. */
export function tryCommand(done: (status: number) => void, harness: string): Command {
  const command = new Command('try')
    .description("load, watch and revert livepatch modules of one's own in a fresh guest")
    .argument('<file...>', '.ko, .ko.xz, .ko.zst or .ko.gz; several are loaded one after the other, as an upgrade would')
    .option('--kernel <name>', 'a kernel of the catalogue')
    .option('--target <file>', 'a module to be patched, loaded before; may be given again', oneMore)
    .option('--target-later <file>', 'the same, loaded when the patches are in', oneMore)
    .option('--before <command>', 'run this in the guest before the first patch is loaded')
    .option('--exercise <command>', 'run this in the guest with the patches in; it must succeed')
    .option('--stress', 'have processes compute, fork and sleep meanwhile')
    .option('--patience <s>', 'seconds that a transition has; more where the guest is emulated', wholeNumber(1), usualPatience)
    .option('--no-lint', 'go on although klp lint finds errors')
    .option('--output <dir>', 'where the evidence goes (default: klp-results/try-<time>)');
  withKernelOptions(command);
  return command.action(async (words: readonly string[], options: TryWords) => {
    const given = [
      ...(await Promise.all(words.map((word) => readModule(word, 'patch')))),
      ...(await Promise.all((options.target ?? []).map((word) => readModule(word, 'target')))),
    ];
    const later = await Promise.all((options.targetLater ?? []).map((word) => readModule(word, 'target')));
    requireLivepatches(given);
    const { kernel: word, ...others } = options;
    await withGuest(word, others, async (bench, kernel, choice) => {
      for (const module of [...given, ...later]) requireArch(module, kernel);
      const linted = await lintAll([...given, ...later], bench, kernel);
      if (options.lint) requireVermagic(linted, kernel);
      const errors = linted.flatMap((l) => l.report.findings).filter((f) => f.severity === 'error').length;
      const lintText = linted.flatMap((l) => lintLines(l));
      for (const text of lintText) print(clean(text));
      // The choice's words are quoted for a shell already.
      const repeat = `npx klp try ${shellQuoted(words)} ${choice.words} ${shellQuoted(againWords(options))}`.trim();
      const trial: Omit<TrialResult, keyof TrialFindings> = {
        v: trialVersion,
        harness,
        begun: new Date().toISOString(),
        repeat,
        kernel: { name: kernel.name, release: kernel.release, version: kernel.version, arch: kernel.arch, accel: bench.accel, qemu: bench.qemu },
        modules: [...given, ...later].map(({ name, file, bytes, role }) => ({ name, file, role, sha256: createHash('sha256').update(bytes).digest('hex') })),
        lint: [...lintText],
      };
      const findings = errors > 0 && options.lint ? refusedByLint(errors) : await tried(bench, given, later, options);
      await conclude({ ...trial, ...findings }, options.output, done);
    });
  });
}

async function tried(bench: Bench, given: readonly Given[], later: readonly Given[], options: TryWords): Promise<TrialFindings> {
  const request: TrialRequest = {
    patches: given.filter((m) => m.role === 'patch'),
    targets: given.filter((m) => m.role === 'target'),
    later,
    before: options.before,
    exercise: options.exercise,
    stress: options.stress === true,
    patience: options.patience * 1000,
  };
  await bench.reset();
  return runTrial(bench, request, (step) => stepLines(step).forEach(print));
}

function refusedByLint(errors: number): TrialFindings {
  const reasons = [`klp lint finds ${plural(errors, 'error')}; --no-lint goes on all the same`];
  return { verdict: 'refused', reasons, steps: [], transitions: [], sysfs: [], taint: { before: [], after: [] }, log: [] };
}

/** Prints the end, and writes the evidence. */
async function conclude(trial: TrialResult, output: string | undefined, done: (status: number) => void): Promise<void> {
  const folder = output ?? join('klp-results', `try-${trial.begun.replace(/\D/g, '').slice(0, 14)}`);
  print('');
  conclusionLines(trial).forEach(print);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'evidence.json'), `${jsonText(trial, 2)}\n`);
    await writeFile(join(folder, 'evidence.md'), trialPage(trial));
  } catch (cause) {
    throw new UsageError(`can't write the evidence to ${folder}: ${messageOf(cause)}`, { cause });
  }
  print(`evidence: ${join(folder, 'evidence.md')}`);
  print(`repeat: ${trial.repeat}`);
  done(trial.verdict === 'clean' ? ExitStatus.ok : ExitStatus.conformance);
}

/** @throws UsageError for what is no module */
async function readModule(word: string, role: Given['role']): Promise<Given> {
  if (!isModuleFile(word)) throw new UsageError(`${word} is no module`, { hint: 'files end in .ko, .ko.xz, .ko.zst or .ko.gz' });
  const { name, unpacked } = moduleFile(word);
  const bytes = await unpacked().catch((cause: unknown) => {
    throw new UsageError(messageOf(cause), { cause });
  });
  try {
    const object = readObject(bytes);
    // The kernel takes its name from the module itself, whatever the file is called.
    return { name: modinfo(object, 'name') ?? name, file: word, role, bytes, object };
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    throw new UsageError(`${word} is no module: ${error.message}`, { hint: `klp lint ${word}`, cause: error });
  }
}

/** @throws UsageError for a module of the wrong kind, and for two of one name */
function requireLivepatches(given: readonly Given[]): void {
  for (const { object, file, role } of given) {
    if (isLivepatch(object) === (role === 'patch')) continue;
    if (role === 'patch') throw new UsageError(`${file} is no livepatch: it has no "livepatch" in its modinfo`, { hint: '--target loads a module that is to be patched' });
    throw new UsageError(`${file} is a livepatch, not a target`, { hint: 'name it among the patches, in the order in which they are to be loaded' });
  }
  const twice = given.find((m, i) => given.some((other, j) => j < i && other.name === m.name));
  if (twice) throw new UsageError(`two of the modules are named ${twice.name}: the kernel takes one`);
}

/** @throws UsageError for another machine's module */
function requireArch({ object, file }: Given, kernel: AcquiredKernel): void {
  const machine = { [EM_X86_64]: 'x86_64', [EM_AARCH64]: 'arm64' }[object.header.machine];
  if (machine === kernel.arch) return;
  const names = Object.keys(architectures).join(' or ');
  throw new UsageError(`${file} is for ${machine ?? `machine ${object.header.machine}`}, and ${kernel.name} is ${kernel.arch}`, {
    hint: machine === undefined ? `modules are for ${names}` : '--kernel takes one of that architecture (klp kernels list)',
  });
}

/** @throws UsageError for a module that was built for another kernel */
function requireVermagic(linted: readonly LintedFile[], kernel: AcquiredKernel): void {
  for (const { file, report } of linted) {
    const other = report.findings.find((f) => f.code === 'KLP074');
    if (!other) continue;
    throw new UsageError(`${file} is for another kernel than ${kernel.name}: vermagic ${other.message}`, {
      hint: '--kernel takes the one it was built for (klp kernels list), NAME@VERSION another version of it; --no-lint has the kernel itself refuse it',
    });
  }
}

async function lintAll(modules: readonly Given[], bench: Bench, kernel: AcquiredKernel): Promise<readonly LintedFile[]> {
  const tables = await LintTables.open(kernel, (use) => use(bench.guest));
  for (const { role, name, object } of modules) if (role === 'target') tables.add(name, object);
  const linted: LintedFile[] = [];
  for (const { file, bytes } of modules) linted.push({ file, report: lint(bytes, { kernel: await tables.with(objectsOf(bytes)) }) });
  return linted;
}

/** The options that make a trial what it is, for the line that repeats it. */
function againWords(options: TryWords): readonly string[] {
  return [
    ...(options.target ?? []).flatMap((file) => ['--target', file]),
    ...(options.targetLater ?? []).flatMap((file) => ['--target-later', file]),
    ...(options.before === undefined ? [] : ['--before', options.before]),
    ...(options.exercise === undefined ? [] : ['--exercise', options.exercise]),
    ...(options.stress === true ? ['--stress'] : []),
    ...(options.patience === usualPatience ? [] : ['--patience', String(options.patience)]),
    ...(options.lint ? [] : ['--no-lint']),
  ];
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
