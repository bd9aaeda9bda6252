// SPDX-License-Identifier: MIT
import { mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Command } from 'commander';
import { UsageError, messageOf } from '../errors.js';
import { readBlob } from '../runner/blob.js';
import { recordDurations } from '../runner/durations.js';
import { Journal } from '../runner/journal.js';
import { type Merged, mergeBlobs, writeMerged } from '../runner/merge.js';
import { pointLatest, runId, thisHost } from '../runner/run.js';
import { chooseReporters, outputs, reporterHelp } from './outputs.js';
import { say } from './say.js';

interface MergeWords {
  readonly output: string;
  readonly reporter: string;
  readonly partial?: boolean;
}

/** `klp merge BLOB…`: one result of many shards', with the exit status that one run would have had. */
export function mergeCommand(done: (status: number) => void, harness: string): Command {
  return new Command('merge')
    .description('make one result of the blobs that klp run --shard left')
    .argument('<blob...>', 'blobs, or folders that have them somewhere below')
    .option('--output <dir>', 'where results go', 'klp-results')
    .option('--reporter <name>', reporterHelp, 'list')
    .option('--partial', 'take what there is, though shards are missing')
    .action(async (words: readonly string[], options: MergeWords) => {
      const shown = chooseReporters(options.reporter);
      const files = (await Promise.all(words.map(blobsIn))).flat();
      const blobs = await Promise.all([...new Set(files)].map((file) => readBlob(file, harness)));
      const merged = mergeBlobs(blobs, options.partial === true);
      const id = runId(new Date());
      const directory = await newFolder(options.output, id);
      const clock = { mono: 0, wall: new Date() };
      const journal = new Journal(join(directory, 'journal.ndjson'), id, {
        outputs: outputs(shown, directory),
        monotonic: () => clock.mono,
        wall: () => clock.wall,
      });
      const exit = writeMerged(merged, journal, clock, { command: ['klp', ...process.argv.slice(2)], host: thisHost() });
      for (const problem of journal.close()) say(`klp: ${problem}`);
      for (const missing of merged.missing) say(`klp: missing: ${missing}`);
      await keepDurations(merged);
      process.stderr.write(`results: ${relative('.', directory)} (also ${join(options.output, 'latest')})\n`);
      done(exit);
    });
}

/** A file itself; of a folder, every blob below it. @throws UsageError when there is none */
async function blobsIn(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new UsageError(`there is no blob ${path}`, { cause });
  });
  if (!found.isDirectory()) return [path];
  const names = await readdir(path, { recursive: true });
  const blobs = names.filter((n) => /(^|\/)blob-\d+-of-\d+\.ndjson\.gz$/.test(n)).sort();
  if (blobs.length === 0) throw new UsageError(`there is no blob in ${path}`, { hint: 'klp run --shard i/n leaves one in its run\'s folder' });
  // `latest` leads to a run's folder that is found under its own name, too.
  const real = await Promise.all(blobs.map((name) => realpath(join(path, name))));
  return [...new Set(real)].map((file) => relative('.', file));
}

async function newFolder(output: string, id: string): Promise<string> {
  const directory = join(output, id);
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    throw new UsageError(`can't put results into ${output}: ${messageOf(cause)}`, { hint: 'choose another place with --output', cause });
  });
  await pointLatest(output, id);
  return directory;
}

/** So that the next plan made with this cache is balanced by what the shards took. It is a hint: the result does without. */
async function keepDurations({ kernels }: Merged): Promise<void> {
  for (const { name, arch, durations } of kernels) {
    if (arch === undefined) continue;
    await recordDurations(name, arch, durations).catch((error: unknown) => {
      say(`klp: how long scenarios took could not be recorded: ${messageOf(error)}`);
    });
  }
}
