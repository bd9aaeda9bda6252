// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { lstat, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Arch, MachineName } from '../harness/arch.js';
import { cacheRoot, cached, digest } from '../harness/cache.js';
import { UsageError } from '../harness/errors.js';
import { tryHost } from '../harness/host.js';
import { packagePath } from '../harness/package-root.js';
import { chosenToolchain, rememberedToolchain } from './chosen-toolchain.js';
import { compile, keepBuild, toolsFor } from './compile.js';
import { configure } from './kconfig.js';
import { loadKernel, storeKernel } from './store.js';
import { requireTools } from './toolchain.js';
import type { AcquiredKernel, Progress, Toolchain } from './types.js';

/** Raised when the way a tree is built or laid out changes, so that older cache entries are left alone. */
const recipe = 1;

/** A kernel to be built from a source tree of the user's. */
export interface SourceKernel {
  readonly name: string;
  readonly arch: Arch;
  /** The tree; nothing is written into it. */
  readonly source: string;
  /** Fragments of ours by name, or files; the first may be a whole configuration. A later one wins. */
  readonly config: readonly string[];
  /** A Debian suite, `host`, or a compiler's prefix; what suits the version when left out. */
  readonly toolchain?: string;
  readonly machine?: MachineName;
}

/** Newest version that a suite's compiler is taken for, and the suite; newer ones are built with the host's own. */
const ages = [{ upTo: 5, suite: 'bullseye' }] as const;

/**
 * The toolchain that suits a kernel's age: gcc 10 of bullseye up to 5.x, which later compilers refuse or warn about; the
 * host's own (gcc 12 or later) from 6.0 on.
 * @param version `4.14.177`
 * @returns a word for --toolchain
 */
export function suitingToolchain(version: string): string {
  const major = Number(version.split('.')[0]);
  return ages.find((age) => major <= age.upTo)?.suite ?? 'host';
}

/** What identifies a build of a tree. */
interface Inputs {
  readonly version: string;
  readonly state: string;
  readonly texts: readonly string[];
  readonly word: string;
}

/**
 * Builds a kernel from its tree, unless the cache has that build: same version, state of the source, configuration,
 * architecture and compiler. Objects go into the cache.
 *
 * @throws UsageError when the tree is none, or can't be built from outside; InfrastructureError as acquireBuilt does
 */
export async function acquireSource(kernel: SourceKernel, progress: Progress): Promise<AcquiredKernel> {
  const inputs = await inputsOf(kernel);
  const toolchain = await chosenToolchain(inputs.word, kernel.arch, progress);
  if (toolchain.root === undefined) await requireTools(toolsFor(kernel.arch), `building ${kernel.name}`);
  const key = keyOf(kernel, inputs, toolchain);
  const directory = await cached('kernels', key, async (work) => {
    requireClean(kernel.source);
    const { name, arch } = kernel;
    const { version, state, texts } = inputs;
    const tree = { source: kernel.source, objects: join(work, 'objects') };
    await mkdir(tree.objects);
    await configure(tree, arch, toolchain, texts);
    const log = join(cacheRoot(), 'logs', `${key}.log`);
    const from = `${kernel.source} (${version})`;
    await compile({ name, arch, tree, toolchain, from, stamp: `klp ${state.slice(0, 12)}`, log }, progress);
    const kept = await keepBuild(tree, arch, work);
    await storeKernel(work, { ...kept, version: `${from}, ${toolchain.version}`, packages: [] });
    await rm(tree.objects, { recursive: true });
  });
  return load(directory, kernel, toolchain);
}

/** The kernel as its tree would be built now; undefined when the cache has no such build. Builds nothing. */
export async function cachedSource(kernel: SourceKernel): Promise<AcquiredKernel | undefined> {
  try {
    const inputs = await inputsOf(kernel);
    const toolchain = await rememberedToolchain(inputs.word, kernel.arch);
    if (!toolchain) return undefined;
    return await load(join(cacheRoot(), 'kernels', keyOf(kernel, inputs, toolchain)), kernel, toolchain);
  } catch {
    return undefined;
  }
}

async function inputsOf(kernel: SourceKernel): Promise<Inputs> {
  const version = await versionOfTree(kernel.source);
  const texts = await Promise.all(kernel.config.map(readFragment));
  return { version, texts, state: await sourceState(kernel.source), word: kernel.toolchain ?? suitingToolchain(version) };
}

function keyOf({ name, arch }: SourceKernel, { version, state, texts }: Inputs, toolchain: Toolchain): string {
  return `${name}-${digest(`source ${recipe}`, arch, toolchain.version, version, state, ...texts).slice(0, 16)}`;
}

async function load(directory: string, of: SourceKernel, toolchain: Toolchain): Promise<AcquiredKernel> {
  const { name, arch, machine, source: folder } = of;
  const kernel = { ...(await loadKernel(directory, { name, arch, origin: 'built' }, () => Promise.resolve(toolchain))), source: { folder } };
  return machine === undefined ? kernel : { ...kernel, machine };
}

/**
 * The version that a tree's Makefile names.
 * @throws UsageError when the folder is no kernel source
 */
export async function versionOfTree(source: string): Promise<string> {
  const makefile = await readFile(join(source, 'Makefile'), 'utf8').catch(() => '');
  const part = (name: string): string | undefined => new RegExp(`^${name}\\s*=\\s*(\\d+)\\s*$`, 'm').exec(makefile)?.[1];
  const [version, level, sub] = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL'].map(part);
  if (version === undefined || level === undefined || !existsSync(join(source, 'Kconfig'))) {
    throw new UsageError(`--source: ${source} is no kernel source tree`, { hint: 'name the folder with the kernel\'s Makefile and Kconfig' });
  }
  return [version, level, sub ?? '0'].join('.');
}

/** Kernels build into another folder only from a tree that nothing was built in. */
function requireClean(source: string): void {
  const left = ['.config', 'include/config'].find((name) => existsSync(join(source, name)));
  if (left === undefined) return;
  throw new UsageError(`--source: a kernel was configured or built in ${source} itself (${left} is there), so it can't be built elsewhere`, {
    hint: `make -C ${source} mrproper, which deletes .config and what was built; or take a fresh checkout: git worktree add`,
  });
}

/**
 * A digest of a tree's state. Of a git checkout: its commit, the text of what differs from it, and of files it does not
 * know their size and time; else size and time of every file.
 */
export async function sourceState(source: string): Promise<string> {
  const git = async (...args: string[]): Promise<string | undefined> => {
    const result = await tryHost('git', ['-C', source, ...args], { timeout: 5 * 60_000, env: { GIT_OPTIONAL_LOCKS: '0' } }).catch(() => undefined);
    return result?.exitCode === 0 ? result.stdout : undefined;
  };
  // Only its own top folder: a tree inside another project's checkout may be ignored there.
  if (existsSync(join(source, '.git'))) {
    const commit = await git('rev-parse', 'HEAD');
    const changes = await git('diff', '--no-ext-diff', '--binary', 'HEAD');
    const others = await git('ls-files', '--others', '--exclude-standard', '-z');
    if (commit !== undefined && changes !== undefined && others !== undefined) {
      const stamps = await Promise.all(others.split('\0').filter((f) => f !== '').map((f) => stampOf(source, f)));
      return digest('git', commit, changes, ...stamps);
    }
  }
  const files = await readdir(source, { recursive: true });
  const stamps: string[] = [];
  for (let at = 0; at < files.length; at += 512) {
    stamps.push(...(await Promise.all(files.slice(at, at + 512).map((f) => stampOf(source, f)))));
  }
  return digest('files', ...stamps.sort());
}

async function stampOf(source: string, file: string): Promise<string> {
  const s = await lstat(join(source, file)).catch(() => undefined);
  return s === undefined || s.isDirectory() ? '' : `${file} ${s.size} ${s.mtimeMs}`;
}

/**
 * The text of a fragment of ours, or of a file.
 * @throws UsageError when there is neither
 */
async function readFragment(word: string): Promise<string> {
  const file = /[/.]/.test(word) ? word : packagePath('kernels', 'config', `${word}.config`);
  try {
    return await readFile(file, 'utf8');
  } catch {
    const ours = (await readdir(packagePath('kernels', 'config'))).map((f) => basename(f, '.config')).sort();
    throw new UsageError(`--config ${word}: there is no such fragment`, { hint: `a file, or one of ${ours.join(', ')}` });
  }
}

