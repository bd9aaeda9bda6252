// SPDX-License-Identifier: MIT
import * as c from './constants.js';
import { ElfError } from './errors.js';
import {
  ElfObject,
  encodeRelocations,
  hasFileData,
  viewOf,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
} from './object.js';
import { appendNames } from './strings.js';

/**
 * What may be changed of a section. A new name is added to the section name table; new data sets the size
 * too.
 */
export type SectionEdit = Partial<Omit<ElfSection, 'offset'>>;

/** What may be changed of a symbol. A new name is added to the symbol table's names. */
export type SymbolEdit = Partial<Pick<ElfSymbol, 'name' | 'info' | 'other' | 'shndx' | 'value' | 'size'>>;

/** What a new section needs; `size` counts for SHT_NOBITS only. */
export type NewSection = Pick<ElfSection, 'name' | 'type' | 'flags' | 'data'> &
  Partial<Pick<ElfSection, 'addr' | 'size' | 'link' | 'info' | 'align' | 'entsize'>>;

/**
 * An object with one section changed. All indices stay; the data stays in its place unless it grew.
 * Nothing is validated: sizes, names and links may lie, which is how faults are made.
 * @throws ElfError if there is no section at that index
 */
export function withSection(object: ElfObject, index: number, edit: SectionEdit): ElfObject {
  const old = object.section(index);
  if (edit.name !== undefined && edit.name !== old.name && edit.nameOffset === undefined) {
    const { named, offset } = addSectionName(object, edit.name);
    return withSection(named, index, { ...edit, nameOffset: offset });
  }
  const grown = edit.data !== undefined && edit.data.length > old.data.length;
  const section: ElfSection = {
    ...old,
    ...(edit.data === undefined ? {} : { size: edit.data.length }),
    ...edit,
    offset: grown ? undefined : old.offset,
  };
  return new ElfObject({ ...partsOf(object), sections: object.sections.with(index, section) });
}

/**
 * An object with a section added behind the others: its index is the old number of sections. Other indices
 * stay.
 */
export function appendSection(object: ElfObject, section: NewSection): ElfObject {
  const { named, offset } = addSectionName(object, section.name);
  const added: ElfSection = {
    addr: 0n,
    link: 0,
    info: 0,
    align: 1,
    entsize: 0,
    ...section,
    size: hasFileData(section.type) ? section.data.length : (section.size ?? 0),
    nameOffset: offset,
    offset: undefined,
  };
  const parts = partsOf(named);
  return new ElfObject({
    ...parts,
    header: { ...parts.header, shoff: undefined },
    sections: [...named.sections, added],
  });
}

/**
 * An object with symbols changed; their indices, and so every relocation, stay as they are.
 * @param edits by symbol index
 * @throws ElfError if there is no symbol table, or no symbol at an index
 */
export function withSymbols(object: ElfObject, edits: ReadonlyMap<number, SymbolEdit>): ElfObject {
  if (edits.size === 0) return object;
  const { symtab } = object;
  if (symtab === undefined) throw new ElfError(0, 'sh_type', 'the object has no symbol table');
  const { data: old, link } = object.section(symtab);
  const data = new Uint8Array(old);
  const view = viewOf(data);
  const renamed: { at: number; name: string }[] = [];
  for (const [index, edit] of edits) {
    const symbol = object.symbols[index];
    if (!symbol) throw new ElfError(0, 'symbol index', `${index} of ${object.symbols.length} symbols`);
    const at = index * c.SYM_SIZE;
    const next = { ...symbol, ...edit };
    if (next.name !== symbol.name) renamed.push({ at, name: next.name });
    view.setUint8(at + 4, next.info);
    view.setUint8(at + 5, next.other);
    view.setUint16(at + 6, next.shndx, true);
    view.setBigUint64(at + 8, next.value, true);
    view.setBigUint64(at + 16, next.size, true);
  }
  let result = object;
  if (renamed.length > 0) {
    const names = appendNames(
      object.section(link).data,
      renamed.map(({ name }) => name),
    );
    renamed.forEach(({ at }, i) => view.setUint32(at, names.offsets[i] ?? 0, true));
    result = withSection(result, link, { data: names.data });
  }
  return withSection(result, symtab, { data });
}

/**
 * An object with the entries of one SHT_RELA section replaced. @throws ElfError if there is no section at
 * that index
 */
export function withRelocations(
  object: ElfObject,
  index: number,
  entries: readonly ElfRelocation[],
): ElfObject {
  return withSection(object, index, { data: encodeRelocations(entries) });
}

function addSectionName(object: ElfObject, name: string): { named: ElfObject; offset: number } {
  const { shstrndx } = object.header;
  const names = appendNames(object.section(shstrndx).data, [name]);
  return { named: withSection(object, shstrndx, { data: names.data }), offset: names.offsets[0] ?? 0 };
}

function partsOf({ header, sections, padding, trailer }: ElfObject) {
  return { header, sections, padding, trailer };
}
