// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Arch } from '../harness/arch.js';
import { UsageError } from '../harness/errors.js';
import { decompressed, identifyImage } from './image.js';
import { parseConfig } from './kconfig.js';
import { payloadOf, unpackPayload } from './pvh.js';

/** An image, and the build directory that is said to belong to it. */
export interface Pair {
  /** Path, for messages. */
  readonly image: string;
  readonly buildDir: string;
  /** What modules built in `buildDir` say they are for. */
  readonly release: string;
  readonly arch: Arch;
}

const together = 'give the image and the build directory of one and the same kernel';

/**
 * Sees to it that image and build directory are of one kernel, so that a wrong pairing is told now and not by a module
 * that the guest refuses, or worse, takes. Compared are, as far as both have it: architecture, release, the number and
 * time of the build (`UTS_VERSION`), and the configuration that the image carries (`CONFIG_IKCONFIG`).
 *
 * @throws UsageError saying what does not fit
 */
export async function checkPairing(content: Buffer, pair: Pair): Promise<void> {
  const { image, buildDir, release, arch } = pair;
  const said = identifyImage(content);
  if (said.packed !== undefined) {
    throw new UsageError(`${image} is compressed with ${said.packed}, which neither QEMU nor klp unpacks`, {
      hint: 'give a bzImage (whatever is inside), an arm64 Image or Image.gz, or vmlinux',
    });
  }
  if (said.arch !== undefined && said.arch !== arch) {
    throw new UsageError(`${image} is an image for ${said.arch}, but ${buildDir} is configured for ${arch}`, { hint: together });
  }
  if (said.release === undefined) {
    throw new UsageError(`${image} holds no kernel version: it is no kernel image, or in a form not read here`, {
      hint: 'give a bzImage, an arm64 Image or Image.gz, or vmlinux',
    });
  }
  if (said.release !== release) {
    throw new UsageError(
      `${image} is Linux ${said.release}, but modules from ${buildDir} would be for ${release}: the guest would refuse them`,
      { hint: together },
    );
  }
  const build = await buildOf(buildDir);
  if (build !== undefined && said.builds.length > 0 && !said.builds.includes(build)) {
    throw new UsageError(`${image} and ${buildDir} are both Linux ${release}, but of different builds`, {
      hint: `${together}; if the directory was built again, take the image that is there now`,
      details: [`image:           ${said.builds.join(' or ')}`, `build directory: ${build}`],
    });
  }
  await checkConfiguration(content, pair);
}

/** What the directory says that the last build made there is called: `utsversion.h`, before 6.1 `compile.h`. */
async function buildOf(buildDir: string): Promise<string | undefined> {
  for (const name of ['utsversion.h', 'compile.h']) {
    const header = await readFile(join(buildDir, 'include/generated', name), 'utf8').catch(() => '');
    const build = /^#define UTS_VERSION "(.*)"$/m.exec(header)?.[1];
    if (build !== undefined) return build;
  }
  return undefined;
}

/** Builds with fixed time stamps differ in their configuration alone. */
async function checkConfiguration(content: Buffer, { image, buildDir, release }: Pair): Promise<void> {
  const own = parseConfig(await readFile(join(buildDir, '.config'), 'utf8'));
  // Else it is not worth unpacking.
  if (own.get('CONFIG_IKCONFIG') !== 'y') return;
  const text = await configurationIn(content);
  if (text === undefined) return;
  const carried = parseConfig(text);
  const names = [...new Set([...own.keys(), ...carried.keys()])];
  const different = names.filter((name) => (own.get(name) ?? 'n') !== (carried.get(name) ?? 'n'));
  if (different.length === 0) return;
  const shown = different.slice(0, 8).map((name) => `${name}: image ${carried.get(name) ?? 'n'}, build directory ${own.get(name) ?? 'n'}`);
  const rest = different.length - shown.length;
  throw new UsageError(`${image} and ${buildDir} are both Linux ${release}, but configured differently`, {
    hint: `${together}; if .config was changed since, build the kernel again`,
    details: rest > 0 ? [...shown, `and ${rest} more`] : shown,
  });
}

/**
 * The configuration that an image carries (kernel/configs.c: gzip between two marks).
 * @returns undefined when it carries none, or is in a compression that is not unpacked here
 */
export async function configurationIn(image: Buffer): Promise<string | undefined> {
  const payload = payloadOf(image);
  const kernel = payload ? await unpackPayload(payload).catch(() => undefined) : decompressed(image);
  if (!kernel) return undefined;
  const start = kernel.indexOf('IKCFG_ST');
  const end = kernel.indexOf('IKCFG_ED', start);
  if (start < 0 || end < 0) return undefined;
  return promisify(gunzip)(kernel.subarray(start + 8, end)).then((data) => data.toString('utf8'), () => undefined);
}
