// SPDX-License-Identifier: MIT
import { access, readFile, realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { machineFor, parseArch, type Arch } from '../harness/arch.js';
import { digest } from '../harness/cache.js';
import { UsageError } from '../harness/errors.js';
import { chosenToolchain } from './chosen-toolchain.js';
import { parseConfig } from './kconfig.js';
import { checkPairing } from './pairing.js';
import { contentDigest, kernelFingerprint } from './store.js';
import { moduleBuildTools, requireTools, toolchainOf } from './toolchain.js';
import type { AcquiredKernel, Progress, Toolchain } from './types.js';

/** A kernel of the user's own, as the command line or `klp.config.ts` describes it. */
export interface BroughtKernel {
  /** `--image`: bzImage, Image, Image.gz or vmlinux. */
  readonly image: string;
  /** `--build-dir`: the folder it was built in, or the headers that belong to it. */
  readonly buildDir: string;
  /** `--arch`; what `.config` says when left out. */
  readonly arch?: string;
  /** `--toolchain`: a Debian suite, `host`, or the prefix of a compiler (`CROSS_COMPILE=`). */
  readonly toolchain?: string;
  /** `lib/modules/<release>` of an installed tree, when drivers the guest needs are not built in. */
  readonly modulesDir?: string;
  /** `--machine`: a machine profile. */
  readonly machine?: string;
  /** Its name in klp.config.ts or the registry. */
  readonly name?: string;
}

/** A user's kernel whose image and build directory belong together; its toolchain is not looked for yet. */
export interface CheckedKernel {
  readonly name: string;
  readonly arch: Arch;
  /** Finds the toolchain, or makes its private root. */
  readonly acquire: (progress: Progress) => Promise<AcquiredKernel>;
}

/**
 * Takes a user's kernel as it is.
 * @throws what checkKernel throws; InfrastructureError when its toolchain can't be had
 */
export async function bringKernel(brought: BroughtKernel, progress: Progress): Promise<AcquiredKernel> {
  return (await checkKernel(brought)).acquire(progress);
}

/**
 * Looks whether a user's image and build directory are whole and belong together, so that a wrong pairing is told now
 * and not by a module that the guest refuses.
 *
 * @throws UsageError saying which file is missing or what does not fit
 */
export async function checkKernel(brought: BroughtKernel): Promise<CheckedKernel> {
  const image = resolve(brought.image);
  const buildDir = resolve(brought.buildDir);
  await requireFile(image, '--image', 'name the file that QEMU boots: bzImage, Image or Image.gz');
  await requireFile(buildDir, '--build-dir', 'name the folder that the kernel was built in');
  const config = join(buildDir, '.config');
  const symvers = join(buildDir, 'Module.symvers');
  await requireFile(config, '--build-dir', 'is it the folder that the kernel was built in (O=)?');
  await requireFile(join(buildDir, 'Makefile'), '--build-dir', 'is it the folder that the kernel was built in (O=)?');
  await requireFile(symvers, '--build-dir', 'modules need it: build the kernel and its modules there (make all modules)');
  const release = await releaseOf(buildDir);
  const options = parseConfig(await readFile(config, 'utf8'));
  const arch = archOf(options, config, brought.arch);
  await checkPairing(await readFile(image), { image, buildDir, release, arch });

  const machine = brought.machine === undefined ? undefined : machineFor(arch, brought.machine).name;
  const name = brought.name ?? `image:${basename(image)}-${digest(image, buildDir).slice(0, 6)}`;
  const acquire = async (progress: Progress): Promise<AcquiredKernel> => {
    await requireTools(moduleBuildTools, 'building modules');
    const toolchain = await toolchainFor(brought.toolchain, options, arch, progress);
    const built = JSON.parse(options.get('CONFIG_CC_VERSION_TEXT') ?? '""') as string;
    if (built !== '' && compilerVersion(built) !== compilerVersion(toolchain.version)) {
      progress(`note: ${buildDir} was built with "${built}", its modules will be built with "${toolchain.version}"`);
    }
    return {
      name,
      arch,
      origin: 'brought',
      release,
      version: buildDir,
      image,
      buildDir,
      config,
      modulesDir: brought.modulesDir === undefined ? undefined : resolve(brought.modulesDir),
      toolchain,
      packages: [],
      source: { folder: await sourceOf(buildDir) },
      fingerprint: kernelFingerprint(await contentDigest({ image, config, symvers, release }), toolchain, []),
      ...(machine === undefined ? {} : { machine }),
    };
  };
  return { name, arch, acquire };
}

/** The one that was asked for; without a word the host's, as the kernel's own compiler has it: gcc or Clang. */
async function toolchainFor(
  word: string | undefined,
  config: ReadonlyMap<string, string>,
  arch: Arch,
  progress: Progress,
): Promise<Toolchain> {
  return word === undefined ? toolchainOf(config, arch) : chosenToolchain(word, arch, progress);
}

async function requireFile(file: string, option: string, hint: string): Promise<void> {
  await access(file).catch(() => {
    throw new UsageError(`${option}: ${file} does not exist`, { hint });
  });
}

/**
 * What modules built there will say they are for. Debian's headers have the upstream version in `kernel.release`, so
 * `utsrelease.h`, which `vermagic` is made from, goes first.
 */
async function releaseOf(buildDir: string): Promise<string> {
  const header = await readFile(join(buildDir, 'include/generated/utsrelease.h'), 'utf8').catch(() => '');
  const file = join(buildDir, 'include/config/kernel.release');
  const release = /UTS_RELEASE "([^"]+)"/.exec(header)?.[1] ?? (await readFile(file, 'utf8').catch(() => '')).trim();
  if (release === '') {
    throw new UsageError(`--build-dir: ${file} does not exist`, { hint: 'build the kernel there first: make all modules' });
  }
  return release;
}

/** The tree that a build directory was built from: its `source` link (`O=`), else the directory itself. */
async function sourceOf(buildDir: string): Promise<string> {
  return realpath(join(buildDir, 'source')).catch(() => buildDir);
}

function archOf(options: ReadonlyMap<string, string>, config: string, asked: string | undefined): Arch {
  const arch = options.get('CONFIG_X86_64') === 'y' ? 'x86_64' : options.get('CONFIG_ARM64') === 'y' ? 'arm64' : undefined;
  if (!arch) throw new UsageError(`${config} is for neither x86_64 nor arm64`);
  if (asked !== undefined && parseArch(asked) !== arch) {
    throw new UsageError(`--arch ${asked} does not fit --build-dir: ${config} is for ${arch}`);
  }
  return arch;
}

/** `gcc-12 (Debian 12.2.0-14) 12.2.0` and `aarch64-linux-gnu-gcc (…) 12.2.0` are the same compiler: the last number. */
function compilerVersion(text: string): string {
  return /(\d+(?:\.\d+)+)\s*$/.exec(text)?.[1] ?? text;
}
