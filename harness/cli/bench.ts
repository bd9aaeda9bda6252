// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { ExitStatus, InfrastructureError, UsageError } from '../errors.js';
import { packagePath } from '../package-root.js';
import { clean, jsonText } from '../report/text.js';
import { Bench, type BenchOptions } from '../runner/bench.js';
import { type Figure, measureBoot, measureGuest, measurePair, spread } from '../runner/figures.js';
import { measureLint } from '../runner/lint-figures.js';
import { chooseAccel, parseAccel } from '../vm/accel.js';
import { interruptible } from './interrupt.js';
import { withKernelOptions, wholeNumber } from './run.js';
import { say } from './say.js';
import { type KernelOptions, chooseKernels } from './select.js';

/** No transition in it: what is measured is all around the scenario. */
const trivialScenario = 'no-livepatch-field';
/** For the figure that is about booting. */
const withoutSavedState = { fresh: true } as const;

interface BenchWords extends KernelOptions {
  readonly accel: string;
  readonly count: number;
  readonly json?: string;
}

/** `klp bench [K]`: figures of this host, of guests and of lint, beside a plain boot on the same host in the same run. Judges nothing. */
export function benchCommand(done: (status: number) => void): Command {
  const command = new Command('bench')
    .description('measure how fast guests boot, are restored and answer on this host, and klp lint')
    .argument('[kernel]', 'name in the catalogue')
    .option('--count <n>', 'samples of each figure', wholeNumber(1), 20)
    .option('--json <file>', 'write every sample to this file, too');
  withKernelOptions(command);
  return command.action(async (word: string | undefined, options: BenchWords) => {
    const [choice] = await chooseKernels({ ...options, ...(word === undefined ? {} : { kernel: [word] }) });
    if (!choice) throw new UsageError('no kernel chosen');
    let last = '';
    const progress = (line: string): void => {
      // Every boot says the same.
      if (line !== last) say(line);
      last = line;
    };
    const { signal, release } = interruptible();
    try {
      const kernel = await choice.acquire(progress);
      const request = { kernel, accel: parseAccel(options.accel), progress, signal };
      const results = await measure(request, `${choice.words} --accel ${options.accel}`, options.count);
      if (options.json !== undefined) await writeFile(options.json, `${jsonText(results, 2)}\n`);
    } catch (error) {
      if (!signal.aborted) throw error;
      done(ExitStatus.interrupted);
    } finally {
      release();
    }
  });
}

/** Measures and prints everything. @returns it all, for `--json` */
async function measure(request: BenchOptions, words: string, count: number): Promise<object> {
  const { kernel, signal } = request;
  const figures: Figure[] = [];
  let boot = NaN;
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const tell = (figure: Figure): void => {
    figures.push(figure);
    print(figureLine(figure, boot));
  };
  const { accel } = await chooseAccel(kernel.arch, request.accel);
  print(`${clean(kernel.name)} (${clean(kernel.release)}), ${accel}: medians of ${count}\n`);
  print(row('', 'median', 'min … max', '/ boot', 'bar'));
  const cold = await measureBoot({ ...request, ...withoutSavedState }, count);
  boot = spread(cold.samples).median;
  tell(cold);
  const { gain, qemu } = await measureRunning(request, count, tell);
  print(row('two guests against one', `x ${gain.toFixed(2)}`, '', '', '>= x 1.8'));
  tell(await measureRun(words, count, signal));
  const linted = kernel.modulesDir === undefined ? undefined : await measureLint(kernel.modulesDir, count, signal);
  if (linted) {
    tell(linted.one);
    tell(linted.all);
    print(row('  memory / largest module', `x ${(linted.peak / linted.largest).toFixed(1)}`, '', '', ''));
  }
  const host = { cpus: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version, qemu };
  const all = figures.map((f) => ({ ...f, ...spread(f.samples), ofBoot: spread(f.samples).median / boot }));
  const memory = linted && { peak: linted.peak, largestModule: linted.largest };
  return { v: 1, kernel: kernel.name, release: kernel.release, accel, count, host, figures: all, pairGain: gain, lintMemory: memory };
}

/** What needs a guest that runs; it is gone afterwards, so that `klp run` has the host for itself. */
async function measureRunning(
  request: BenchOptions,
  count: number,
  tell: (figure: Figure) => void,
): Promise<{ gain: number; qemu: string }> {
  await using bench = await Bench.start(request);
  await measureGuest(bench, count, tell);
  const { single, pair } = await measurePair(bench, request, count);
  tell(single);
  tell(pair);
  return { gain: (2 * spread(single.samples).median) / spread(pair.samples).median, qemu: bench.qemu };
}

/** A whole `klp run` of one scenario in a process of its own, start to exit. The first, which fills caches, is left out. */
async function measureRun(words: string, count: number, signal: AbortSignal): Promise<Figure> {
  const output = await mkdtemp(join(tmpdir(), 'klp-bench-'));
  const samples: number[] = [];
  try {
    for (let i = 0; i <= count; i++) {
      const begin = performance.now();
      await runScenario(words, output, signal);
      if (i > 0) samples.push(performance.now() - begin);
    }
  } finally {
    await rm(output, { recursive: true, force: true });
  }
  return { name: `klp run ${trivialScenario}`, samples, bar: '<= 3 s' };
}

function runScenario(words: string, output: string, signal: AbortSignal): Promise<void> {
  // The words are quoted for a shell already.
  const main = packagePath('dist/harness/cli/main.js');
  const command = `exec "$0" "$1" run ${trivialScenario} --reporter json --output "$2" ${words}`;
  const child = spawn('/bin/sh', ['-c', command, process.execPath, main, output], { stdio: ['ignore', 'ignore', 'pipe'], signal });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      // A finding (status 1) takes as long as a pass.
      if (status === 0 || status === 1) resolve();
      else reject(new InfrastructureError(`klp run ${trivialScenario} ended with status ${status ?? 'unknown'}`, { details: complaint.trim().split('\n') }));
    });
  });
}

const columns = [33, 9, 19, 8] as const;

/** One line of the table, at most 80 columns wide. */
export function row(name: string, median: string, bounds: string, ratio: string, bar: string): string {
  const [first, ...rest] = columns;
  const cells = [median, bounds, ratio].map((text, i) => text.padStart(rest[i] ?? 0));
  return `${name.padEnd(first)}${cells.join('')}  ${bar}`.trimEnd();
}

/**
 * A figure as one line: median, bounds, the median's share of a boot's.
 * @param boot median of a plain boot, in milliseconds
 */
export function figureLine({ name, samples, bar = '' }: Figure, boot: number): string {
  const { median, least, most } = spread(samples);
  const share = median / boot;
  return row(name, brief(median), `${brief(least)} … ${brief(most)}`, share >= 0.01 ? share.toFixed(2) : share.toFixed(4), bar);
}

/** Three digits that mean something: `0.42 ms`, `17.3 ms`, `231 ms`, `3.52 s`. */
export function brief(milliseconds: number): string {
  if (milliseconds >= 999.5) return `${(milliseconds / 1000).toFixed(milliseconds < 99_950 ? 2 : 0)} s`;
  return `${milliseconds.toFixed(milliseconds < 9.995 ? 2 : milliseconds < 99.95 ? 1 : 0)} ms`;
}
