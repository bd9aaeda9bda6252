// SPDX-License-Identifier: MIT
import { withSection, withSymbols, type SymbolEdit } from '../edit.js';
import { LivepatchError } from '../errors.js';
import { klpSections, klpSymbols, type KlpSectionName, type KlpSymbol } from '../klp.js';
import { decodeRelocations, encodeRelocations, ElfObject, type ElfHeader, type ElfRelocation, type ElfSection } from '../object.js';

/*
 * What faults are made with: the part of a sound module that is to be broken, or a LivepatchError (`fault-inapplicable`).
 */

/**
 * A module with a section renamed. All sections of that name are; relocations follow indices and stay.
 * @throws LivepatchError (`no-such-section`)
 */
export function renameSection(object: ElfObject, from: string, to: string): ElfObject {
  return editSections(object, from, (result, index) => withSection(result, index, { name: to }));
}

/** A module with a section's flags set to exactly these. @throws LivepatchError (`no-such-section`) */
export function setSectionFlags(object: ElfObject, name: string, flags: bigint): ElfObject {
  return editSections(object, name, (result, index) => withSection(result, index, { flags }));
}

function editSections(
  object: ElfObject,
  name: string,
  edit: (o: ElfObject, index: number) => ElfObject,
): ElfObject {
  const indices = [...object.sections.keys()].filter(
    (index) => index > 0 && object.section(index).name === name,
  );
  if (indices.length === 0)
    throw new LivepatchError('no-such-section', `the object has no section ${name}`, [name]);
  return indices.reduce(edit, object);
}

/** A livepatch relocation section that is sound. */
export interface SoundSection {
  readonly index: number;
  readonly section: ElfSection;
  readonly parsed: KlpSectionName;
  readonly entries: readonly ElfRelocation[];
}

/** @param of `vmlinux`: applied with the patch itself (from 5.8 on while it loads); `module`: when its object is there */
export function soundSections(module: ElfObject, of?: 'vmlinux' | 'module'): readonly SoundSection[] {
  return klpSections(module).flatMap(({ index, section, flagged, parsed }) =>
    flagged && parsed && (of === undefined || (parsed.object === 'vmlinux') === (of === 'vmlinux'))
      ? [{ index, section, parsed, entries: module.relocations(index) }]
      : [],
  );
}

/** The first of them: the kernel parses the names of all, whatever the object. */
export function someSection(module: ElfObject, of?: 'vmlinux' | 'module'): SoundSection {
  const [found] = soundSections(module, of);
  if (found) return found;
  const what = of === undefined ? '' : of === 'vmlinux' ? ' of vmlinux' : ' of a module';
  throw new LivepatchError('fault-inapplicable', `the module has no livepatch relocation section${what}`);
}

/** The first livepatch symbol that a livepatch relocation references: the kernel looks at no others. */
export function someSymbol(module: ElfObject): KlpSymbol {
  const referenced = new Set(soundSections(module).flatMap(({ entries }) => entries.map(({ symbol }) => symbol)));
  const found = klpSymbols(module).find(({ symbol, marked, parsed }) => marked && parsed && referenced.has(symbol.index));
  if (found) return found;
  throw new LivepatchError('fault-inapplicable', 'the module has no livepatch symbol that a relocation references');
}

/** The first livepatch relocation of one of the types, of any if none is given. */
export function someEntry(module: ElfObject, types: readonly number[] = []): SoundSection & { readonly number: number; readonly entry: ElfRelocation } {
  for (const section of soundSections(module)) {
    for (const [number, entry] of section.entries.entries()) {
      if (types.length === 0 || types.includes(entry.type)) return { ...section, number, entry };
    }
  }
  throw new LivepatchError('fault-inapplicable', `the module has no livepatch relocation${types.length === 0 ? '' : ` of type ${types.join(' or ')}`}`);
}

/** The module with that symbol changed. */
export function editSymbol(module: ElfObject, edit: (symbol: KlpSymbol) => SymbolEdit): ElfObject {
  const found = someSymbol(module);
  return withSymbols(module, new Map([[found.symbol.index, edit(found)]]));
}

/** The module with its first livepatch symbol named otherwise. */
export function renameSymbol(module: ElfObject, rename: (parts: { object: string; symbol: string; sympos: number }, name: string) => string): ElfObject {
  return editSymbol(module, ({ symbol, parsed }) => ({ name: rename(parsed ?? { object: '', symbol: '', sympos: 0 }, symbol.name) }));
}

/** The module with the first livepatch relocation of these types changed. */
export function editEntry(module: ElfObject, edit: (entry: ElfRelocation, of: SoundSection) => Partial<ElfRelocation>, types?: readonly number[]): ElfObject {
  const { index, section, number, entry, ...rest } = someEntry(module, types);
  const changed = { ...entry, ...edit(entry, { index, section, ...rest }) };
  return withSection(module, index, { data: encodeRelocations(decodeRelocations(section.data).with(number, changed)) });
}

/** The module with its ELF header changed. */
export function editHeader({ header, sections, padding, trailer }: ElfObject, edit: Partial<ElfHeader>): ElfObject {
  return new ElfObject({ header: { ...header, ...edit }, sections, padding, trailer });
}

/** Index of a section that the fault cannot do without. */
export function sectionNamed(module: ElfObject, name: string): number {
  const index = module.sectionIndex(name);
  if (index === undefined) throw new LivepatchError('fault-inapplicable', `the module has no section ${name}`, [name]);
  return index;
}
