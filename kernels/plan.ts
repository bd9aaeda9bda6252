// SPDX-License-Identifier: MIT
import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { digest } from '../harness/cache.js';
import { messageOf } from '../harness/errors.js';
import { AptRoot, MirrorError, PackageGoneError } from './apt.js';
import type { PackageRecord, Progress } from './types.js';

const lifetime = 24 * 3600_000;

/** Which packages a kernel or image consists of: found in a suite's index, and remembered. */
export interface Plan {
  readonly suite: string;
  /** Names the plan in the cache; a plan that asks for other packages has another key. */
  readonly key: string;
  /** It names exact versions, so what was resolved once stays right. */
  readonly exact?: boolean;
  /**
   * Looks packages up by name and Debian architecture, or lists them; what it returns, in that order, is what is
   * remembered. A plan that can do with older packages leaves out versions that turned out to be gone: an index may
   * name what its mirror has not.
   */
  readonly find: (
    find: AptRoot['find'],
    list: AptRoot['list'],
    gone: ReadonlySet<string>,
  ) => Promise<readonly PackageRecord[]>;
}

interface Remembered {
  readonly at: number;
  readonly packages: readonly PackageRecord[];
}

/**
 * Resolves `plan` and hands the packages to `use`. A resolution is good for a day; an older one is refreshed when the
 * mirror answers and kept, with a word to the user, when it does not. When `use` finds that the mirror has not got a
 * version, the plan is resolved anew, as long as that comes to other packages.
 *
 * @throws MirrorError when nothing is remembered and the mirror does not answer; whatever `use` throws
 */
export async function withPlan<T>(
  plan: Plan,
  progress: Progress,
  use: (packages: readonly PackageRecord[], root: AptRoot) => Promise<T>,
): Promise<T> {
  const root = await AptRoot.open(plan.suite);
  const gone = new Set<string>();
  let packages = await resolve(root, plan, progress);
  for (;;) {
    try {
      return await use(packages, root);
    } catch (error) {
      if (!(error instanceof PackageGoneError) || gone.has(error.gone.version)) throw error;
      progress(`${messageOf(error)}: looking for another`);
      if (gone.size === 0) await root.update(progress, true);
      gone.add(error.gone.version);
      packages = await lookUp(root, plan, gone);
    }
  }
}

/** What was resolved for `plan` the last time, however old; undefined when it never was. Asks no mirror. */
export async function remembered(plan: Plan): Promise<readonly PackageRecord[] | undefined> {
  return (await recall(await AptRoot.open(plan.suite), plan))?.packages;
}

async function resolve(root: AptRoot, plan: Plan, progress: Progress): Promise<readonly PackageRecord[]> {
  const known = await recall(root, plan);
  if (known && (plan.exact === true || Date.now() - known.at < lifetime)) return known.packages;
  try {
    await root.update(progress);
    return await lookUp(root, plan);
  } catch (error) {
    if (!known || !(error instanceof MirrorError)) throw error;
    const day = new Date(known.at).toISOString().slice(0, 10);
    progress(`${messageOf(error)}: going on with the packages of ${plan.suite} as they were on ${day}`);
    return known.packages;
  }
}

async function lookUp(
  root: AptRoot,
  plan: Plan,
  gone: ReadonlySet<string> = new Set(),
): Promise<readonly PackageRecord[]> {
  const found = await plan.find(root.find.bind(root), root.list.bind(root), gone);
  const packages = found.map(({ name, version, arch, sha256 }) => ({ name, version, arch, sha256 }));
  const file = recordFile(root, plan);
  const id = randomUUID();
  await writeFile(`${file}.${id}`, JSON.stringify({ at: Date.now(), packages } satisfies Remembered));
  await rename(`${file}.${id}`, file);
  return packages;
}

async function recall(root: AptRoot, plan: Plan): Promise<Remembered | undefined> {
  const text = await readFile(recordFile(root, plan), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Remembered);
}

function recordFile(root: AptRoot, plan: Plan): string {
  return root.path(`resolved/${digest(plan.key).slice(0, 32)}.json`);
}
