// SPDX-License-Identifier: MIT
import { join, relative } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../errors.js';
import { type FailedRun, failedRun } from '../runner/last-failed.js';
import type { Portion } from '../runner/shard.js';
import type { RunWords } from './run.js';

/** Options that say what is run, beside the scenarios' words. */
const choosing = ['grep', 'suite', 'kernel', 'arch', 'image', 'buildDir', 'toolchain', 'machine', 'modulesDir', 'boot', 'append'];

/** What `klp run --last-failed` is to do. */
export interface LastFailedWords {
  readonly last: FailedRun;
  readonly words: readonly string[];
  readonly options: RunWords;
  /** As if all had been said: what the journal keeps, so that the run can be gone on with, or its failures run again. */
  readonly command: readonly string[];
}

/**
 * The last run below --output, and the words to choose scenarios and kernels by: those said now, or when none are, those that
 * run was begun with. All other options are as said now.
 *
 * @param said    the command line as it is now
 * @param options makes an empty command with the options of `klp run`
 * @throws UsageError when there is no such run, or its words can't be used
 */
export async function lastFailedWords(said: Command, options: () => Command): Promise<LastFailedWords> {
  const now = said.opts<RunWords>();
  const wrong = [['--shard', now.shard], ['--plan', now.plan]].filter(([, value]) => value !== undefined).map(([name]) => name as string);
  if (wrong.length > 0) throw new UsageError(`--last-failed does not go with ${wrong.join(', ')}`);
  const last = await failedRun(join(now.output, 'latest'));
  const argv = process.argv.slice(2);
  const given = (command: Command) => choosing.filter((name) => command.getOptionValueSource(name) === 'cli');
  if (said.args.length > 0 || given(said).length > 0) return { last, words: said.args, options: now, command: ['klp', ...argv] };
  const then = wordsThen(last, options);
  const taken = given(then);
  for (const name of taken) said.setOptionValue(name, then.getOptionValue(name));
  const flags = taken.flatMap((name) => {
    const values = [then.getOptionValue(name) as string | readonly string[]].flat();
    const flag = then.options.find((option) => option.attributeName() === name)?.long ?? '';
    return values.flatMap((value) => [flag, value]);
  });
  return { last, words: then.args, options: said.opts<RunWords>(), command: ['klp', ...argv, ...flags, ...then.args] };
}

/** The last run's own command line. @throws UsageError when it does not say what was run, or not from here */
function wordsThen({ directory, started: { command, cwd } }: FailedRun, options: () => Command): Command {
  const where = relative('.', directory);
  const hint = 'say which scenarios and kernels: klp run SCENARIO… --kernel NAME --last-failed';
  if (command[1] !== 'run') throw new UsageError(`the run in ${where} was not begun by klp run: ${command.join(' ')}`, { hint });
  const then = options().exitOverride();
  then.parse(command.slice(2), { from: 'user' });
  if (then.getOptionValueSource('plan') === 'cli') throw new UsageError(`the run in ${where} was part of a plan`, { hint });
  if (cwd !== undefined && cwd !== process.cwd()) {
    throw new UsageError(`the run in ${where} was begun in ${cwd}, and its words are relative to it`, { hint: `run klp there; or ${hint}` });
  }
  return then;
}

/**
 * Of what failed, what is chosen.
 * @throws UsageError when that is nothing
 */
export function chosenOf(last: FailedRun, scenarios: readonly string[], kernels: readonly string[]): readonly Portion[] {
  const found = last.executions
    .filter((p) => kernels.includes(p.kernel))
    .map((p) => ({ kernel: p.kernel, scenarios: scenarios.filter((s) => p.scenarios.includes(s)) }))
    .filter((p) => p.scenarios.length > 0);
  if (found.length > 0) return found;
  const failed = last.executions.flatMap((p) => p.scenarios.map((s) => `${p.kernel} ${s}`));
  throw new UsageError(`nothing of what is chosen failed in ${relative('.', last.directory)}`, { details: failed.slice(0, 20).map((f) => `failed: ${f}`) });
}

/** What is said where nothing is to be run again. */
export function nothingFailed({ directory, left }: FailedRun): string {
  const rest = left === 0 ? '' : `; ${left} of its scenarios had no result`;
  return `nothing failed in ${relative('.', directory)}: nothing to run again${rest}`;
}
