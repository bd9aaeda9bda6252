// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { klpSections, klpSymbols, type KlpSection, type KlpSymbol } from '../klp.js';
import { isLivepatch } from '../modinfo.js';
import { decodeRelocations, type ElfObject, type ElfRelocation, type ElfSection, type ElfSymbol } from '../object.js';
import type { LintMachine } from './outcome.js';
import type { Place } from './rule.js';

/** What is known of a kernel that the module is for. */
export interface KernelTables {
  readonly release: string;
  /** `vermagic` of its own modules; undefined if it has none to look at. */
  readonly vermagic?: string | undefined;
  /** Whether it has a module of that name, built or to be loaded; `vmlinux` always. */
  readonly hasObject: (object: string) => boolean;
  /** How many symbols of that name kallsyms has in an object; undefined for an object that is not there. */
  readonly count: (object: string, symbol: string) => number | undefined;
  /** Whether the kernel or a module of it exports the symbol; undefined where that is not known. */
  readonly exports?: ((symbol: string) => boolean) | undefined;
}

/** A livepatch relocation with all it belongs to. */
export interface KlpRelocation {
  readonly entry: ElfRelocation;
  readonly number: number;
  readonly klp: KlpSection;
  /** undefined if the index lies outside the symbol table. */
  readonly symbol: ElfSymbol | undefined;
  /** The section that is relocated; undefined if sh_info lies outside the header table. */
  readonly target: ElfSection | undefined;
}

const shdrFields = {
  sh_name: 0, sh_type: 4, sh_flags: 8, sh_offset: 24, sh_size: 32, sh_link: 40, sh_info: 44, sh_entsize: 56,
} as const; // prettier-ignore

/** A module as the rules look at it: everything that several of them need is found once. */
export class LintedModule {
  readonly machine: LintMachine;
  /** Whether it has the livepatch field. */
  readonly livepatch: boolean;
  /** Sections that are flagged as livepatch relocations, or named so. */
  readonly sections: readonly KlpSection[];
  /** Symbols that are marked as livepatch symbols, or named so. */
  readonly symbols: readonly KlpSymbol[];
  /** Entries of the flagged sections: whatever their type, the kernel reads them as SHT_RELA (of SHT_REL that makes no sense). */
  readonly relocations: readonly KlpRelocation[];
  /** Livepatch symbols that a livepatch relocation names: the kernel looks at no others. */
  readonly named: readonly KlpSymbol[];

  constructor(
    readonly object: ElfObject,
    readonly kernel?: KernelTables,
  ) {
    this.machine = object.header.machine === c.EM_AARCH64 ? 'arm64' : 'x86_64';
    this.livepatch = isLivepatch(object);
    this.sections = klpSections(object);
    this.symbols = klpSymbols(object);
    const readable = object.symtab !== undefined;
    this.relocations = this.sections
      .filter(({ flagged, section }) => flagged && readable && section.type !== c.SHT_REL)
      .flatMap((klp) =>
        decodeRelocations(klp.section.data).map((entry, number) => ({
          entry,
          number,
          klp,
          symbol: object.symbols[entry.symbol],
          target: object.sections[klp.section.info],
        })),
      );
    const named = new Set(this.relocations.map(({ symbol }) => symbol?.index));
    this.named = this.symbols.filter(({ symbol }) => named.has(symbol.index));
  }

  /** A field of a section's header. */
  header(index: number, field: keyof typeof shdrFields): Place {
    const { shoff = 0 } = this.object.header;
    return { section: this.object.section(index).name, field, offset: shoff + index * c.SHDR_SIZE + shdrFields[field] };
  }

  /** A field of a symbol. */
  symbol(symbol: ElfSymbol, field: 'st_name' | 'st_shndx'): Place {
    const { symtab } = this.object;
    const start = symtab === undefined ? 0 : (this.object.section(symtab).offset ?? 0);
    return { symbol: symbol.name, field, offset: start + symbol.index * c.SYM_SIZE + (field === 'st_shndx' ? 6 : 0) };
  }

  /** A field of a livepatch relocation. */
  relocation({ klp, number, symbol }: KlpRelocation, field: 'r_offset' | 'r_info' | 'r_addend'): Place {
    const at = { r_offset: 0, r_info: 8, r_addend: 16 }[field];
    const offset = (klp.section.offset ?? 0) + number * c.RELA_SIZE + at;
    return { section: klp.section.name, field, offset, ...(symbol ? { symbol: symbol.name } : {}) };
  }
}
