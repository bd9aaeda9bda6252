// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arch } from '../harness/arch.js';
import { digest } from '../harness/cache.js';
import type { AcquiredKernel, PackageRecord, Toolchain } from './types.js';

/** What is written beside a kernel in the cache; paths are relative, so that the cache may be moved. */
export interface StoredKernel {
  readonly release: string;
  readonly version: string;
  readonly image: string;
  readonly buildDir: string;
  readonly config: string;
  readonly modulesDir?: string;
  readonly packages: readonly PackageRecord[];
}

interface KernelFile extends StoredKernel {
  readonly content: string;
}

/** Digest of what a guest boots and a module is built against. */
export async function contentDigest(files: {
  image: string;
  config: string;
  symvers: string;
  release: string;
}): Promise<string> {
  const [image, config, symvers] = await Promise.all([
    readFile(files.image),
    readFile(files.config),
    readFile(files.symvers),
  ]);
  return digest(image, config, symvers, files.release);
}

/** The kernel's fingerprint: its content and the compiler that its modules are built with. */
export function kernelFingerprint(content: string, toolchain: Toolchain, packages: readonly PackageRecord[]): string {
  const all = [...packages, ...(toolchain.packages ?? [])];
  return digest(content, toolchain.crossCompile, toolchain.version, ...all.map((p) => p.sha256));
}

/** Writes `kernel.json` into the folder of a kernel that is complete. */
export async function storeKernel(directory: string, kernel: StoredKernel): Promise<void> {
  const content = await contentDigest({
    image: join(directory, kernel.image),
    config: join(directory, kernel.config),
    symvers: join(directory, kernel.buildDir, 'Module.symvers'),
    release: kernel.release,
  });
  const file: KernelFile = { ...kernel, content };
  await writeFile(join(directory, 'kernel.json'), `${JSON.stringify(file, null, 2)}\n`);
}

/** Reads back what storeKernel wrote. */
export async function loadKernel(
  directory: string,
  identity: { name: string; arch: Arch; origin: 'stock' | 'built' },
  toolchainOf: (buildDir: string) => Promise<Toolchain>,
): Promise<AcquiredKernel> {
  const { content, ...stored } = JSON.parse(await readFile(join(directory, 'kernel.json'), 'utf8')) as KernelFile;
  const buildDir = join(directory, stored.buildDir);
  const toolchain = await toolchainOf(buildDir);
  return {
    ...identity,
    release: stored.release,
    version: stored.version,
    image: join(directory, stored.image),
    buildDir,
    config: join(directory, stored.config),
    modulesDir: stored.modulesDir === undefined ? undefined : join(directory, stored.modulesDir),
    toolchain,
    packages: stored.packages,
    fingerprint: kernelFingerprint(content, toolchain, stored.packages),
  };
}
