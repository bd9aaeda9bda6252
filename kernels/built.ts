// SPDX-License-Identifier: MIT
import { copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cacheRoot, cached, digest } from '../harness/cache.js';
import { InfrastructureError } from '../harness/errors.js';
import { host, lastLines } from '../harness/host.js';
import { packagePath } from '../harness/package-root.js';
import type { AptRoot } from './apt.js';
import { configure } from './kconfig.js';
import { unpackPackage } from './packages.js';
import { remembered, withPlan, type Plan } from './plan.js';
import { loadKernel, storeKernel } from './store.js';
import { compilerPackage, defaultPrefix, findToolchain, requireTools, runMake, type HostTool } from './toolchain.js';
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
}

const buildTools: readonly HostTool[] = [
  { probe: ['make', '--version'], package: 'make' },
  { probe: ['gcc', '--version'], package: 'gcc' },
  { probe: ['flex', '--version'], package: 'flex' },
  { probe: ['bison', '--version'], package: 'bison' },
  { probe: ['bc', '--version'], package: 'bc' },
  { probe: ['xz', '--version'], package: 'xz-utils' },
  { probe: ['tar', '--version'], package: 'tar' },
  { probe: ['perl', '-e', '1'], package: 'perl' },
];

function toolsFor(kernel: BuiltKernel): readonly HostTool[] {
  const prefix = defaultPrefix(kernel.arch);
  return [
    ...buildTools,
    { probe: [`${prefix}gcc`, '--version'], package: compilerPackage(kernel.arch, 'gcc') },
    // objtool
    ...(kernel.arch === 'x86_64'
      ? [{ probe: ['test', '-e', '/usr/include/gelf.h'], package: 'libelf-dev' } satisfies HostTool]
      : []),
  ];
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
  await requireTools(toolsFor(kernel), `building ${kernel.name}`);
  const toolchain = await findToolchain(kernel.arch, defaultPrefix(kernel.arch));
  const fragments = await readFragments(kernel);
  return withPlan(sourcePlan(kernel), progress, async (packages, root) => {
    const key = cacheKey(kernel, fragments, toolchain, packages);
    const directory = await cached('kernels', key, async (work) => {
      const [source] = packages;
      if (!source) throw new Error('a source plan has one package');
      const tree = await unpackSource(join(work, 'src'), source, root, progress);
      await configure(tree, kernel.arch, toolchain, fragments);
      await compile(tree, kernel, toolchain, source, join(cacheRoot(), 'logs', `${key}.log`), progress);
      await install(tree, work, kernel, toolchain, source);
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
  return loadKernel(directory, identity, () => Promise.resolve(toolchain));
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

function makeArguments(kernel: BuiltKernel, source: PackageRecord): string[] {
  return [
    `ARCH=${architectures[kernel.arch].kbuild}`,
    // The same input gives the same kernel, wherever and whenever it is built.
    'KBUILD_BUILD_USER=klp',
    'KBUILD_BUILD_HOST=klp',
    `KBUILD_BUILD_TIMESTAMP=${source.version}`,
    'KBUILD_BUILD_VERSION=1',
  ];
}

/**
 * Compiles the configured kernel in `tree`, saying now and then how far it is.
 * @param log file that the whole output is written to, whatever comes of it
 * @throws InfrastructureError with the last thirty lines when it fails
 */
export async function compile(
  tree: string,
  kernel: BuiltKernel,
  toolchain: Toolchain,
  source: PackageRecord,
  log: string,
  progress: Progress,
): Promise<void> {
  const started = Date.now();
  let objects = 0;
  const say = (): void => {
    const seconds = Math.round((Date.now() - started) / 1000);
    const elapsed = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    progress(`building ${kernel.name} from ${source.name} ${source.version}: ${objects} objects, ${elapsed}`);
  };
  say();
  const ticker = setInterval(say, 10_000);
  try {
    const jobs = `-j${availableParallelism() + 1}`;
    const targets = [imageOf(kernel.arch).target, 'modules'];
    const result = await runMake(toolchain, [...makeArguments(kernel, source), jobs, ...targets], [tree], {
      cwd: tree,
      timeout: 3 * 3600_000,
      // What a compiler says of a failure must stand beside it, among the last lines.
      inOrder: true,
      onLine: (line) => {
        if (/^ {2}(CC|AS|LDS) /.test(line)) objects++;
      },
    });
    await mkdir(join(log, '..'), { recursive: true });
    await writeFile(log, result.all);
    if (result.exitCode !== 0) {
      throw new InfrastructureError(`building ${kernel.name} failed`, {
        hint: `the whole log is ${log}`,
        details: lastLines(result.all, 30),
      });
    }
    say();
  } finally {
    clearInterval(ticker);
  }
}

function imageOf(arch: Arch): { target: string; path: string } {
  return arch === 'x86_64'
    ? { target: 'bzImage', path: 'arch/x86/boot/bzImage' }
    : { target: 'Image', path: 'arch/arm64/boot/Image' };
}

/** Keeps what booting and building modules needs: about a twentieth of the tree. */
async function install(
  tree: string,
  directory: string,
  kernel: BuiltKernel,
  toolchain: Toolchain,
  source: PackageRecord,
): Promise<void> {
  const { path } = imageOf(kernel.arch);
  const image = path.split('/').at(-1) ?? path;
  await copyFile(join(tree, path), join(directory, image));
  // The kernel's own list of what a headers package needs. CC stands for the compiler of its programs: the host's.
  await host('sh', ['scripts/package/install-extmod-build', join(directory, 'build')], {
    cwd: tree,
    env: {
      srctree: '.',
      SRCARCH: kernel.arch === 'x86_64' ? 'x86' : kernel.arch,
      CC: 'gcc',
      HOSTCC: 'gcc',
      MAKE: 'make',
    },
    timeout: 10 * 60_000,
  });
  await copyFile(join(tree, '.config'), join(directory, 'build', '.config'));
  await rename(join(tree, 'System.map'), join(directory, 'build', 'System.map'));
  // Without debug information; gdb and addr2line find symbols in it.
  await rename(join(tree, 'vmlinux'), join(directory, 'build', 'vmlinux'));
  const release = (await readFile(join(tree, 'include/config/kernel.release'), 'utf8')).trim();
  await storeKernel(directory, {
    release,
    version: `${source.name} ${source.version}, ${toolchain.version}`,
    image,
    buildDir: 'build',
    config: 'build/.config',
    packages: [source],
  });
}
