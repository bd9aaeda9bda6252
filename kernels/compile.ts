// SPDX-License-Identifier: MIT
import { access, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { InfrastructureError } from '../harness/errors.js';
import { host, lastLines } from '../harness/host.js';
import { compilerPackage, defaultPrefix, runMake, type HostTool } from './toolchain.js';
import type { Progress, Toolchain } from './types.js';

/** A kernel source tree and the folder it is built in: the same one, or another that kbuild calls `O=`. */
export interface KernelTree {
  readonly source: string;
  readonly objects: string;
}

/** One build of a configured tree. */
export interface Compilation {
  /** The kernel's name, for messages. */
  readonly name: string;
  readonly arch: Arch;
  readonly tree: KernelTree;
  readonly toolchain: Toolchain;
  /** What it is built from, for messages: `linux-source-7.3 7.3.4-1`. */
  readonly from: string;
  /** Stands in the kernel's banner where the time of the build does, so that the same input gives the same kernel. */
  readonly stamp: string;
  /** File that the whole output is written to, whatever comes of it. */
  readonly log: string;
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

/** What building a kernel on this host needs, when its compiler is the host's. */
export function toolsFor(arch: Arch): readonly HostTool[] {
  return [
    ...buildTools,
    { probe: [`${defaultPrefix(arch)}gcc`, '--version'], package: compilerPackage(arch, 'gcc') },
    // objtool
    ...(arch === 'x86_64'
      ? [{ probe: ['test', '-e', '/usr/include/gelf.h'], package: 'libelf-dev' } satisfies HostTool]
      : []),
  ];
}

/** Words of every `make` in a tree: where it is, where objects go, for which architecture. */
export function treeWords({ source, objects }: KernelTree, arch: Arch): string[] {
  const where = source === objects ? [] : ['-C', source, `O=${objects}`];
  return [...where, `ARCH=${architectures[arch].kbuild}`];
}

/** Host folders that a build in `tree` reads or writes. */
export function treeFolders({ source, objects }: KernelTree): string[] {
  return source === objects ? [source] : [source, objects];
}

/**
 * Compiles a configured tree, saying now and then how far it is.
 * @throws InfrastructureError with the last thirty lines and the log's path when it fails
 */
export async function compile(job: Compilation, progress: Progress): Promise<void> {
  const { name, arch, tree, toolchain, from, stamp, log } = job;
  const started = Date.now();
  let objects = 0;
  const say = (): void => {
    const seconds = Math.round((Date.now() - started) / 1000);
    const elapsed = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    progress(`building ${name} from ${from}: ${objects} objects, ${elapsed}`);
  };
  say();
  const ticker = setInterval(say, 10_000);
  const words = [
    ...treeWords(tree, arch),
    // The same input gives the same kernel, wherever and whenever it is built.
    'KBUILD_BUILD_USER=klp',
    'KBUILD_BUILD_HOST=klp',
    `KBUILD_BUILD_TIMESTAMP=${stamp}`,
    'KBUILD_BUILD_VERSION=1',
    `-j${availableParallelism() + 1}`,
    imageOf(arch).target,
    'modules',
  ];
  try {
    const result = await runMake(toolchain, words, treeFolders(tree), {
      cwd: tree.objects,
      timeout: 3 * 3600_000,
      // What a compiler says of a failure must stand beside it, among the last lines.
      inOrder: true,
      onLine: (line) => {
        if (/^ {2}(CC|AS|LDS) /.test(line)) objects++;
      },
    });
    await mkdir(dirname(log), { recursive: true });
    await writeFile(log, result.all);
    if (result.exitCode !== 0) throw buildFailure(name, result.all, log);
    say();
  } finally {
    clearInterval(ticker);
  }
}

function buildFailure(name: string, output: string, log: string): InfrastructureError {
  const details = lastLines(output, 30);
  if (output.includes('No space left on device')) {
    return new InfrastructureError(`building ${name} failed: no space left on the device`, {
      hint: `make room where the cache is, or set KLP_CACHE to a folder on another disk: a build needs 2 to 4 GB; the whole log is ${log}`,
      details,
    });
  }
  return new InfrastructureError(`building ${name} failed`, { hint: `the whole log is ${log}`, details });
}

function imageOf(arch: Arch): { readonly target: string; readonly path: string } {
  return arch === 'x86_64'
    ? { target: 'bzImage', path: 'arch/x86/boot/bzImage' }
    : { target: 'Image', path: 'arch/arm64/boot/Image' };
}

/** What is kept of a build, relative to the folder it is kept in. */
export interface KeptBuild {
  readonly release: string;
  readonly image: string;
  readonly buildDir: string;
  readonly config: string;
}

/**
 * Keeps of a finished build what booting it and building modules for it needs: about a twentieth of the tree.
 * @param directory gets the image, and `build/` with headers, kbuild's programs, `.config`, `System.map` and `vmlinux`
 */
export async function keepBuild(tree: KernelTree, arch: Arch, directory: string): Promise<KeptBuild> {
  const { objects } = tree;
  const { path } = imageOf(arch);
  const image = basename(path);
  const build = join(directory, 'build');
  await copyFile(join(objects, path), join(directory, image));
  await keepHeaders(tree, arch === 'x86_64' ? 'x86' : arch, build);
  await copyFile(join(objects, '.config'), join(build, '.config'));
  await move(join(objects, 'System.map'), join(build, 'System.map'));
  // Without debug information, unless the configuration has it; gdb and addr2line find symbols in it.
  await move(join(objects, 'vmlinux'), join(build, 'vmlinux'));
  const release = (await readFile(join(objects, 'include/config/kernel.release'), 'utf8')).trim();
  return { release, image, buildDir: 'build', config: 'build/.config' };
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch(async () => {
    // On another file system.
    await copyFile(from, to);
    await rm(from);
  });
}

async function keepHeaders({ source, objects }: KernelTree, srcArch: string, build: string): Promise<void> {
  const script = join(source, 'scripts/package/install-extmod-build');
  if (await access(script).then(() => true, () => false)) {
    // The kernel's own list of what a headers package needs. CC stands for the compiler of its programs: the host's.
    await host('sh', [source === objects ? 'scripts/package/install-extmod-build' : script, build], {
      cwd: objects,
      env: { srctree: source === objects ? '.' : source, SRCARCH: srcArch, CC: 'gcc', HOSTCC: 'gcc', MAKE: 'make' },
      timeout: 10 * 60_000,
    });
    return;
  }
  await mkdir(build, { recursive: true });
  await host('sh', ['-c', headersBefore66, 'sh', source, objects, build, srcArch], { timeout: 10 * 60_000 });
}

/** Before 6.6 kernels have no such script: the same files by name. What was generated comes last and wins. */
const headersBefore66 = String.raw`
set -eu
copy() { tar -c -f - -T - | tar -x -f - -C "$1"; }
cd "$1"
find Makefile include scripts "arch/$4" ! -type d ! -name '*.o' ! -name '.*.cmd' \( -path Makefile -o -path 'include/*' \
  -o -path 'scripts/*' -o -path '*/include/*' -o -path '*/scripts/*' -o -name 'Makefile*' -o -name Kbuild.platforms \
  -o -name Platform -o -name module.lds \) | copy "$3"
cd "$2"
find $(ls -d Module.symvers include scripts "arch/$4/include" "arch/$4/kernel/module.lds" tools/objtool/objtool 2>/dev/null) \
  ! -type d ! -name '*.o' ! -name '.*.cmd' | copy "$3"
`;
