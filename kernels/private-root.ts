// SPDX-License-Identifier: MIT
import { access, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Arch } from '../harness/arch.js';
import { cached, digest, ifCached } from '../harness/cache.js';
import { host, tryHost } from '../harness/host.js';
import { AptRoot, sha256Of } from './apt.js';
import { requireNamespaces, runInRoot } from './in-root.js';
import { hostSuite } from './mirrors.js';
import { compilerPackage, defaultPrefix, findToolchain, requireTools, versionOf } from './toolchain.js';
import type { PackageRecord, Progress, Toolchain } from './types.js';

/** Raised when the way a root is made changes, so that older ones are left alone. */
const layout = 1;

/** What kbuild runs, for modules and for whole kernels; the compilers are added. */
const tools: readonly string[] = [
  'base-files', 'bash', 'bc', 'binutils', 'bison', 'coreutils', 'cpio', 'dash', 'diffutils', 'file', 'findutils', 'flex',
  'gawk', 'gcc', 'grep', 'gzip', 'kmod', 'libc6-dev', 'libelf-dev', 'libssl-dev', 'make', 'perl', 'python3-minimal', 'rsync',
  'sed', 'tar', 'xz-utils', 'zstd',
];

/** What not every release has: module BTF is made with pahole where headers come with a vmlinux (trixie and later). */
const whereThere: readonly string[] = ['pahole'];

/** A Debian release's root file system with a toolchain in it, in the cache. */
export interface PrivateRoot {
  readonly directory: string;
  /** Everything that was unpacked into it. */
  readonly packages: readonly PackageRecord[];
}

/** The release that a pocket belongs to: a kernel of `trixie-backports` is built with trixie's tools. */
export function baseSuite(suite: string): string {
  return suite.replace(/-.*$/, '');
}

/**
 * The toolchain of a Debian release: the host's own for its own release, else one in a private root, which is made
 * when the cache lacks it.
 *
 * @param suite a release, or a pocket of one: `bullseye`, `trixie-backports`
 * @param arch  what it compiles for
 * @param gcc   the compiler, `gcc-10` where headers ask for that one; the release's own when left out
 * @throws InfrastructureError when mmdebstrap, user namespaces or the compiler are missing, or the mirror lets us down
 */
export async function suiteToolchain(suite: string, arch: Arch, progress: Progress, gcc = 'gcc'): Promise<Toolchain> {
  if (baseSuite(suite) === (await hostSuite())) return findToolchain(arch, defaultPrefix(arch), gcc);
  await requirePrivateRoots(suite);
  const release = baseSuite(suite);
  const root = await makeRoot(release, [compilerPackage(arch, 'gcc')], progress);
  if (await has(root, arch, gcc)) return toolchainIn(root, arch, gcc);
  // Not the release's default: it is asked for by name.
  return toolchainIn(await makeRoot(release, [compilerPackage(arch, 'gcc'), compilerPackage(arch, gcc)], progress), arch, gcc);
}

/**
 * Looks whether a private root can be made and entered, before anything is downloaded for it.
 * @throws InfrastructureError saying what to install or to allow
 */
export async function requirePrivateRoots(suite: string): Promise<void> {
  await requireTools([{ probe: ['mmdebstrap', '--version'], package: 'mmdebstrap' }], `the toolchain of ${suite}`);
  await requireNamespaces();
}

/** The same when nothing must be made for it; undefined when the cache has no such root. */
export async function cachedSuiteToolchain(suite: string, arch: Arch, gcc = 'gcc'): Promise<Toolchain | undefined> {
  if (baseSuite(suite) === (await hostSuite())) return findToolchain(arch, defaultPrefix(arch), gcc);
  const first = [compilerPackage(arch, 'gcc')];
  for (const compilers of [first, [...first, compilerPackage(arch, gcc)]]) {
    const root = await cachedRoot(baseSuite(suite), compilers);
    if (root && (await has(root, arch, gcc))) return toolchainIn(root, arch, gcc);
  }
  return undefined;
}

async function has(root: PrivateRoot, arch: Arch, gcc: string): Promise<boolean> {
  return access(join(root.directory, 'usr/bin', `${defaultPrefix(arch)}${gcc}`)).then(
    () => true,
    () => false,
  );
}

async function toolchainIn(root: PrivateRoot, arch: Arch, gcc: string): Promise<Toolchain> {
  const prefix = defaultPrefix(arch);
  const version = versionOf(await runInRoot(root.directory, `${prefix}${gcc}`, ['--version'], [], { timeout: 60_000 }));
  if (version === undefined) throw new Error(`${prefix}${gcc} does not run in ${root.directory}`);
  return { crossCompile: prefix, version, root: root.directory, packages: root.packages.filter(compiles) };
}

/** Which packages can change what is compiled: they are named in results. */
function compiles({ name }: PackageRecord): boolean {
  return /^(gcc|cpp|clang|lld|llvm|binutils|make|libc6|libelf|linux-libc-dev|pahole)(-|$|\d)/.test(name);
}

function packagesOf(compilers: readonly string[]): readonly string[] {
  return [...new Set([...tools, ...whereThere, ...compilers])].sort();
}

function rootKey(suite: string, compilers: readonly string[]): string {
  return `${suite}-${digest(`root ${layout}`, suite, ...packagesOf(compilers)).slice(0, 16)}`;
}

async function cachedRoot(suite: string, compilers: readonly string[]): Promise<PrivateRoot | undefined> {
  const directory = await ifCached('roots', rootKey(suite, compilers));
  return directory === undefined ? undefined : readRoot(directory);
}

async function readRoot(directory: string): Promise<PrivateRoot> {
  const packages = JSON.parse(await readFile(join(directory, 'packages.json'), 'utf8')) as PackageRecord[];
  return { directory: join(directory, 'root'), packages };
}

/**
 * A root with the tools of `suite` and the given compilers, made when the cache lacks it. One that is there is kept as
 * it is: what was built with it can be built with it again.
 */
export async function makeRoot(suite: string, compilers: readonly string[], progress: Progress): Promise<PrivateRoot> {
  const directory = await cached('roots', rootKey(suite, compilers), async (work) => {
    const apt = await AptRoot.open(suite);
    await apt.update(progress);
    const root = join(work, 'root');
    progress(`toolchain of ${suite} (${compilers.join(', ')}): making a private root`);
    await bootstrap(apt, root, await available(apt, packagesOf(compilers)), progress);
    await mkdir(join(work, 'mount'));
    await writeFile(join(work, 'packages.json'), `${JSON.stringify(await unpacked(root), null, 2)}\n`);
    await host('rm', ['-rf', ...['var/cache/apt', 'var/lib/apt'].map((path) => join(root, path))], { timeout: 60_000 });
    // What the maintainer scripts would have linked.
    if (!(await access(join(root, 'usr/bin/awk')).then(() => true, () => false))) await symlink('gawk', join(root, 'usr/bin/awk'));
  });
  return readRoot(directory);
}

async function available(apt: AptRoot, packages: readonly string[]): Promise<string[]> {
  const there = await Promise.all(whereThere.map((name) => apt.list(name, new RegExp(`^${name}$`), 'amd64')));
  const missing = whereThere.filter((_, i) => there[i]?.length === 0);
  return packages.filter((name) => !missing.includes(name));
}

/**
 * Packages and what they depend on, unpacked into `root` and not configured: no script of theirs runs, so this needs no
 * privilege, and everything belongs to the caller.
 */
async function bootstrap(apt: AptRoot, root: string, packages: readonly string[], progress: Progress): Promise<void> {
  const proxies = await tryHost('apt-config', ['dump', 'Acquire'], { timeout: 60_000 });
  const options = proxies.stdout.split('\n').filter((line) => /^Acquire::https?::.*"./.test(line));
  const args = [
    '--verbose', '--mode=chrootless', '--variant=extract', '--format=directory', '--skip=cleanup/apt',
    ...options.map((line) => `--aptopt=${line}`),
    '--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-exclude=/usr/share/man/*',
    '--dpkgopt=path-exclude=/usr/share/locale/*', `--include=${packages.join(',')}`,
    apt.suite, root, apt.path('sources.list'),
  ];
  const result = await tryHost('mmdebstrap', args, {
    timeout: 30 * 60_000,
    // As root it would keep set-id bits, which nobody needs here.
    env: { TAR_OPTIONS: '--no-same-owner --no-same-permissions' },
    onLine: (line) => {
      const [, step] = /^I: (downloading|extracting|installing)/.exec(line) ?? [];
      if (step !== undefined) progress(`toolchain of ${apt.suite}: ${step}`);
    },
  });
  if (result.exitCode !== 0) throw apt.failure(result.all, `the packages of a toolchain of ${apt.suite}`);
}

/** What apt downloaded, and verified, for this root. */
async function unpacked(root: string): Promise<PackageRecord[]> {
  const archives = join(root, 'var/cache/apt/archives');
  const files = (await readdir(archives)).filter((name) => name.endsWith('.deb')).sort();
  return Promise.all(
    files.map(async (file) => {
      const [name = '', version = '', arch = ''] = file.slice(0, -'.deb'.length).split('_');
      return { name, version: decodeURIComponent(version), arch, sha256: await sha256Of(join(archives, file)) };
    }),
  );
}
