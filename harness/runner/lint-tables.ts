// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AcquiredKernel } from '../../kernels/types.js';
import { cached, digest } from '../cache.js';
import { type ElfObject, type KernelTables, SHF_ALLOC, SHN_UNDEF, modinfo, readObject } from '../elf/index.js';
import { InfrastructureError } from '../errors.js';
import type { Guest } from '../guest/guest.js';
import { parseKallsyms } from '../guest/kernel-tables.js';
import { type ModuleFile, modulesOf } from '../modules/packed.js';

/** A kernel's symbols, and the modules that belong to it. */
export class LintTables {
  readonly #modules = new Map<string, ModuleFile>();
  readonly #counts = new Map<string, ReadonlyMap<string, number>>();

  private constructor(
    private readonly kernel: AcquiredKernel,
    private readonly exported: Set<string>,
    private readonly vermagic: string | undefined,
  ) {}

  /**
   * @param guest starts a guest of that kernel; asked once, since the names and their order belong to the kernel
   * @throws InfrastructureError when the kernel has no /proc/kallsyms
   */
  static async open(kernel: AcquiredKernel, guest: <T>(use: (guest: Guest) => Promise<T>) => Promise<T>): Promise<LintTables> {
    const directory = await cached('symbols', digest('1', kernel.fingerprint), (work) =>
      guest(async (g) => {
        const { stdout, code } = await g.run('cat /proc/kallsyms');
        if (code !== 0) throw new InfrastructureError(`${kernel.name} has no /proc/kallsyms: CONFIG_KALLSYMS is not set`);
        // Debian's stock kernels come without a System.map; addresses differ from boot to boot, and nobody asks for them.
        const own = parseKallsyms(stdout).filter((symbol) => symbol.module === undefined);
        await writeFile(join(work, 'vmlinux'), own.map(({ name }) => `${name}\n`).join(''));
      }),
    );
    const files = kernel.modulesDir === undefined ? [] : await modulesOf(kernel.modulesDir);
    const symvers = await readFile(join(kernel.buildDir, 'Module.symvers'), 'utf8');
    const [first] = files;
    const vermagic = first && modinfo(readObject(await first.unpacked()), 'vermagic');
    const tables = new LintTables(kernel, new Set(symvers.split('\n').map((line) => line.split('\t')[1] ?? '')), vermagic);
    for (const file of files) tables.#modules.set(file.name, file);
    tables.#counts.set('vmlinux', countsOf((await readFile(join(directory, 'vmlinux'), 'utf8')).split('\n')));
    return tables;
  }

  /** A module from elsewhere, that may be patched or export something: nothing in the kernel's package has its name. */
  add(name: string, object: ElfObject): void {
    this.#counts.set(name, countsOf(keptNames(object)));
    for (const symbol of object.symbols) {
      if (symbol.name.startsWith('__ksymtab_')) this.exported.add(symbol.name.slice('__ksymtab_'.length));
    }
  }

  /** The tables, with the symbols of these objects looked up. */
  async with(objects: Iterable<string>): Promise<KernelTables> {
    for (const object of objects) {
      const file = this.#modules.get(object);
      if (file && !this.#counts.has(object)) this.#counts.set(object, countsOf(keptNames(readObject(await file.unpacked()))));
    }
    return {
      release: this.kernel.release,
      vermagic: this.vermagic,
      hasObject: (object) => this.#counts.has(object) || this.#modules.has(object),
      count: (object, symbol) => {
        const counts = this.#counts.get(object);
        return counts && (counts.get(symbol) ?? 0);
      },
      exports: (symbol) => this.exported.has(symbol),
    };
  }
}

/**
 * The symbols of a module that kallsyms has once it is loaded, in their order (kernel/module/kallsyms.c, is_core_symbol, with
 * CONFIG_KALLSYMS_ALL, which livepatch needs).
 */
function keptNames(object: ElfObject): string[] {
  return object.symbols
    .filter(({ shndx, name }) => {
      const section = shndx === SHN_UNDEF ? undefined : object.sections[shndx];
      return section && name !== '' && (section.flags & SHF_ALLOC) !== 0n && !section.name.startsWith('.init');
    })
    .map(({ name }) => name);
}

function countsOf(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
