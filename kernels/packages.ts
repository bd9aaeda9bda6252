// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { InfrastructureError } from '../harness/errors.js';
import { scrubbedEnvironment } from '../harness/host.js';
import { withPlan, type Plan } from './plan.js';
import { unpackTar, type PathFilter } from './unpack.js';
import type { PackageRecord, Progress } from './types.js';

export interface FetchedPackage {
  readonly record: PackageRecord;
  /** The .deb, its hash verified just now. */
  readonly file: string;
}

/**
 * Newest versions of packages of a suite, verified against the signed index and kept in the cache.
 *
 * @param request.suite a release (`bookworm`) or one pocket (`trixie-backports`)
 * @param request.arch  Debian's architecture name: `amd64`, `arm64`
 * @param request.names package names; `linux-source-7.*` stands for the newest match
 * @param request.libraries also the packages of libraries (`lib…`) that these depend on
 * @returns one entry a name, in the same order; then the libraries
 * @throws InfrastructureError when a package does not exist or the mirror lets us down
 */
export async function fetchPackages(request: {
  suite: string;
  arch: string;
  names: readonly string[];
  libraries?: boolean;
  progress: Progress;
}): Promise<FetchedPackage[]> {
  const { suite, arch, names, libraries = false, progress } = request;
  const plan: Plan = {
    suite,
    key: JSON.stringify(['packages', arch, names, ...(libraries ? ['libraries'] : [])]),
    find: async (find) => {
      const found = new Map<string, PackageRecord>();
      const queue = [...names];
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        if (found.has(name)) continue;
        const one = await find(name, arch);
        found.set(name, one);
        if (libraries) queue.push(...one.depends.filter((other) => other.startsWith('lib')));
      }
      return [...found.values()];
    },
  };
  return withPlan(plan, progress, async (packages, root) => {
    const fetched: FetchedPackage[] = [];
    for (const record of packages) fetched.push({ record, file: await root.download(record, progress) });
    return fetched;
  });
}

/**
 * Unpacks a .deb's files, without running anything of it. See unpackTar for links, modes and what is refused.
 * @param filter answers by path inside the package (`usr/bin/x`)
 * @throws InfrastructureError when the file is no package or an entry would leave `directory`
 */
export async function unpackPackage(file: string, directory: string, filter?: PathFilter): Promise<void> {
  const child = spawn('dpkg-deb', ['--fsys-tarfile', file], {
    env: scrubbedEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const complaint = text(child.stderr);
  // Attached at once: what nobody reads yet is thrown away by Node when the child exits.
  const tar = child.stdout.pipe(new PassThrough());
  child.stdout.on('error', (error) => tar.destroy(error));
  try {
    await unpackTar(tar, directory, filter);
  } catch (error) {
    child.kill();
    const [status] = await ended.catch(() => [null]);
    // A file that is no package shows as a tar that ends at once: dpkg-deb's own words say more.
    if (error instanceof InfrastructureError || status === 0 || status === null) throw error;
  }
  const [status] = await ended;
  if (status !== 0) {
    throw new InfrastructureError(`dpkg-deb cannot read ${file}`, { details: (await complaint).trim().split('\n') });
  }
}
