// SPDX-License-Identifier: MIT
import * as c from './constants.js';
import { appendSection, withRelocations, withSymbols, type SymbolEdit } from './edit.js';
import { LivepatchError } from './errors.js';
import { formatKlpSectionName, formatKlpSymbolName, klpSections } from './klp.js';
import { encodeRelocations, type ElfObject, type ElfRelocation, type ElfSymbol } from './object.js';

/** Where the kernel is to find a symbol that a module cannot link to. */
export interface KlpTarget {
  /** `vmlinux` or the module that has it. */
  readonly object: string;
  /** Position among its namesakes in that object, as `symposOf` counts. */
  readonly sympos: number;
  /**
   * Whose relocation section gets the references, if not the symbol's own object's. `.klp.rela.vmlinux` is
   * applied with the patch itself and may name symbols of modules already loaded; `.klp.rela.M` is applied
   * when M comes and may not name symbols of vmlinux from 5.8 on.
   */
  readonly sectionObject?: string;
}

/** A symbol that was converted. */
export interface ConvertedSymbol {
  /** Index in the symbol table, which conversion does not change. */
  readonly index: number;
  readonly symbol: string;
  /** Its new name, `.klp.sym.…`. */
  readonly name: string;
  /** The livepatch relocation sections that reference it now. */
  readonly sections: readonly string[];
  /** How many relocations were moved there. */
  readonly relocations: number;
}

export interface Conversion {
  readonly object: ElfObject;
  /** By index in the symbol table. */
  readonly converted: readonly ConvertedSymbol[];
}

/** Freed after the patch module's init, or read once when it is loaded: relocating these later is no use. */
export const usedUpEarly = /^(\.init\.|__jump_table$|__tracepoints|\.static_call_sites$|\.(alt|para)instructions$)/;

/**
 * Turns undefined symbols into livepatch symbols (module-elf-format.txt 2 and 3): renamed to
 * `.klp.sym.<object>.<symbol>,<sympos>` with st_shndx SHN_LIVEPATCH, and every relocation that references one
 * moved into a new section `.klp.rela.<object>.<target section>` flagged SHF_ALLOC, SHF_INFO_LINK and
 * SHF_RELA_LIVEPATCH. Section and symbol indices stay: a `.rela` section that loses all its entries remains,
 * empty. Relocations of sections that are not loaded (debug information) stay too, for the loader never looks
 * at them, and so does `__versions`. Symbols of the map that the module defines, or does not have, are passed
 * over.
 * @param object a module after modpost (KBUILD_MODPOST_WARN=1)
 * @param resolve by symbol name
 * @throws LivepatchError (`bad-name`) for names the formats cannot hold; (`late-relocation`) for a reference
 *   from a section that the kernel has used up by the time a module's relocations are applied
 */
export function convertToLivepatch(object: ElfObject, resolve: ReadonlyMap<string, KlpTarget>): Conversion {
  const chosen = new Map<number, { symbol: ElfSymbol; target: KlpTarget; name: string }>();
  for (const symbol of undefinedSymbols(object)) {
    const target = resolve.get(symbol.name);
    if (target)
      chosen.set(symbol.index, {
        symbol,
        target,
        name: formatKlpSymbolName({ ...target, symbol: symbol.name }),
      });
  }
  const edits = new Map<number, SymbolEdit>();
  for (const [index, { name }] of chosen) edits.set(index, { name, shndx: c.SHN_LIVEPATCH });

  let result = withSymbols(object, edits);
  const uses = new Map<number, { sections: Set<string>; relocations: number }>();
  object.sections.forEach((section, index) => {
    const target = object.sections[section.info];
    if (section.type !== c.SHT_RELA || (section.flags & c.SHF_RELA_LIVEPATCH) !== 0n) return;
    if (!target || (target.flags & c.SHF_ALLOC) === 0n) return;
    const kept: ElfRelocation[] = [];
    const moved = new Map<string, ElfRelocation[]>();
    for (const entry of object.relocations(index)) {
      const choice = chosen.get(entry.symbol);
      if (!choice) {
        kept.push(entry);
        continue;
      }
      const owner = choice.target.sectionObject ?? choice.target.object;
      if (owner !== 'vmlinux' && usedUpEarly.test(target.name)) {
        throw new LivepatchError(
          'late-relocation',
          `${target.name} references ${choice.symbol.name}, but is used up before ${owner} is loaded`,
          [choice.symbol.name],
        );
      }
      const use = uses.get(entry.symbol) ?? { sections: new Set(), relocations: 0 };
      uses.set(entry.symbol, use);
      use.sections.add(formatKlpSectionName({ object: owner, section: target.name }));
      use.relocations++;
      const group = moved.get(owner);
      if (group) group.push(entry);
      else moved.set(owner, [entry]);
    }
    if (moved.size === 0) return;
    result = withRelocations(result, index, kept);
    for (const [owner, entries] of moved) result = addKlpRelocations(result, owner, section.info, entries);
  });

  const converted = [...chosen].map(([index, { symbol, name }]) => {
    const use = uses.get(index);
    return {
      index,
      symbol: symbol.name,
      name,
      sections: [...(use?.sections ?? [])],
      relocations: use?.relocations ?? 0,
    };
  });
  return { object: result, converted };
}

/**
 * One livepatch relocation section for each object and target section: an earlier conversion's is extended.
 */
function addKlpRelocations(
  object: ElfObject,
  owner: string,
  target: number,
  entries: readonly ElfRelocation[],
): ElfObject {
  const name = formatKlpSectionName({ object: owner, section: object.section(target).name });
  const there = klpSections(object).find(({ section }) => section.name === name && section.info === target);
  if (there) return withRelocations(object, there.index, [...object.relocations(there.index), ...entries]);
  return appendSection(object, {
    name,
    type: c.SHT_RELA,
    flags: c.SHF_ALLOC | c.SHF_INFO_LINK | c.SHF_RELA_LIVEPATCH,
    link: object.symtab ?? 0,
    info: target,
    align: 8,
    entsize: c.RELA_SIZE,
    data: encodeRelocations(entries),
  });
}

/**
 * Names of the undefined symbols that would keep a module from loading: neither exported by the kernel or a
 * module it depends on, nor weak (kernel/module.c, simplify_symbols). Converted symbols are not undefined any
 * more.
 */
export function unresolvedSymbols(object: ElfObject, exported: ReadonlySet<string>): string[] {
  return undefinedSymbols(object)
    .filter(({ name, bind }) => bind !== c.STB_WEAK && !exported.has(name))
    .map(({ name }) => name);
}

/** @throws LivepatchError (`unresolved-symbol`) naming every symbol that `unresolvedSymbols` finds */
export function requireResolved(object: ElfObject, exported: ReadonlySet<string>): void {
  const names = unresolvedSymbols(object, exported);
  if (names.length === 0) return;
  throw new LivepatchError(
    'unresolved-symbol',
    `undefined, neither exported by the kernel nor converted: ${names.join(', ')}`,
    names,
  );
}

/** The undefined symbols of a module, without the null symbol. */
export function undefinedSymbols(object: ElfObject): ElfSymbol[] {
  return object.symbols.filter(({ index, shndx }) => index > 0 && shndx === c.SHN_UNDEF);
}
