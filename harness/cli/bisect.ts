// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { mkdir, readdir, statfs } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { InfrastructureError, UsageError, messageOf } from '../errors.js';
import { packagePath } from '../package-root.js';
import { Bisect, type BisectStep, aborted, bisectStep } from '../runner/bisect.js';
import { readJournal } from '../runner/journal.js';
import { say } from './say.js';

const commandName = 'bisect-step';
/** Bytes: with less, a build that failed says nothing of the tree. */
const roomToBuild = 64 * 2 ** 20;

/**
 * `klp bisect-step [--build COMMAND] -- WORDS`: builds the tree in the current folder, runs `klp run WORDS`, and ends with a
 * status for `git bisect run`.
 */
export function bisectCommand(done: (status: number) => void): Command {
  return new Command(commandName)
    .description('build a kernel tree and run scenarios on it, with a status for git bisect run')
    .argument('<word...>', 'behind --: words of klp run, with --image and --build-dir')
    .option('--build <command>', 'builds the tree; run by /bin/sh in the current folder')
    .option('--output <dir>', 'where results go', join('klp-results', 'bisect'))
    .action(async (words: readonly string[], options: { readonly build?: string; readonly output: string }) => {
      const { status, why } = await step(words, options.build, options.output);
      const meaning = { [Bisect.good]: 'good', [Bisect.bad]: 'bad', [Bisect.skip]: 'skip' }[status] ?? 'abort';
      say(`klp bisect: ${meaning} (${status}): ${why}`);
      done(status);
    });
}

/** Statuses of klp that would be "bad" to `git bisect run`, though no kernel was looked at, stop the bisection instead. */
export function abortsBisect(words: readonly string[], status: number): number {
  return words[0] === commandName && (status === 2 || status === 3) ? aborted(status, '').status : status;
}

async function step(words: readonly string[], build: string | undefined, output: string): Promise<BisectStep> {
  if (words.includes('--output')) throw new UsageError('--output belongs before the --', { hint: `klp ${commandName} --output DIR -- …` });
  if (build !== undefined) {
    const problem = await failedBuild(build);
    if (problem) return problem;
  }
  const before = await runsIn(output);
  const main = packagePath('dist/harness/cli/main.js');
  const status = await ended(process.execPath, [main, 'run', ...words, '--output', output]);
  const added = (await runsIn(output)).filter((name) => !before.includes(name));
  // Words that are wrong are found before there is a run.
  const [run] = added;
  const journal = run === undefined ? undefined : await readJournal(join(output, run, 'journal.ndjson'));
  return bisectStep(status, journal?.events ?? []);
}

/** Why there is nothing to run: the tree does not build, which skips it, or something else, which stops the bisection. */
async function failedBuild(command: string): Promise<BisectStep | undefined> {
  const status = await ended('/bin/sh', ['-c', command]);
  if (status === 0) return undefined;
  if (status === null || status >= Bisect.abort) return aborted(3, 'the build was killed');
  if (status === 126 || status === 127) return aborted(2, `--build ${command}: there is no such command`);
  const { bavail, bsize } = await statfs('.');
  if (bavail * bsize < roomToBuild) return aborted(3, 'the build failed, and the disk is full');
  return { status: Bisect.skip, why: `the build failed (status ${status})` };
}

async function runsIn(output: string): Promise<readonly string[]> {
  await mkdir(output, { recursive: true });
  return (await readdir(output)).filter((name) => name !== 'latest' && !name.startsWith('.'));
}

/** Runs a program at this terminal to its end. Ctrl-C reaches it too: we wait for it, and it says what that meant. */
async function ended(command: string, args: readonly string[]): Promise<number | null> {
  const child = spawn(command, args, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  const ours = (): void => undefined;
  process.on('SIGINT', ours).on('SIGTERM', pass);
  try {
    return await new Promise<number | null>((resolve, reject) => {
      child.on('error', (cause) => reject(new InfrastructureError(`can't run ${command}: ${messageOf(cause)}`, { cause })));
      child.on('close', (status, signal) => resolve(status ?? (signal === null ? null : Bisect.abort + constants.signals[signal])));
    });
  } finally {
    process.off('SIGINT', ours).off('SIGTERM', pass);
  }
}
