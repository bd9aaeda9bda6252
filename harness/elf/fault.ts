// SPDX-License-Identifier: MIT
import { SHN_UNDEF } from './constants.js';
import { withSection, withSymbols } from './edit.js';
import { LivepatchError } from './errors.js';
import { klpSections, klpSymbols, type KlpSectionName, type KlpSymbol } from './klp.js';
import { isLivepatch, withoutModinfo } from './modinfo.js';
import type { ElfObject } from './object.js';

/** One way to break a sound livepatch module. */
export interface Fault {
  /** What is wrong with the result. */
  readonly title: string;
  /** @throws LivepatchError (`fault-inapplicable`) if the module has nothing to break in this way */
  readonly apply: (module: ElfObject) => ElfObject;
}

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

/** The first well-formed livepatch relocation section: the kernel parses all of them, whatever the object. */
function someSection(module: ElfObject): { index: number; parsed: KlpSectionName } {
  for (const found of klpSections(module)) {
    if (found.flagged && found.parsed) return { index: found.index, parsed: found.parsed };
  }
  throw new LivepatchError('fault-inapplicable', 'the module has no livepatch relocation section');
}

/** The first livepatch symbol that a livepatch relocation references: the kernel looks at no others. */
function someSymbol(module: ElfObject): KlpSymbol {
  const referenced = new Set(
    klpSections(module)
      .filter(({ flagged }) => flagged)
      .flatMap(({ index }) => module.relocations(index).map(({ symbol }) => symbol)),
  );
  const found = klpSymbols(module).find(
    ({ symbol, marked, parsed }) => marked && parsed && referenced.has(symbol.index),
  );
  if (found) return found;
  throw new LivepatchError(
    'fault-inapplicable',
    'the module has no livepatch symbol that a relocation references',
  );
}

/**
 * Faults by their identifier, which is never reused: EF-<row of the table of malformed modules in the
 * catalogue>.
 */
export const faults = {
  'EF-01': {
    title: 'no livepatch field in .modinfo',
    apply: (module) => {
      if (!isLivepatch(module))
        throw new LivepatchError('fault-inapplicable', 'the module has no livepatch field');
      return withoutModinfo(module, 'livepatch');
    },
  },
  'EF-09': {
    title: 'a livepatch relocation section without an object in its name',
    apply: (module) => {
      const { index, parsed } = someSection(module);
      return withSection(module, index, { name: `.klp.rela..${parsed.section}` });
    },
  },
  'EF-13': {
    title: 'a livepatch symbol that is undefined (SHN_UNDEF) instead of SHN_LIVEPATCH',
    apply: (module) =>
      withSymbols(module, new Map([[someSymbol(module).symbol.index, { shndx: SHN_UNDEF }]])),
  },
  'EF-18': {
    title: 'a livepatch symbol without a position in its name',
    apply: (module) => {
      const { symbol } = someSymbol(module);
      const name = symbol.name.slice(0, symbol.name.lastIndexOf(','));
      return withSymbols(module, new Map([[symbol.index, { name }]]));
    },
  },
} as const satisfies Readonly<Record<`EF-${number}`, Fault>>;

export type FaultId = keyof typeof faults;
