// SPDX-License-Identifier: MIT
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cacheRoot, cached, ifCached, withLock } from '../cache.js';
import type { Machine } from '../vm/machine.js';
import { fileDigest, type SavedStates } from '../vm/states.js';

/** A booted guest's state in the cache, under its `stateFingerprint`. */
export interface SavedState extends SavedStates {
  /** The boot the state is of: a guest that does not name it is another. */
  readonly bootId: string;
}

const kind = 'states';
const record = z.object({ sha256: z.string(), bootId: z.string(), kernel: z.string().optional() });

/** The state kept under a fingerprint; undefined when there is none. What it holds is checked when it is loaded. */
export async function savedState(fingerprint: string): Promise<SavedState | undefined> {
  const directory = await ifCached(kind, fingerprint);
  if (directory === undefined) return undefined;
  try {
    const { sha256, bootId } = record.parse(JSON.parse(await readFile(join(directory, 'state.json'), 'utf8')));
    return { file: join(directory, 'states.qcow2'), sha256, bootId };
  } catch {
    await dropState(fingerprint);
    return undefined;
  }
}

/**
 * Keeps a machine's saved states for the runs to come.
 * @param kernel fingerprint of the kernel in it, for {@link hasState}
 * @throws what the file system says: a full disk, usually
 */
export async function keepState(fingerprint: string, machine: Machine, bootId: string, kernel: string): Promise<void> {
  await cached(kind, fingerprint, async (directory) => {
    const file = join(directory, 'states.qcow2');
    await machine.exportStates(file);
    await writeFile(join(directory, 'state.json'), JSON.stringify({ sha256: await fileDigest(file), bootId, kernel }));
  });
}

/** Whether any state of this kernel is kept; what it is worth shows when it is loaded. */
export async function hasState(kernel: string): Promise<boolean> {
  const directory = join(cacheRoot(), kind);
  for (const key of await readdir(directory).catch(() => [])) {
    const text = await readFile(join(directory, key, 'state.json'), 'utf8').catch(() => '{}');
    if (text.includes(`"kernel":"${kernel}"`)) return true;
  }
  return false;
}

/** Takes a state that proved of no use out of the cache. */
export async function dropState(fingerprint: string): Promise<void> {
  // Under the lock of `cached`, so that no other run is just putting another there.
  await withLock(`${kind}-${fingerprint}`, () => rm(join(cacheRoot(), kind, fingerprint), { recursive: true, force: true }));
}
