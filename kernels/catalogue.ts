// SPDX-License-Identifier: MIT
import type { Arch } from '../harness/arch.js';
import { UsageError } from '../harness/errors.js';
import { nearest } from '../harness/nearest.js';
import { acquireBuilt, cachedBuilt } from './built.js';
import { builtRows } from './built-rows.js';
import { hostSuite } from './mirrors.js';
import { ownEntries } from './own.js';
import { acquireStock, cachedStock, type StockKernel } from './stock.js';
import type { AcquiredKernel, Progress } from './types.js';

/** A kernel that can be had by name. */
export interface CatalogueEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly arch: Arch;
  readonly origin: 'stock' | 'built' | 'brought';
  /** For a person, one line. */
  readonly title: string;
  /** Whether it has livepatch at all; one that has not serves the clauses on refusal (REG-6). */
  readonly livepatch: boolean;
  /** Whether `run` takes it when no kernel is named. */
  readonly standard: boolean;
  /** The same kernel in another version; undefined for those that have only one. */
  readonly pinned?: (version: string) => CatalogueEntry;
  /** Downloads, unpacks or builds what the cache lacks. */
  readonly acquire: (progress: Progress) => Promise<AcquiredKernel>;
  /** The kernel when the cache has it, else undefined; asks no mirror and builds nothing. */
  readonly cached: () => Promise<AcquiredKernel | undefined>;
}

/** Debian releases and pockets whose own kernels there are, beside the host's. With a `version` it is that one. */
const stockRows: readonly { readonly suite: string; readonly version?: string }[] = [
  { suite: 'bullseye' },
  { suite: 'bookworm' },
  { suite: 'trixie' },
  { suite: 'trixie-backports' },
];
const stockArchs: readonly Arch[] = ['x86_64', 'arm64'];

/** Every kernel of the catalogue, for this host. */
export async function catalogue(): Promise<CatalogueEntry[]> {
  const own = await hostSuite();
  const ours = (row: { suite: string; version?: string }): boolean => row.suite === own && row.version === undefined;
  const rows = [{ suite: own }, ...stockRows.filter((row) => !ours(row))];
  const stock = rows.flatMap((row) =>
    stockArchs.map((arch) => {
      const name = `${row.suite}-${arch}${row.version === undefined ? '' : `@${row.version}`}`;
      return stockEntry({ ...row, name, arch }, ours(row));
    }),
  );
  const built = builtRows.map(
    (row): CatalogueEntry => ({
      name: row.name,
      aliases: [],
      arch: row.arch,
      origin: 'built',
      title: `newest ${row.source} of ${row.suite}, small, ${row.title}`,
      livepatch: row.livepatch,
      standard: row.name === 'built-7-arm64',
      acquire: (progress) => acquireBuilt(row, progress),
      cached: () => cachedBuilt(row),
    }),
  );
  return withOwn([...stock, ...built], await ownEntries());
}

function withOwn(ours: readonly CatalogueEntry[], own: readonly CatalogueEntry[]): CatalogueEntry[] {
  for (const { name } of own) {
    if (ours.some((e) => e.name === name || e.aliases.includes(name))) {
      throw new UsageError(`kernel ${name} of klp.config.ts or klp.kernels.json: the catalogue has a kernel of that name`, {
        hint: `give it another name (npx klp kernels remove ${name})`,
      });
    }
  }
  return [...ours, ...own];
}

function stockEntry(row: StockKernel, own: boolean): CatalogueEntry {
  // Debian's arm64 kernels are built without it.
  const livepatch = row.arch === 'x86_64';
  return {
    name: row.name,
    aliases: own && livepatch ? ['stock'] : [],
    arch: row.arch,
    origin: 'stock',
    title: `Debian ${row.suite}'s ${row.version === undefined ? 'own kernel' : `kernel ${row.version}`}${livepatch ? '' : ', without livepatch'}`,
    livepatch,
    standard: own,
    acquire: (progress) => acquireStock(row, progress),
    cached: () => cachedStock(row),
    pinned: (version) => stockEntry({ ...row, name: `${row.suite}-${row.arch}@${version}`, version }, own),
  };
}

/**
 * @param word a name or alias of the catalogue; `<name>@<version>` for a stock kernel of exactly that ABI or package
 *             version (which is looked up when it is acquired)
 * @throws UsageError with the nearest name when there is none
 */
export async function findKernel(word: string): Promise<CatalogueEntry> {
  const [name = '', version] = word.split(/@(.*)/s);
  const entries = await catalogue();
  const entry = entries.find((e) => e.name === word || e.name === name || e.aliases.includes(name));
  if (!entry) {
    const guess = nearest(name, entries.flatMap((e) => [e.name, ...e.aliases]));
    throw new UsageError(`unknown kernel "${name}"`, {
      hint: `${guess === undefined ? '' : `did you mean ${guess}? `}Kernels: ${entries.map((e) => e.name).join(', ')}`,
    });
  }
  if (version === undefined || entry.name === word) return entry;
  if (!entry.pinned) throw new UsageError(`kernel ${name} has no versions to choose from: only stock kernels have`);
  if (!/^\d[\w.+~-]*$/.test(version)) {
    throw new UsageError(`"${version}" is no version of a kernel`, { hint: `for example ${name}@6.1.0-55, or @6.1.176-1` });
  }
  return entry.pinned(version);
}

/**
 * What `run` judges when no kernel is named: for x86_64 the stock kernel; for arm64 the built one, and the stock one
 * as a kernel that has no livepatch to refuse with.
 */
export async function defaultKernels(arch: Arch): Promise<CatalogueEntry[]> {
  const entries = (await catalogue()).filter((e) => e.arch === arch && e.standard);
  return entries.sort((a, b) => Number(b.livepatch) - Number(a.livepatch));
}
