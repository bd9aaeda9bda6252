// SPDX-License-Identifier: MIT
import { lstat, readFile, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cacheRoot } from '../harness/cache.js';
import { InfrastructureError } from '../harness/errors.js';
import { type HostOptions, type HostResult, tryHost } from '../harness/host.js';
import { runInRoot } from './in-root.js';
import type { Toolchain } from './types.js';

/** A host program that a build needs, and the Debian package that has it. */
export interface HostTool {
  /** Command and arguments that end with status 0 when the tool is there. */
  readonly probe: readonly [string, ...string[]];
  readonly package: string;
}

/** What every `make -C <buildDir> M=…` needs beside the compiler. */
export const moduleBuildTools: readonly HostTool[] = [
  { probe: ['make', '--version'], package: 'make' },
  { probe: ['ld', '--version'], package: 'binutils' },
];

/** `CROSS_COMPILE=` for an architecture on an x86-64 host. */
export function defaultPrefix(arch: Arch): string {
  return arch === 'x86_64' ? '' : `${architectures[arch].triplet}-`;
}

/**
 * Looks for all of `tools` before a long step starts.
 * @throws InfrastructureError naming every missing package at once
 */
export async function requireTools(tools: readonly HostTool[], purpose: string): Promise<void> {
  const missing: string[] = [];
  for (const tool of tools) if (!(await works(tool.probe))) missing.push(tool.package);
  if (missing.length === 0) return;
  const packages = [...new Set(missing)].join(' ');
  throw new InfrastructureError(`${purpose} needs what this host lacks: ${packages}`, {
    hint: `apt-get install ${packages}`,
  });
}

async function works([command, ...args]: readonly [string, ...string[]]): Promise<boolean> {
  return tryHost(command, args, { timeout: 30_000 }).then(
    (result) => result.exitCode === 0,
    () => false,
  );
}

/**
 * The compiler for a kernel's modules.
 * @param prefix `CROSS_COMPILE=`; empty for the host's own
 * @param gcc    name after the prefix: `gcc`, or `gcc-12` where a build directory asks for that one
 * @throws InfrastructureError when it is not installed
 */
export async function findToolchain(arch: Arch, prefix: string, gcc = 'gcc'): Promise<Toolchain> {
  const compiler = `${prefix}${gcc}`;
  const result = await tryHost(compiler, ['--version'], { timeout: 30_000 }).catch(() => undefined);
  const version = result && versionOf(result);
  if (version === undefined) {
    throw new InfrastructureError(`the compiler ${compiler} is not installed`, {
      hint: prefix === defaultPrefix(arch) ? `apt-get install ${compilerPackage(arch, gcc)}` : 'is --toolchain right?',
    });
  }
  return { crossCompile: prefix, version };
}

/**
 * The toolchain that a build directory's `.config` asks for: gcc, or Clang with LLVM's binutils.
 * @param prefix `CROSS_COMPILE=`; the architecture's own when left out
 * @param root   private root that it is looked for in, instead of on the host
 * @throws InfrastructureError naming the packages when the compiler is not installed
 */
export async function toolchainOf(
  config: ReadonlyMap<string, string>,
  arch: Arch,
  prefix = defaultPrefix(arch),
  root?: string,
): Promise<Toolchain> {
  if (config.get('CONFIG_CC_IS_CLANG') !== 'y') return findToolchain(arch, prefix);
  const major = String(Math.floor(Number(config.get('CONFIG_CLANG_VERSION') ?? '0') / 10_000));
  const run = async (compiler: string): Promise<string | undefined> => {
    const probe = root === undefined ? tryHost : runIn(root);
    return probe(compiler, ['--version'], { timeout: 60_000 }).then(versionOf, () => undefined);
  };
  const found = [
    { suffix: '', version: await run('clang') },
    { suffix: `-${major}`, version: await run(`clang-${major}`) },
  ];
  const same = found.find(({ version }) => version !== undefined && / version (\d+)\./.exec(version)?.[1] === major);
  const { suffix, version } = same ?? found[0] ?? { suffix: '' };
  if (version === undefined) {
    throw new InfrastructureError(`the compiler clang-${major} is not installed`, {
      hint: `apt-get install clang-${major} lld-${major} llvm-${major} (or clang lld llvm)`,
    });
  }
  const make = clangWords(config, suffix);
  return { crossCompile: prefix, version, make, ...(root === undefined ? {} : { root }) };
}

function runIn(root: string): typeof tryHost {
  return (command, args, options) => runInRoot(root, command, args, [], options);
}

/**
 * Words of `make` for a kernel that Clang built: with LLVM's linker and binutils where it was linked by lld.
 * A suffix is given to each tool by name, since `LLVM=-14` is known to 5.18 and later only.
 */
export function clangWords(config: ReadonlyMap<string, string>, suffix: string): readonly string[] {
  const compiler = suffix === '' ? [] : [`CC=clang${suffix}`, `HOSTCC=clang${suffix}`];
  if (config.get('CONFIG_LD_IS_LLD') !== 'y') return suffix === '' ? ['CC=clang'] : [`CC=clang${suffix}`];
  const tools = ['ar', 'nm', 'strip', 'objcopy', 'objdump', 'readelf'];
  const named = suffix === '' ? [] : [`LD=ld.lld${suffix}`, ...tools.map((tool) => `${tool.toUpperCase()}=llvm-${tool}${suffix}`)];
  // Since 5.15 LLVM=1 takes Clang's assembler by itself; before that it has to be asked for.
  return ['LLVM=1', ...(config.get('CONFIG_AS_IS_LLVM') === 'y' ? ['LLVM_IAS=1'] : []), ...compiler, ...named];
}

/** The first line of what `gcc --version` said; undefined when it failed. */
export function versionOf(result: HostResult): string | undefined {
  return result.exitCode === 0 ? result.stdout.split('\n')[0]?.trim() : undefined;
}

/** Debian's package of a compiler: `gcc-12`, `gcc-12-aarch64-linux-gnu`. */
export function compilerPackage(arch: Arch, gcc: string): string {
  return arch === 'x86_64' ? gcc : `${gcc}-${architectures[arch].triplet.replaceAll('_', '-')}`;
}

/**
 * Runs `make` on a kernel's tree with the kernel's own toolchain.
 * @param folders host folders that it reads or writes; they have the same paths in a toolchain's private root
 * @throws InfrastructureError when it cannot be started or its time is up
 */
export async function runMake(
  toolchain: Toolchain,
  args: readonly string[],
  folders: readonly string[],
  options: HostOptions = {},
): Promise<HostResult> {
  const words = [`CROSS_COMPILE=${toolchain.crossCompile}`, ...(toolchain.make ?? []), ...args];
  if (toolchain.root === undefined) return tryHost('make', words, options);
  const all = await Promise.all(folders.map(withSources));
  return runInRoot(toolchain.root, 'make', words, [...new Set(all.flat())], options);
}

/**
 * A folder and what `make` in it reads beside it. A kernel of the cache lies whole in one folder; the Makefile and the
 * links of any other build directory (`O=`) say where its sources are.
 */
async function withSources(folder: string): Promise<string[]> {
  const kernels = join(cacheRoot(), 'kernels');
  const [key = '', ...below] = relative(kernels, folder).split('/');
  if (key !== '..' && below.length > 0) return [join(kernels, key)];
  const makefile = await readFile(join(folder, 'Makefile'), 'utf8').catch(() => '');
  // `MAKEARGS := -C …` in older trees; Debian's headers include their common part.
  const named = [...makefile.matchAll(/^(?:MAKEARGS\s*:=\s*-C|include)\s+(\/\S+)$/gm)].map(([, path = '']) => path.replace(/\/Makefile$/, ''));
  const linked = await Promise.all(['source', 'scripts', 'tools'].map((name) => linkTarget(join(folder, name))));
  return [folder, ...named, ...linked.filter((one) => one !== undefined)];
}

async function linkTarget(path: string): Promise<string | undefined> {
  const link = await lstat(path).then((s) => s.isSymbolicLink(), () => false);
  return link ? realpath(path).catch(() => undefined) : undefined;
}
