// SPDX-License-Identifier: MIT
import type { Arch } from '../harness/arch.js';
import { cachedSuiteToolchain, suiteToolchain } from './private-root.js';
import { defaultPrefix, findToolchain } from './toolchain.js';
import type { Progress, Toolchain } from './types.js';

/** Whether `--toolchain` names a compiler on this host, by `CROSS_COMPILE=`, rather than a Debian suite. */
function isPrefix(word: string): boolean {
  return word.endsWith('-') || word.includes('/');
}

/**
 * The toolchain that `--toolchain` names: `host`, a Debian suite (in a private root, unless it is the host's own), or
 * the prefix of a compiler on this host.
 *
 * @throws InfrastructureError when it can't be had
 */
export async function chosenToolchain(word: string, arch: Arch, progress: Progress): Promise<Toolchain> {
  if (word === 'host') return findToolchain(arch, defaultPrefix(arch));
  return isPrefix(word) ? findToolchain(arch, word) : suiteToolchain(word, arch, progress);
}

/** The same where nothing must be made for it; undefined when the cache lacks it. */
export async function rememberedToolchain(word: string, arch: Arch): Promise<Toolchain | undefined> {
  if (word === 'host' || isPrefix(word)) return chosenToolchain(word, arch, () => undefined);
  return cachedSuiteToolchain(word, arch);
}
