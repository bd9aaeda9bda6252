// SPDX-License-Identifier: MIT
import type { Arch } from '../harness/arch.js';
import { UsageError } from '../harness/errors.js';
import { nearest } from '../harness/nearest.js';
import { acquireBuilt, cachedBuilt, type BuiltKernel } from './built.js';
import { hostSuite } from './mirrors.js';
import { acquireStock, cachedStock, type StockKernel } from './stock.js';
import type { AcquiredKernel, Progress } from './types.js';

/** A kernel that can be had by name. */
export interface CatalogueEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly arch: Arch;
  readonly origin: 'stock' | 'built';
  /** For a person, one line. */
  readonly title: string;
  /** Whether it has livepatch at all; one that has not serves the clauses on refusal (REG-6). */
  readonly livepatch: boolean;
  /** Downloads, unpacks or builds what the cache lacks. */
  readonly acquire: (progress: Progress) => Promise<AcquiredKernel>;
  /** The kernel when the cache has it, else undefined; asks no mirror and builds nothing. */
  readonly cached: () => Promise<AcquiredKernel | undefined>;
}

/** Kernels built from source: add a row for another source or architecture. */
const builtRows: readonly BuiltKernel[] = [
  {
    name: 'built-7-arm64',
    arch: 'arm64',
    suite: 'trixie-backports',
    source: 'linux-source-7.*',
    fragments: ['base', 'arm64', 'livepatch'],
  },
];

/** Every kernel of the catalogue, for this host. */
export async function catalogue(): Promise<CatalogueEntry[]> {
  const suite = await hostSuite();
  const stock = (arch: Arch, livepatch: boolean, aliases: readonly string[]): CatalogueEntry => {
    const row: StockKernel = { name: `${suite}-${arch}`, suite, arch };
    return {
      name: row.name,
      aliases,
      arch,
      origin: 'stock',
      title: `Debian ${suite}'s own kernel${livepatch ? '' : ', without livepatch'}`,
      livepatch,
      acquire: (progress) => acquireStock(row, progress),
      cached: () => cachedStock(row),
    };
  };
  const built = builtRows.map(
    (row): CatalogueEntry => ({
      name: row.name,
      aliases: [],
      arch: row.arch,
      origin: 'built',
      title: `newest ${row.source} of ${row.suite}, small, with livepatch`,
      livepatch: true,
      acquire: (progress) => acquireBuilt(row, progress),
      cached: () => cachedBuilt(row),
    }),
  );
  return [stock('x86_64', true, ['stock']), stock('arm64', false, []), ...built];
}

/**
 * @param name a name or alias of the catalogue
 * @throws UsageError with the nearest name when there is none
 */
export async function findKernel(name: string): Promise<CatalogueEntry> {
  const entries = await catalogue();
  const entry = entries.find((e) => e.name === name || e.aliases.includes(name));
  if (entry) return entry;
  const guess = nearest(name, entries.flatMap((e) => [e.name, ...e.aliases]));
  throw new UsageError(`unknown kernel "${name}"`, {
    hint: `${guess === undefined ? '' : `did you mean ${guess}? `}Kernels: ${entries.map((e) => e.name).join(', ')}`,
  });
}

/**
 * What `run` judges when no kernel is named: for x86_64 the stock kernel; for arm64 the built one, and the stock one
 * as a kernel that has no livepatch to refuse with.
 */
export async function defaultKernels(arch: Arch): Promise<CatalogueEntry[]> {
  const entries = (await catalogue()).filter((e) => e.arch === arch);
  return entries.sort((a, b) => Number(b.livepatch) - Number(a.livepatch));
}
