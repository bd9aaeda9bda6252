// SPDX-License-Identifier: MIT
import * as c from './constants.js';
import { ElfError } from './errors.js';
import { StringTable } from './strings.js';

/** The ELF header (gABI, "ELF Header"). e_shnum is the number of sections of the object. */
export interface ElfHeader {
  /** The 16 bytes of e_ident. */
  readonly ident: Uint8Array;
  readonly type: number;
  readonly machine: number;
  readonly version: number;
  readonly entry: bigint;
  readonly phoff: bigint;
  /** Where the section header table is in the file; undefined: the writer finds it a place. */
  readonly shoff: number | undefined;
  readonly flags: number;
  readonly ehsize: number;
  readonly phentsize: number;
  readonly phnum: number;
  readonly shentsize: number;
  /** Index of the section that holds the section names. */
  readonly shstrndx: number;
}

/**
 * A section with its header (gABI, "Sections"). 64-bit fields are bigint, except those that count bytes of
 * the file.
 */
export interface ElfSection {
  readonly name: string;
  /** sh_name: where the name is in the section name table. */
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: bigint;
  readonly addr: bigint;
  /** Where the data is in the file; undefined: the writer finds it a place. */
  readonly offset: number | undefined;
  /** sh_size: the length of the data, except for sections without any in the file (SHT_NOBITS, SHT_NULL). */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entsize: number;
  readonly data: Uint8Array;
}

/** An entry of the symbol table (gABI, "Symbol Table"). */
export interface ElfSymbol {
  readonly index: number;
  readonly name: string;
  readonly nameOffset: number;
  /** st_info, which holds `bind` and `type`. */
  readonly info: number;
  readonly bind: number;
  readonly type: number;
  readonly other: number;
  readonly shndx: number;
  readonly value: bigint;
  readonly size: bigint;
}

/** An entry of a SHT_RELA section (gABI, "Relocation"). */
export interface ElfRelocation {
  /** Where to relocate, in bytes from the beginning of the target section. */
  readonly offset: bigint;
  /** Index in the symbol table. Not checked: it may lie outside. */
  readonly symbol: number;
  readonly type: number;
  readonly addend: bigint;
}

/** Bytes of the file that belong to no header and no section, and are not all zero. */
export interface ElfPadding {
  readonly offset: number;
  readonly data: Uint8Array;
}

/** What an ElfObject is made of. */
export interface ElfParts {
  readonly header: ElfHeader;
  /** In the order of the section header table; the first is the null section. */
  readonly sections: readonly ElfSection[];
  readonly padding: readonly ElfPadding[];
  /**
   * What follows the last section and header table, and stays at the file's end: nothing, or a module's
   * signature. A signature is wrong after any change, and the kernel refuses a module with a wrong one.
   */
  readonly trailer: Uint8Array;
}

/**
 * A relocatable object: ELF64, little-endian, x86-64 or AArch64, read by `readObject`, never modified. The
 * sections' bytes are the only truth: symbols and relocations are decoded from them on first use. Like the
 * module loader it reads entries of 24 bytes whatever sh_entsize says, ignores what is left over at the end,
 * and takes the first of several symbol tables.
 */
export class ElfObject implements ElfParts {
  readonly header: ElfHeader;
  readonly sections: readonly ElfSection[];
  readonly padding: readonly ElfPadding[];
  readonly trailer: Uint8Array;
  #symbols: readonly ElfSymbol[] | undefined;
  readonly #relocations = new Map<number, readonly ElfRelocation[]>();

  constructor(parts: ElfParts) {
    this.header = parts.header;
    this.sections = parts.sections;
    this.padding = parts.padding;
    this.trailer = parts.trailer;
  }

  /** The section at an index. @throws ElfError if there is none */
  section(index: number): ElfSection {
    const section = this.sections[index];
    if (!section) throw new ElfError(0, 'section index', `${index} of ${this.sections.length} sections`);
    return section;
  }

  /** Index of the first section of that name, or undefined. */
  sectionIndex(name: string): number | undefined {
    const index = this.sections.findIndex((section) => section.type !== c.SHT_NULL && section.name === name);
    return index < 0 ? undefined : index;
  }

  /** Index of the symbol table (the first SHT_SYMTAB), or undefined in a stripped object. */
  get symtab(): number | undefined {
    const index = this.sections.findIndex((section) => section.type === c.SHT_SYMTAB);
    return index < 0 ? undefined : index;
  }

  /**
   * The symbols, index 0 (the null symbol) included; none in a stripped object.
   * @throws ElfError if the symbol table's names cannot be read
   */
  get symbols(): readonly ElfSymbol[] {
    this.#symbols ??= decodeSymbols(this);
    return this.#symbols;
  }

  /**
   * The entries of a section of type SHT_RELA; of any other section, none.
   * @throws ElfError if there is no section at that index
   */
  relocations(index: number): readonly ElfRelocation[] {
    let entries = this.#relocations.get(index);
    if (!entries) {
      const section = this.section(index);
      entries = section.type === c.SHT_RELA ? decodeRelocations(section.data) : [];
      this.#relocations.set(index, entries);
    }
    return entries;
  }
}

function decodeSymbols(object: ElfObject): readonly ElfSymbol[] {
  const { symtab } = object;
  if (symtab === undefined) return [];
  const { data, link, offset = 0 } = object.section(symtab);
  const strtab = object.sections[link];
  if (strtab?.type !== c.SHT_STRTAB) {
    throw new ElfError(
      offset,
      'sh_link',
      `the symbol table's names are in section ${link}, which is no string table`,
    );
  }
  const names = new StringTable(strtab.data);
  const view = viewOf(data);
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at + c.SYM_SIZE <= data.length; at += c.SYM_SIZE) {
    const nameOffset = view.getUint32(at, true);
    const name = names.at(nameOffset);
    if (name === undefined) {
      throw new ElfError(
        offset + at,
        'st_name',
        `symbol ${symbols.length}: no name ends at or after ${nameOffset} in ${names.size} bytes of names`,
      );
    }
    const info = view.getUint8(at + 4);
    symbols.push({
      index: symbols.length,
      name,
      nameOffset,
      info,
      bind: info >> 4,
      type: info & 0xf,
      other: view.getUint8(at + 5),
      shndx: view.getUint16(at + 6, true),
      value: view.getBigUint64(at + 8, true),
      size: view.getBigUint64(at + 16, true),
    });
  }
  return symbols;
}

/** The entries of a SHT_RELA section; what is left over at its end is not looked at. */
export function decodeRelocations(data: Uint8Array): readonly ElfRelocation[] {
  const view = viewOf(data);
  const entries: ElfRelocation[] = [];
  for (let at = 0; at + c.RELA_SIZE <= data.length; at += c.RELA_SIZE) {
    entries.push({
      offset: view.getBigUint64(at, true),
      type: view.getUint32(at + 8, true),
      symbol: view.getUint32(at + 12, true),
      addend: view.getBigInt64(at + 16, true),
    });
  }
  return entries;
}

/** The bytes of a SHT_RELA section. */
export function encodeRelocations(entries: readonly ElfRelocation[]): Uint8Array {
  const data = new Uint8Array(entries.length * c.RELA_SIZE);
  const view = viewOf(data);
  entries.forEach((entry, i) => {
    const at = i * c.RELA_SIZE;
    view.setBigUint64(at, entry.offset, true);
    view.setUint32(at + 8, entry.type, true);
    view.setUint32(at + 12, entry.symbol, true);
    view.setBigInt64(at + 16, entry.addend, true);
  });
  return data;
}

/** Whether a section of that type has bytes in the file. */
export function hasFileData(type: number): boolean {
  return type !== c.SHT_NULL && type !== c.SHT_NOBITS;
}

/** A DataView over exactly the bytes of an array. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
