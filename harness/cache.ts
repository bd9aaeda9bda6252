// SPDX-License-Identifier: MIT
import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeadlineError, InfrastructureError } from './errors.js';

/** Where everything heavy lives: `$KLP_CACHE`, else `~/.cache/klp`. */
export function cacheRoot(): string {
  const { KLP_CACHE: chosen = '' } = process.env;
  return chosen === '' ? join(homedir(), '.cache', 'klp') : chosen;
}

/** Hex SHA-256 over the parts; their borders count, so `('ab','c')` and `('a','bc')` differ. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${Buffer.byteLength(part)}:`);
    hash.update(part);
  }
  return hash.digest('hex');
}

/** Folder `<cache>/<kind>/<key>` if it is there, marked as used; undefined when it is not. Waits for nobody. */
export async function ifCached(kind: string, key: string): Promise<string | undefined> {
  const target = join(cacheRoot(), kind, key);
  const there = await stat(target).then(
    () => true,
    () => false,
  );
  if (!there) return undefined;
  const now = new Date();
  // `klp cache prune` goes by last use; in a cache that someone else keeps there is nothing to prune for us.
  await utimes(target, now, now).catch(() => undefined);
  return target;
}

/**
 * Folder `<cache>/<kind>/<key>`, made at most once: `make` fills an empty folder beside it, which is then renamed into
 * place, so a folder that exists is whole and a run that dies leaves nothing half done. Two runs that want the same
 * key wait for each other.
 *
 * @param kind folder name of what is kept: `packages`, `kernels`, `images`, …
 * @param key  content key; a different input must give a different key
 * @param make fills the folder it is given
 * @returns the finished folder's path
 * @throws whatever `make` throws, with its folder removed (ENOSPC as {@link noSpace}); DeadlineError when another run holds the key for two hours
 */
export async function cached(kind: string, key: string, make: (directory: string) => Promise<void>): Promise<string> {
  const found = await ifCached(kind, key);
  if (found !== undefined) return found;
  const target = join(cacheRoot(), kind, key);
  return withLock(`${kind}-${key}`, async () => {
    if ((await ifCached(kind, key)) !== undefined) return target;
    const work = join(cacheRoot(), 'tmp', randomUUID());
    await mkdir(work, { recursive: true });
    try {
      await make(work).catch((error: unknown) => {
        throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? noSpace(error) : error;
      });
      await mkdir(dirname(target), { recursive: true });
      await rename(work, target).catch(async (error: unknown) => {
        // Someone else's, of the same content, stands there: another host that shares the cache sees no pid of ours.
        if ((await ifCached(kind, key)) === undefined) throw error;
      });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return target;
  });
}

/** The cache's file system is full. */
export function noSpace(cause?: unknown): InfrastructureError {
  return new InfrastructureError(`no space left in ${cacheRoot()}`, {
    hint: 'free some there, or set KLP_CACHE to a folder on another file system',
    cause,
  });
}

/**
 * Runs `body` while no other process runs one under the same name. The lock is a file that names its owner, created
 * exclusively; one whose owner is gone is taken over.
 */
export async function withLock<T>(name: string, body: () => Promise<T>): Promise<T> {
  const file = join(cacheRoot(), 'locks', `${digest(name).slice(0, 32)}.lock`);
  await mkdir(dirname(file), { recursive: true });
  const patience = 2 * 3600_000;
  const deadline = Date.now() + patience;
  while (!(await tryLock(file))) {
    if (Date.now() > deadline) {
      throw new DeadlineError(`another klp run to finish with ${name}`, patience, { hint: `remove ${file} if no klp runs` });
    }
    await sleep(200);
  }
  try {
    return await body();
  } finally {
    await rm(file, { force: true });
  }
}

async function tryLock(file: string): Promise<boolean> {
  try {
    await writeFile(file, `${process.pid} ${(await startOf(process.pid)) ?? ''}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = await readFile(file, 'utf8').catch(() => undefined);
  if (owner === undefined || !(await abandoned(owner, file))) return false;
  // Renaming first lets only one of several waiters take the abandoned lock away.
  const grave = `${file}.${randomUUID()}`;
  try {
    await rename(file, grave);
  } catch {
    return false;
  }
  // It may be the next owner's already, if we were slow: that one gets it back.
  if ((await readFile(grave, 'utf8').catch(() => owner)) !== owner) await link(grave, file).catch(() => undefined);
  await rm(grave, { force: true });
  return false;
}

/** Whether the owner that a lock names is gone; an empty or damaged one may be about to be written: give it a moment. */
async function abandoned(owner: string, file: string): Promise<boolean> {
  const [, pid, start] = /^(\d+) (\d+)$/.exec(owner) ?? [];
  if (pid !== undefined) return (await startOf(Number(pid))) !== start;
  return stat(file).then(
    (s) => Date.now() - s.mtimeMs > 10_000,
    () => false,
  );
}

/**
 * When a process was started, in ticks since boot (proc_pid_stat(5), starttime); undefined when it is gone or a zombie.
 * With it a pid that has come round again, after a reboot or in another container, is told from its owner.
 */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The comm in brackets may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text === '' || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
