// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { AcquiredKernel } from '../../kernels/types.js';
import { cached, digest } from '../cache.js';
import type { KallsymsEntry } from '../elf/index.js';
import { InfrastructureError } from '../errors.js';
import type { Guest } from '../guest/guest.js';
import { parseKallsyms } from '../guest/kernel-tables.js';
import { type Capability, probe } from '../model/capabilities.js';
import type { Facts } from '../model/state.js';
import type { Dialect } from '../modules/source.js';

/** What can be known of a kernel before it runs: its configuration and its header. */
export interface StaticFacts {
  readonly config: string;
  readonly livepatchHeader: string;
  readonly capabilities: ReadonlySet<Capability>;
}

/** The rest, asked of a running guest once and kept. */
export interface KernelFacts {
  readonly facts: Facts;
  readonly dialect: Dialect;
  readonly kallsyms: readonly KallsymsEntry[];
}

/** @throws InfrastructureError when the kernel's configuration cannot be read */
export async function staticFacts(kernel: AcquiredKernel): Promise<StaticFacts> {
  const config = await readFile(kernel.config, 'utf8');
  const livepatchHeader = await readHeader(kernel.buildDir, 'include/linux/livepatch.h');
  return { config, livepatchHeader, capabilities: probe({ config, livepatchHeader, symbols: undefined }) };
}

/**
 * Asks a running guest for its symbol table and derives what model and modules need. The table is kept: its names and
 * their order belong to the kernel, whatever the addresses of one boot were.
 */
export async function kernelFacts(kernel: AcquiredKernel, known: StaticFacts, guest: Guest): Promise<KernelFacts> {
  const directory = await cached('kallsyms', digest('1', kernel.fingerprint), async (work) => {
    const { stdout, code } = await guest.run('cat /proc/kallsyms');
    if (code !== 0) throw new InfrastructureError(`${kernel.name} has no /proc/kallsyms: CONFIG_KALLSYMS is not set`);
    await writeFile(join(work, 'kallsyms'), stdout);
  });
  // Modules of the image (virtio) stand in it too; their symbols are named with the module, so they do no harm.
  const kallsyms = parseKallsyms(await readFile(join(directory, 'kallsyms'), 'utf8'));
  const counts = new Map<string, number>();
  for (const { name, module } of kallsyms) if (module === undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  const capabilities = probe({ ...known, symbols: new Set(counts.keys()) });
  const dialect = !capabilities.has('livepatch')
    ? 'marked'
    : capabilities.has('registration')
      ? 'registration'
      : 'enable-only';
  return { facts: { capabilities, vmlinuxSymbols: (name) => counts.get(name) ?? 0 }, dialect, kallsyms };
}

/**
 * A header of the kernel's source: in the build directory itself, behind its `source` link, or where its Makefile
 * leads (separate output directories and Debian's headers include the source tree's Makefile).
 * @returns '' when there is none
 */
async function readHeader(buildDir: string, header: string): Promise<string> {
  const makefile = await readFile(join(buildDir, 'Makefile'), 'utf8').catch(() => '');
  const included = /^include\s+(?:\$\(dir \$\(lastword \$\(MAKEFILE_LIST\)\)\))?(\S+)\/Makefile\s*$/m.exec(makefile)?.[1];
  const roots = [buildDir, join(buildDir, 'source'), ...(included === undefined ? [] : [resolve(buildDir, included)])];
  for (const root of roots) {
    const text = await readFile(join(root, header), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '';
}
