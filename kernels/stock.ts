// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cacheRoot, cached, digest } from '../harness/cache.js';
import { InfrastructureError } from '../harness/errors.js';
import type { AptRoot, IndexedPackage } from './apt.js';
import { identifyImage } from './image.js';
import { unpackPackage } from './packages.js';
import { remembered, withPlan, type Plan } from './plan.js';
import { loadKernel, storeKernel } from './store.js';
import { defaultPrefix, findToolchain, moduleBuildTools, requireTools } from './toolchain.js';
import type { AcquiredKernel, PackageRecord, Progress, Toolchain } from './types.js';

/** Raised when what is unpacked or relocated changes, so that older cache entries are left alone. */
const layout = 1;

/** A distribution's own kernel: a suite of Debian's archive and an architecture. */
export interface StockKernel {
  readonly name: string;
  readonly suite: string;
  readonly arch: Arch;
}

/**
 * Image, headers and modules of a stock kernel. The headers of the kernel's architecture are joined with the kbuild
 * programs of the host's, so that modules are built here whichever the guest is.
 */
function stockPlan({ suite, arch }: StockKernel): Plan {
  const debian = architectures[arch].debian;
  return {
    suite,
    key: `stock-${debian}`,
    find: async (find) => {
      const meta = await find(`linux-image-${debian}`, debian);
      const image = await find(dependency(meta, /^linux-image-\d/), debian);
      const headers = await find(image.name.replace('linux-image-', 'linux-headers-'), debian);
      if (headers.version !== image.version) {
        throw new InfrastructureError(
          `${suite} has ${image.name} ${image.version} but its headers are ${headers.version}`,
          { hint: 'the archive is between two versions: try again later' },
        );
      }
      const common = await find(dependency(headers, /^linux-headers-.*-common$/), debian);
      const kbuild = await find(dependency(headers, /^linux-kbuild-/), architectures.x86_64.debian);
      return [image, headers, common, kbuild];
    },
  };
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
 * The newest stock kernel of a suite, unpacked into the cache and ready to build modules for.
 * @throws InfrastructureError when the mirror, the packages or the host's compiler let us down
 */
export async function acquireStock(kernel: StockKernel, progress: Progress): Promise<AcquiredKernel> {
  await requireTools(moduleBuildTools, `building modules for ${kernel.name}`);
  return withPlan(stockPlan(kernel), progress, async (packages, root) => {
    const directory = await cached('kernels', cacheKey(kernel, packages), (work) =>
      unpackStock(work, packages, root, progress),
    );
    return load(directory, kernel);
  });
}

/** The stock kernel as it was acquired the last time; undefined when it is not in the cache. Asks no mirror. */
export async function cachedStock(kernel: StockKernel): Promise<AcquiredKernel | undefined> {
  const packages = await remembered(stockPlan(kernel));
  if (!packages) return undefined;
  return load(join(cacheRoot(), 'kernels', cacheKey(kernel, packages)), kernel).catch(() => undefined);
}

function cacheKey(kernel: StockKernel, packages: readonly PackageRecord[]): string {
  return `${kernel.name}-${digest(`stock ${layout}`, ...packages.map((p) => p.sha256)).slice(0, 16)}`;
}

async function load(directory: string, kernel: StockKernel): Promise<AcquiredKernel> {
  return loadKernel(directory, { name: kernel.name, arch: kernel.arch, origin: 'stock' }, (buildDir) =>
    stockToolchain(buildDir, kernel.arch),
  );
}

/** The compiler that Debian's headers ask for by name (`.kernelvariables`). */
async function stockToolchain(buildDir: string, arch: Arch): Promise<Toolchain> {
  const variables = await readFile(join(buildDir, '.kernelvariables'), 'utf8');
  const gcc = /\$\(CROSS_COMPILE\)(gcc(?:-\d+)?)$/m.exec(variables)?.[1];
  return findToolchain(arch, defaultPrefix(arch), gcc);
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
  const vmlinuz = `boot/vmlinuz-${release}`;
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
    modulesDir: `lib/modules/${release}`,
    packages,
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
  const near = text.replaceAll(
    /^include \/(usr\/\S+)$/gm,
    (_, target: string) => `include $(dir $(lastword $(MAKEFILE_LIST)))${relative(buildDir, target)}`,
  );
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
