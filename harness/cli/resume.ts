// SPDX-License-Identifier: MIT
import { isDeepStrictEqual } from 'node:util';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError, messageOf } from '../errors.js';
import { type PastRun, openPast } from '../runner/resume.js';
import { withAbsoluteFiles } from './outputs.js';
import type { RunWords } from './run.js';

/** What may be said anew when a run is resumed; all else was chosen when it began. */
const anew = ['resume', 'output', 'reporter', 'jobs', 'pauseOnFailure', 'pauseTimeout', 'gdb', 'quiet', 'maxFailures'];

/** A run to go on with, and the words it began with. */
export interface ResumedWords extends AsyncDisposable {
  readonly run: PastRun;
  readonly words: readonly string[];
  readonly options: RunWords;
}

/**
 * What `klp run --resume` is to do: the words of the run's own beginning, in the folder they were said in, since paths in them
 * are relative to it. How results are shown, how many guests there are, and whether to stop at failures may be said anew.
 *
 * @param said    the command line as it is now
 * @param folder  of the run; true for `latest` below --output
 * @param options makes an empty command with the options of `klp run`
 * @throws UsageError when there is nothing to resume, or another word contradicts what was chosen then
 */
export async function resumeWords(said: Command, folder: string | true, options: () => Command): Promise<ResumedWords> {
  const now = said.opts<RunWords>();
  if (folder !== true && said.getOptionValueSource('output') === 'cli') {
    throw new UsageError('--resume with a folder and --output exclude each other', { hint: 'the run goes on where it lies' });
  }
  const run = await openPast(resolve(folder === true ? join(now.output, 'latest') : folder));
  try {
    const then = options().exitOverride();
    const { command, cwd } = run.started;
    if (command[1] !== 'run') throw new UsageError(`the run in ${run.directory} was not begun by klp run: ${command.join(' ')}`);
    then.parse(command.slice(2), { from: 'user' });
    contradictions(said, then);
    for (const name of anew) {
      if (said.getOptionValueSource(name) === 'cli') then.setOptionValue(name, name === 'reporter' ? withAbsoluteFiles(now.reporter) : said.getOptionValue(name));
    }
    if (cwd !== undefined) enter(cwd);
    return { run, words: then.args, options: then.opts<RunWords>(), [Symbol.asyncDispose]: () => run[Symbol.asyncDispose]() };
  } catch (error) {
    await run[Symbol.asyncDispose]();
    throw error;
  }
}

function contradictions(said: Command, then: Command): void {
  const chosen = said.options.filter((option) => {
    const name = option.attributeName();
    const given = said.getOptionValueSource(name) === 'cli' && !anew.includes(name);
    return given && !isDeepStrictEqual(said.getOptionValue(name), then.getOptionValue(name));
  });
  const wrong = chosen.map((option) => option.long ?? option.flags);
  if (said.args.length > 0 && !isDeepStrictEqual(said.args, then.args)) wrong.unshift(...said.args);
  if (wrong.length === 0) return;
  throw new UsageError(`--resume goes on with what was chosen then, and ${wrong.join(', ')} says otherwise`, {
    hint: 'klp run --resume alone is enough; with it go only --reporter, --quiet, --jobs, --max-failures and --output',
  });
}

function enter(folder: string): void {
  try {
    process.chdir(folder);
  } catch (cause) {
    throw new UsageError(`the run was begun in ${folder}, and its words are relative to it: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Of what words choose now, what they chose when the run began, in that order.
 * @throws UsageError when something is gone
 */
export function chosenThen<T>(what: string, names: readonly string[], now: readonly T[], nameOf: (item: T) => string, of = 'run'): readonly T[] {
  return names.map((name) => {
    const found = now.find((item) => nameOf(item) === name);
    if (found) return found;
    throw new UsageError(`the ${of} has a ${what} ${name}, which its words do not choose any more`);
  });
}
