// SPDX-License-Identifier: MIT
import { Command } from 'commander';
import { type CatalogueEntry, catalogue, findKernel } from '../../kernels/catalogue.js';
import type { AcquiredKernel, PackageRecord } from '../../kernels/types.js';
import { UsageError } from '../errors.js';
import { clean } from '../report/text.js';
import { hasState } from '../runner/saved-state.js';
import { probeCommand } from './kernels-probe.js';
import { ownKernelCommands } from './own-kernels.js';
import { say } from './say.js';

/** `klp kernels list | fetch K | build K | path K | probe K | add NAME | remove NAME`. */
export function kernelsCommand(): Command {
  const command = new Command('kernels').description('the kernels that can be tested');
  command.addCommand(listCommand(), { isDefault: true });
  command.addCommand(acquireCommand('fetch', 'stock', 'download and verify a stock kernel, and its toolchain'));
  command.addCommand(acquireCommand('build', 'built', 'build a kernel from source'));
  command.addCommand(pathCommand());
  command.addCommand(probeCommand());
  for (const own of ownKernelCommands()) command.addCommand(own);
  for (const sub of command.commands) sub.exitOverride();
  return command;
}

/** A kernel of the catalogue as `list` shows it; `--json` prints an array of these. */
interface Listed {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly arch: string;
  readonly origin: string;
  readonly livepatch: boolean;
  readonly title: string;
  /** Of what is cached: `uname -r`, package version, digest, packages. */
  readonly release?: string;
  readonly version?: string;
  readonly fingerprint?: string;
  readonly packages?: readonly PackageRecord[];
  readonly toolchain?: string;
  readonly toolchainPackages?: readonly PackageRecord[];
  readonly cached: { readonly kernel: boolean; readonly toolchainRoot: boolean; readonly state: boolean };
}

function listCommand(): Command {
  return new Command('list')
    .description('every kernel of the catalogue, and what is cached')
    .option('--names', 'only the names, for scripts')
    .option('--json', 'everything that is known of them, as JSON')
    .action(async (options: { readonly names?: boolean; readonly json?: boolean }) => {
      const entries = await catalogue();
      if (options.names === true) {
        process.stdout.write(entries.map((entry) => `${entry.name}\n`).join(''));
        return;
      }
      const listed = await Promise.all(entries.map(describe));
      if (options.json === true) process.stdout.write(`${JSON.stringify(listed, null, 2)}\n`);
      else process.stdout.write(table(listed.map(row)));
    });
}

async function describe(entry: CatalogueEntry): Promise<Listed> {
  const { name, aliases, arch, origin, livepatch, title } = entry;
  const kernel = await entry.cached();
  const about = { name, aliases, arch, origin, livepatch, title };
  if (!kernel) return { ...about, cached: { kernel: false, toolchainRoot: false, state: false } };
  const { release, version, fingerprint, packages, toolchain } = kernel;
  return {
    ...about, release, version, fingerprint, packages,
    toolchain: toolchain.version,
    ...(toolchain.packages === undefined ? {} : { toolchainPackages: toolchain.packages }),
    cached: { kernel: true, toolchainRoot: toolchain.root !== undefined, state: await hasState(fingerprint) },
  };
}

function row(one: Listed): string[] {
  const { kernel, toolchainRoot, state } = one.cached;
  const kept = [kernel && 'kernel', toolchainRoot && 'toolchain', state && 'state'].filter((word) => word !== false);
  return [
    [one.name, ...one.aliases].join(', '),
    one.arch,
    one.origin,
    one.livepatch ? 'can livepatch' : 'refuses livepatches',
    kept.length === 0 ? '-' : kept.join('+'),
    one.release === undefined
      ? `not ${one.origin === 'stock' ? 'fetched' : 'built'} yet`
      : clean(`${one.release} (${one.version ?? ''})`),
  ];
}

/** Columns as wide as what stands in them. */
function table(rows: readonly (readonly string[])[]): string {
  const all = [['name', 'arch', 'origin', 'livepatch', 'cached', 'version'], ...rows];
  const widths = all.reduce<number[]>((most, cells) => cells.map((cell, i) => Math.max(most[i] ?? 0, cell.length)), []);
  return all.map((cells) => `${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ').trimEnd()}\n`).join('');
}

function acquireCommand(name: 'fetch' | 'build', origin: 'stock' | 'built', what: string): Command {
  return new Command(name)
    .argument('<kernel>', `name in the catalogue${origin === 'stock' ? ', with @VERSION for another than the newest' : ''}`)
    .description(`${what}, unless it is cached`)
    .action(async (word: string) => {
      const entry = await findKernel(word);
      if (entry.origin !== origin) {
        throw new UsageError(`kernel ${entry.name} is ${entry.origin}`, { hint: howToHave(entry) });
      }
      const kernel = await entry.acquire(say);
      sayWhat(kernel);
      process.stdout.write(`${kernel.image}\n`);
    });
}

/** Versions and hashes of what came of it. */
function sayWhat(kernel: AcquiredKernel): void {
  say(`${kernel.name}: ${kernel.release}, ${kernel.version}`);
  for (const one of kernel.packages) say(`  ${one.sha256}  ${one.name} ${one.version} ${one.arch}`);
  say(`  compiler: ${kernel.toolchain.version}`);
  for (const one of kernel.toolchain.packages ?? []) say(`  ${one.sha256}  ${one.name} ${one.version} ${one.arch}`);
}

function pathCommand(): Command {
  return new Command('path')
    .argument('<kernel>', 'name in the catalogue')
    .description('where a cached kernel lies: its image and its build directory')
    .action(async (word: string) => {
      const entry = await findKernel(word);
      const kernel = await entry.cached();
      if (!kernel) throw new UsageError(`kernel ${entry.name} is not in the cache`, { hint: howToHave(entry) });
      process.stdout.write(`${kernel.image}\n${kernel.buildDir}\n`);
    });
}

function howToHave(entry: CatalogueEntry): string {
  return `npx klp kernels ${entry.origin === 'stock' ? 'fetch' : 'build'} ${entry.name}`;
}
