// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArch, type Arch } from '../harness/arch.js';
import { namedKernels, type NamedKernel } from '../harness/config/load.js';
import type { OwnKernel } from '../harness/config/schema.js';
import { bringKernel, type BroughtKernel } from './brought.js';
import type { CatalogueEntry } from './catalogue.js';
import { parseConfig } from './kconfig.js';
import { acquireSource, cachedSource, type SourceKernel } from './source.js';

/** The user's own kernels, as klp.config.ts and the registry of the nearest folder name them. */
export async function ownEntries(): Promise<CatalogueEntry[]> {
  return Promise.all((await namedKernels()).map(entryOf));
}

async function entryOf({ name, kernel, file }: NamedKernel): Promise<CatalogueEntry> {
  const common = { name, aliases: [], standard: false };
  if ('source' in kernel) {
    const row = sourceKernel(name, kernel);
    return {
      ...common,
      arch: row.arch,
      origin: 'built',
      title: `${kernel.source}, with ${kernel.config.join(', ')} (${file})`,
      livepatch: true,
      acquire: (progress) => acquireSource(row, progress),
      cached: () => cachedSource(row),
    };
  }
  const options = parseConfig(await readFile(join(kernel.buildDir, '.config'), 'utf8').catch(() => ''));
  const row = broughtKernel(name, kernel);
  return {
    ...common,
    // Whatever is wrong with it is told when it is acquired.
    arch: archOf(kernel) ?? (options.get('CONFIG_ARM64') === 'y' ? 'arm64' : 'x86_64'),
    origin: 'brought',
    title: `${kernel.image} (${file})`,
    livepatch: options.get('CONFIG_LIVEPATCH') === 'y',
    acquire: (progress) => bringKernel(row, progress),
    cached: () => bringKernel(row, () => undefined).catch(() => undefined),
  };
}

function archOf(kernel: OwnKernel): Arch | undefined {
  return kernel.arch === undefined ? undefined : parseArch(kernel.arch);
}

/** A named kernel that is built already. */
export function broughtKernel(name: string, kernel: Exclude<OwnKernel, { source: string }>): BroughtKernel {
  return { name, ...given(kernel) };
}

/** A named source tree. */
export function sourceKernel(name: string, kernel: Extract<OwnKernel, { source: string }>): SourceKernel {
  return { name, ...given(kernel), arch: archOf(kernel) ?? 'x86_64' };
}

/** Without keys that are there but undefined. */
function given<T extends object>(kernel: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(kernel).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
