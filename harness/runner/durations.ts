// SPDX-License-Identifier: MIT
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type Arch, architectures } from '../arch.js';
import { cacheRoot, withLock } from '../cache.js';

/** Milliseconds by scenario. */
export type Durations = ReadonlyMap<string, number>;

const layout = z.object({ version: z.literal(1), milliseconds: z.record(z.string(), z.number().nonnegative()) });

/** How much the newest run counts: enough to follow a change in a few runs, little enough to outlive a slow one. */
const weight = 0.3;

function fileOf(kernel: string, arch: Arch): string {
  return join(cacheRoot(), 'durations', `${encodeURIComponent(kernel)}-${arch}.json`);
}

/** What earlier runs took on a kernel; empty where nothing (readable) was recorded: it is only a hint. */
export async function readDurations(kernel: string, arch: Arch): Promise<Durations> {
  try {
    const { milliseconds } = layout.parse(JSON.parse(await readFile(fileOf(kernel, arch), 'utf8')));
    return new Map(Object.entries(milliseconds));
  } catch {
    return new Map();
  }
}

/** As {@link readDurations}, where it is not known yet what the kernel is for. */
export async function readDurationsOf(kernel: string): Promise<Durations> {
  const all = await Promise.all((Object.keys(architectures) as Arch[]).map((arch) => readDurations(kernel, arch)));
  return new Map(all.flatMap((of) => [...of]));
}

/**
 * Records what scenarios took, smoothed with what was known. Runs side by side lose nothing of each other's: the file is
 * read, merged and replaced under the cache's lock.
 *
 * @throws Error when the cache can't be written to
 */
export async function recordDurations(kernel: string, arch: Arch, taken: Durations): Promise<void> {
  if (taken.size === 0) return;
  const file = fileOf(kernel, arch);
  await withLock(`durations-${kernel}-${arch}`, async () => {
    const known = await readDurations(kernel, arch);
    const merged = new Map(known);
    for (const [scenario, ms] of taken) {
      const before = known.get(scenario);
      merged.set(scenario, Math.round(before === undefined ? ms : before + weight * (ms - before)));
    }
    await mkdir(dirname(file), { recursive: true });
    const temporary = `${file}.${randomUUID()}`;
    const sorted = Object.fromEntries([...merged].sort(([a], [b]) => (a < b ? -1 : 1)));
    try {
      await writeFile(temporary, `${JSON.stringify({ version: 1, milliseconds: sorted }, undefined, 1)}\n`);
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

/**
 * The order that keeps several guests busy to the end: the longest first. What was never measured comes before all, in
 * its own order, since it may turn out to be the longest, and a long one begun last is what everybody waits for.
 */
export function longestFirst<T extends { readonly id: string }>(items: readonly T[], known: Durations): readonly T[] {
  const length = (item: T): number => known.get(item.id) ?? Infinity;
  return [...items].sort((a, b) => (length(a) === length(b) ? 0 : length(b) - length(a)));
}
