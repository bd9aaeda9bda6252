// SPDX-License-Identifier: MIT
import { access, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cacheRoot, cached, digest } from '../harness/cache.js';
import { InfrastructureError, UsageError } from '../harness/errors.js';
import { type AptRoot, type IndexedPackage, isNewer } from './apt.js';
import { identifyImage } from './image.js';
import { hostSuite } from './mirrors.js';
import { unpackPackage } from './packages.js';
import { remembered, withPlan, type Plan } from './plan.js';
import { baseSuite, cachedSuiteToolchain, requirePrivateRoots, suiteToolchain } from './private-root.js';
import { loadKernel, storeKernel } from './store.js';
import { moduleBuildTools, requireTools } from './toolchain.js';
import type { AcquiredKernel, KernelSource, PackageRecord, Progress, Toolchain } from './types.js';

/** Raised when what is unpacked or relocated changes, so that older cache entries are left alone. */
const layout = 1;

/** A distribution's own kernel: a suite of Debian's archive and an architecture. */
export interface StockKernel {
  readonly name: string;
  /** A release or a pocket: `bookworm`, `trixie-backports`. */
  readonly suite: string;
  readonly arch: Arch;
  /** ABI (`6.1.0-55`, `6.12.117+deb13`) or package version (`6.1.176-1`) instead of the newest. */
  readonly version?: string;
}

/**
 * Image, headers and modules of a stock kernel. The headers of the kernel's architecture are joined with the kbuild
 * programs of the host's, so that modules are built here whichever the guest is. Where the image is divided, its parts
 * are what it depends on: linux-base- (configuration), linux-binary- (vmlinuz), linux-modules-.
 */
function stockPlan(kernel: StockKernel): Plan {
  const { suite, arch, version } = kernel;
  const debian = architectures[arch].debian;
  return {
    suite,
    key: version === undefined ? `stock-${debian}` : `stock-${debian}@${version}`,
    exact: version !== undefined,
    find: async (find, list, gone) => {
      const newest = async (): Promise<IndexedPackage> =>
        find(dependency(await find(`linux-image-${debian}`, debian), /^linux-image-\d/), debian);
      const image =
        version !== undefined
          ? await pinnedImage(kernel, version, list)
          : gone.size === 0
            ? await newest()
            : newestBut(gone, await newest(), await images(kernel, list));
      const exact = version !== undefined || gone.size > 0 ? image.version : undefined;
      const headers = await find(image.name.replace('linux-image-', 'linux-headers-'), debian, exact);
      if (headers.version !== image.version) {
        throw new InfrastructureError(
          `${suite} has ${image.name} ${image.version} but its headers are ${headers.version}`,
          { hint: 'the archive is between two versions: try again later' },
        );
      }
      const part = (name: string, of = debian): Promise<IndexedPackage> => find(name, of, exact);
      const parts = image.depends.filter((name) => /^linux-(base|binary|modules)-\d/.test(name));
      const common = await part(dependency(headers, /^linux-headers-.*-common$/));
      // The one that all ABIs of a release share (linux-kbuild-6.1) may be there in a newer version only.
      const tools = dependency(headers, /^linux-kbuild-/);
      const host = architectures.x86_64.debian;
      const kbuild = await part(tools, host).catch(() => find(tools, host));
      const more: IndexedPackage[] = [];
      for (const name of parts) more.push(await part(name));
      return [image, headers, common, kbuild, ...more];
    },
  };
}

/** What a name says between `linux-image-` and the architecture, `6.1.0-55` or `6.12.117+deb13`: the kernel's ABI. */
function abiPattern(debian: string): RegExp {
  return new RegExp(`^linux-image-(\\d+\\.\\d+\\.\\d[^-]*(?:-\\d[\\w.]*)?)-${debian}$`);
}

function abiOf({ name }: PackageRecord, debian: string): string {
  return abiPattern(debian).exec(name)?.[1] ?? '';
}

/**
 * Every image of this architecture that the index has, oldest first; none of the cloud and rt flavours, and none
 * without its headers, which older versions lose earlier.
 */
async function images({ arch }: StockKernel, list: AptRoot['list']): Promise<IndexedPackage[]> {
  const { debian } = architectures[arch];
  const all = await list('linux-image-', abiPattern(debian), debian);
  const names = new Set(all.map((one) => one.name.replace('linux-image-', 'linux-headers-')));
  const headers = await list('linux-headers-', { test: (name) => names.has(name) }, debian);
  const known = new Set(headers.map((one) => `${one.name} ${one.version}`));
  return inOrder(all.filter((one) => known.has(`${one.name.replace('linux-image-', 'linux-headers-')} ${one.version}`)));
}

/** The image that a pin means: of an ABI its newest version, else the one of that version. */
async function pinnedImage(kernel: StockKernel, version: string, list: AptRoot['list']): Promise<IndexedPackage> {
  const { debian } = architectures[kernel.arch];
  const all = await images(kernel, list);
  const found = all.filter((one) => one.version === version || abiOf(one, debian) === version).at(-1);
  if (found) return found;
  throw new UsageError(`${kernel.suite} has no kernel ${version} for ${kernel.arch}`, {
    hint: `the index has ${all.map((one) => `${abiOf(one, debian)} (${one.version})`).join(', ')}`,
  });
}

/** The newest image of the same series (6.1) without the versions that are gone; `newest` itself when there is none. */
function newestBut(gone: ReadonlySet<string>, newest: IndexedPackage, all: readonly IndexedPackage[]): IndexedPackage {
  const [series = ''] = /^linux-image-\d+\.\d+\./.exec(newest.name) ?? [];
  return all.filter((one) => one.name.startsWith(series) && !gone.has(one.version)).at(-1) ?? newest;
}

/** Oldest first, as Debian orders versions. */
async function inOrder(packages: readonly IndexedPackage[]): Promise<IndexedPackage[]> {
  const sorted: IndexedPackage[] = [];
  for (const one of packages) {
    let at = sorted.length;
    for (let before = sorted[at - 1]; before && (await isNewer(before.version, one.version)); before = sorted[at - 1]) at--;
    sorted.splice(at, 0, one);
  }
  return sorted;
}

function dependency(of: IndexedPackage, pattern: RegExp): string {
  const name = of.depends.find((one) => pattern.test(one));
  if (name === undefined) {
    throw new InfrastructureError(`${of.name} ${of.version} depends on no package like ${pattern.source}`, {
      hint: 'this suite packages its kernel in a way that is not known here yet',
    });
  }
  return name;
}

/**
 * The stock kernel of a suite, newest or pinned, unpacked into the cache and ready to build modules for.
 * @throws InfrastructureError when the mirror, the packages or the toolchain let us down; UsageError for a version
 *         that the suite has not
 */
export async function acquireStock(kernel: StockKernel, progress: Progress): Promise<AcquiredKernel> {
  if (baseSuite(kernel.suite) === (await hostSuite())) {
    await requireTools(moduleBuildTools, `building modules for ${kernel.name}`);
  } else await requirePrivateRoots(kernel.suite);
  return withPlan(stockPlan(kernel), progress, async (packages, root) => {
    const directory = await cached('kernels', cacheKey(kernel, packages), (work) =>
      unpackStock(work, packages, root, progress),
    );
    return load(directory, kernel, (gcc) => suiteToolchain(kernel.suite, kernel.arch, progress, gcc));
  });
}

/** The stock kernel as it was acquired the last time; undefined when it is not in the cache. Asks no mirror. */
export async function cachedStock(kernel: StockKernel): Promise<AcquiredKernel | undefined> {
  const packages = await remembered(stockPlan(kernel));
  if (!packages) return undefined;
  const directory = join(cacheRoot(), 'kernels', cacheKey(kernel, packages));
  return load(directory, kernel, async (gcc) => {
    const toolchain = await cachedSuiteToolchain(kernel.suite, kernel.arch, gcc);
    if (!toolchain) throw new Error(`no toolchain of ${kernel.suite} in the cache`);
    return toolchain;
  }).catch(() => undefined);
}

function cacheKey(kernel: StockKernel, packages: readonly PackageRecord[]): string {
  return `${kernel.name}-${digest(`stock ${layout}`, ...packages.map((p) => p.sha256)).slice(0, 16)}`;
}

/** @param toolchain of the compiler that Debian's headers ask for by name (`.kernelvariables`), in the kernel's suite */
async function load(
  directory: string,
  kernel: StockKernel,
  toolchain: (gcc: string | undefined) => Promise<Toolchain>,
): Promise<AcquiredKernel> {
  const loaded = await loadKernel(directory, { name: kernel.name, arch: kernel.arch, origin: 'stock' }, async (buildDir) => {
    const variables = await readFile(join(buildDir, '.kernelvariables'), 'utf8');
    return toolchain(/\$\(CROSS_COMPILE\)(gcc(?:-\d+)?)$/m.exec(variables)?.[1]);
  });
  const source = sourcePackage(kernel.suite, loaded.packages);
  return source ? { ...loaded, source } : loaded;
}

/**
 * The source package that belongs to a stock kernel's image: Debian builds both from one source, with one version.
 * @param packages the image's first
 */
export function sourcePackage(suite: string, [image]: readonly PackageRecord[]): KernelSource | undefined {
  const [, series] = /^linux-image-(\d+\.\d+)\./.exec(image?.name ?? '') ?? [];
  return image && series !== undefined ? { suite, name: `linux-source-${series}`, version: image.version } : undefined;
}

async function unpackStock(
  work: string,
  packages: readonly PackageRecord[],
  root: AptRoot,
  progress: Progress,
): Promise<void> {
  const [image, headers, common] = packages;
  if (!image || !headers || !common) throw new Error('a stock plan has an image, headers and common headers');
  for (const record of packages) {
    const file = await root.download(record, progress);
    progress(`unpacking ${record.name} ${record.version}`);
    await unpackPackage(file, work, (path) => !path.startsWith('usr/share/') && !ofOtherArchitecture(path));
  }
  const buildDir = `usr/src/${headers.name}`;
  await relocate(work, buildDir, `usr/src/${common.name}`);
  // Debian's kernel.release has the upstream version; `uname -r` is what its Makefile overrides it with.
  const release = headers.name.replace('linux-headers-', '');
  await writeFile(join(work, buildDir, 'include/config/kernel.release'), `${release}\n`);
  const vmlinuz = await firstOf(work, [`boot/vmlinuz-${release}`, `usr/lib/modules/${release}/vmlinuz`]);
  const said = identifyImage(await readFile(join(work, vmlinuz))).release;
  if (said !== release) {
    throw new InfrastructureError(`${image.name} is ${said ?? 'an image of unknown version'}, its headers are ${release}`);
  }
  await storeKernel(work, {
    release,
    version: `${image.name} ${image.version}`,
    image: vmlinuz,
    buildDir,
    config: `${buildDir}/.config`,
    modulesDir: await firstOf(work, [`lib/modules/${release}/kernel`, `usr/lib/modules/${release}/kernel`]).then(dirname),
    packages,
  });
}

/** The first of these paths that is there: it depends on the release where packages put their files. */
async function firstOf(root: string, paths: readonly string[]): Promise<string> {
  for (const path of paths) if (await access(join(root, path)).then(() => true, () => false)) return path;
  throw new InfrastructureError(`the packages of this kernel have none of ${paths.join(', ')}`, {
    hint: 'this suite packages its kernel in a way that is not known here yet',
  });
}

/** The common headers of the architectures that are never a guest; arm64 includes some of arm's. */
function ofOtherArchitecture(path: string): boolean {
  return /^usr\/src\/linux-headers-[^/]+-common\/arch\/(?!(?:x86|arm|arm64)(?:\/|$))[^/]+\//.test(path);
}

/**
 * Debian's headers include each other by absolute path below /usr/src: makes that relative, so that they work where
 * they are. Their `scripts` and `tools` links are relative already; `build` and `source` were made so by unpacking.
 */
async function relocate(root: string, buildDir: string, common: string): Promise<void> {
  const makefile = join(root, buildDir, 'Makefile');
  const text = await readFile(makefile, 'utf8');
  const here = '$(dir $(lastword $(MAKEFILE_LIST)))';
  const near = text
    .replaceAll(/^include \/(usr\/\S+)$/gm, (_, target: string) => `include ${here}${relative(buildDir, target)}`)
    // Said since 7.x, where kbuild changes into the module's folder.
    .replace(`KBUILD_OUTPUT=/${buildDir}\n`, `KBUILD_OUTPUT := $(abspath ${here})\n`);
  if (!near.includes(`../${common.split('/').at(-1) ?? ''}/Makefile`)) {
    throw new InfrastructureError(`${buildDir}/Makefile does not include its common part as expected`, {
      details: text.split('\n').slice(0, 5),
    });
  }
  await writeFile(makefile, near);
  // The architecture is ours to say, not that of a surrounding Debian package build.
  const variables = join(root, buildDir, '.kernelvariables');
  const kept = (await readFile(variables, 'utf8')).replace(/^ifneq \(\$\(DEB_BUILD_ARCH\)[\s\S]*?^endif\n/m, '');
  await writeFile(variables, kept);
}
