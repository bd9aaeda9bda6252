// SPDX-License-Identifier: MIT
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cacheRoot, cached, digest } from '../harness/cache.js';
import { InfrastructureError } from '../harness/errors.js';
import { host } from '../harness/host.js';
import { packagePath } from '../harness/package-root.js';
import type { AptRoot } from './apt.js';
import { compile, keepBuild, toolsFor } from './compile.js';
import { configure } from './kconfig.js';
import { unpackPackage } from './packages.js';
import { remembered, withPlan, type Plan } from './plan.js';
import { loadKernel, storeKernel } from './store.js';
import { defaultPrefix, findToolchain, requireTools } from './toolchain.js';
import type { AcquiredKernel, PackageRecord, Progress, Toolchain } from './types.js';

/** Raised when the way a kernel is built or laid out changes, so that older cache entries are left alone. */
const recipe = 1;

/** A kernel built from a Debian source package: a row of the catalogue. */
export interface BuiltKernel {
  readonly name: string;
  readonly arch: Arch;
  /** Where the source package is: `trixie-backports`. */
  readonly suite: string;
  /** `linux-source-7.*`: the newest of these. */
  readonly source: string;
  /** Fragments in kernels/config/, in order; a later one wins. */
  readonly fragments: readonly string[];
  /** For a person, what sets it apart. */
  readonly title: string;
  /** Whether it has livepatch at all. */
  readonly livepatch: boolean;
}

function sourcePlan(kernel: BuiltKernel): Plan {
  return {
    suite: kernel.suite,
    key: `source ${kernel.source}`,
    find: async (find) => [await find(kernel.source, architectures.x86_64.debian)],
  };
}

/**
 * Builds the kernel, unless the cache has it: newest source, our fragments over allnoconfig, this host's compiler.
 * @throws InfrastructureError when tools are missing (before anything is downloaded), an option does not take, or the
 *         build fails: with its last lines and the path of its log
 */
export async function acquireBuilt(kernel: BuiltKernel, progress: Progress): Promise<AcquiredKernel> {
  await requireTools(toolsFor(kernel.arch), `building ${kernel.name}`);
  const toolchain = await findToolchain(kernel.arch, defaultPrefix(kernel.arch));
  const fragments = await readFragments(kernel);
  return withPlan(sourcePlan(kernel), progress, async (packages, root) => {
    const key = cacheKey(kernel, fragments, toolchain, packages);
    const directory = await cached('kernels', key, async (work) => {
      const [source] = packages;
      if (!source) throw new Error('a source plan has one package');
      const folder = await unpackSource(join(work, 'src'), source, root, progress);
      const tree = { source: folder, objects: folder };
      await configure(tree, kernel.arch, toolchain, fragments);
      const from = `${source.name} ${source.version}`;
      const log = join(cacheRoot(), 'logs', `${key}.log`);
      const { name, arch } = kernel;
      await compile({ name, arch, tree, toolchain, from, stamp: source.version, log }, progress);
      const kept = await keepBuild(tree, arch, work);
      await storeKernel(work, { ...kept, version: `${from}, ${toolchain.version}`, packages: [source] });
      await rm(join(work, 'src'), { recursive: true });
    });
    return load(directory, kernel, toolchain);
  });
}

/** The kernel as it was built the last time; undefined when it is not in the cache. Builds and downloads nothing. */
export async function cachedBuilt(kernel: BuiltKernel): Promise<AcquiredKernel | undefined> {
  const packages = await remembered(sourcePlan(kernel));
  if (!packages) return undefined;
  try {
    const toolchain = await findToolchain(kernel.arch, defaultPrefix(kernel.arch));
    const key = cacheKey(kernel, await readFragments(kernel), toolchain, packages);
    return await load(join(cacheRoot(), 'kernels', key), kernel, toolchain);
  } catch {
    return undefined;
  }
}

async function readFragments(kernel: BuiltKernel): Promise<string[]> {
  return Promise.all(
    kernel.fragments.map((name) => readFile(packagePath('kernels', 'config', `${name}.config`), 'utf8')),
  );
}

function cacheKey(
  kernel: BuiltKernel,
  fragments: readonly string[],
  toolchain: Toolchain,
  packages: readonly PackageRecord[],
): string {
  const parts = [`built ${recipe}`, kernel.arch, toolchain.version, ...packages.map((p) => p.sha256), ...fragments];
  return `${kernel.name}-${digest(...parts).slice(0, 16)}`;
}

async function load(directory: string, kernel: BuiltKernel, toolchain: Toolchain): Promise<AcquiredKernel> {
  const identity = { name: kernel.name, arch: kernel.arch, origin: 'built' } as const;
  const loaded = await loadKernel(directory, identity, () => Promise.resolve(toolchain));
  const [source] = loaded.packages;
  return source ? { ...loaded, source: { suite: kernel.suite, name: source.name, version: source.version } } : loaded;
}

/**
 * Unpacks a linux-source package into `folder`.
 * @param only paths in the source tree to unpack, as patterns of tar; everything when left out
 * @returns the tree's path
 */
export async function unpackSource(
  folder: string,
  source: PackageRecord,
  root: AptRoot,
  progress: Progress,
  only: readonly string[] = [],
): Promise<string> {
  const file = await root.download(source, progress);
  progress(`unpacking ${source.name} ${source.version}`);
  await mkdir(folder, { recursive: true });
  await unpackPackage(file, folder, (path) => path.startsWith('usr/src/') || 'usr/src'.startsWith(path));
  const archives = join(folder, 'usr', 'src');
  const archive = (await readdir(archives)).find((name) => name.endsWith('.tar.xz'));
  if (archive === undefined) throw new InfrastructureError(`${source.name} has no source archive in usr/src`);
  const patterns = only.length === 0 ? [] : ['--wildcards', ...only.map((pattern) => `${source.name}/${pattern}`)];
  await host('tar', ['-xJf', join(archives, archive), '-C', folder, '--no-same-owner', ...patterns], {
    timeout: 20 * 60_000,
  });
  await rm(join(folder, 'usr'), { recursive: true });
  return join(folder, source.name);
}
