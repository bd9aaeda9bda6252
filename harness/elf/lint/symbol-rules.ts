// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { klpNameLimits } from '../klp.js';
import type { KlpSymbol } from '../klp.js';
import type { LintedModule } from './module.js';
import { always, loads, refused, sound, wrong } from './outcome.js';
import { sizeOf } from './relocation-types.js';
import type { Problem, Rule } from './rule.js';

const prefix = '.klp.sym.';
/** klp-build's names for what its disabled relocations name (tools/objtool/include/objtool/klp.h, klp-diff.c; 7.3). */
const tombstone = '.klp.tombstone.';
/** The list of relocations that klp-build made the .klp.rela sections of; nobody reads it any more (the same header). */
const spent = '__klp_relocs.';

/** Whether a section index is none, and not reserved for something either. */
export function isNoIndex(shndx: number, sections: number): boolean {
  return shndx >= sections && ![c.SHN_LIVEPATCH, c.SHN_ABS, c.SHN_COMMON].includes(shndx);
}

/** What the kernel's sscanf makes of a name: `.klp.sym.%[^.].%[^,],%lu`, white space and a sign as it takes them. */
export function scannedName(name: string): { object: string; symbol: string; digits: string; rest: string } | undefined {
  // The white space of lib/ctype.c.
  const match = /^\.klp\.sym\.([^.]+)\.([^,]+),([\t-\r \xa0]*)(\d+)([^]*)$/.exec(name);
  if (!match) return undefined;
  const [, object = '', symbol = '', blanks = '', digits = '', rest = ''] = match;
  return { object, symbol, digits, rest: blanks + rest };
}

const ofNames = (find: (name: string, symbol: KlpSymbol) => string | undefined): Rule['check'] =>
  function* (module: LintedModule) {
    for (const named of module.named) {
      if (!named.marked) continue;
      const message = find(named.symbol.name, named);
      if (message !== undefined) yield at(module, named, message);
    }
  };

function at(module: LintedModule, { symbol }: KlpSymbol, message: string, field: 'st_name' | 'st_shndx' = 'st_name'): Problem {
  return { message: `${symbol.name}: ${message}`, ...module.symbol(symbol, field) };
}

/** The kernel parses an object of up to 55 characters; one more, and the dot that it wants is not there. */
const tooLongObject = (name: string): boolean => (scannedName(name)?.object ?? '').length > klpNameLimits.object;
const tooLongSymbol = (name: string): boolean => (scannedName(name)?.symbol ?? '').length > klpNameLimits.symbol;

/** Longer than KSYM_NAME_LEN was before 6.1, and nothing worse. */
function longNames({ named }: LintedModule): readonly KlpSymbol[] {
  const limit = klpNameLimits.symbolBefore61;
  return named.filter(({ marked, symbol: { name } }) => marked && scannedName(name) && name.length > limit && !tooLongObject(name) && !tooLongSymbol(name));
}

/**
 * From 5.8 on symbols for vmlinux are resolved by the names in the file; those for modules by the copy that the kernel keeps,
 * which is cut. The symbol itself has the limit in either case (`%127[^,]`).
 */
function isCut(module: LintedModule, { symbol }: KlpSymbol): boolean {
  const own = scannedName(symbol.name)?.symbol ?? '';
  const ofModule = module.relocations.some((r) => r.symbol?.index === symbol.index && !r.klp.section.name.startsWith('.klp.rela.vmlinux.'));
  return own.length > klpNameLimits.symbolBefore61 || ofModule;
}

const badName = refused('EINVAL', 'symbol * has an incorrectly formatted name');
const format = 'module-elf-format.txt 3.3.2: the name must be `.klp.sym.<object>.<symbol>,<sympos>`.';

/** Rules about livepatch symbols (module-elf-format.txt 3). */
export const symbolRules: readonly Rule[] = [
  {
    code: 'KLP040',
    title: 'a livepatch symbol that is undefined (SHN_UNDEF)',
    document: 'module-elf-format.txt 3.3.1: the section index of a livepatch symbol must be SHN_LIVEPATCH.',
    kernels: { '4.14': refused('ENOENT', '*Unknown symbol * (err 0)'), '5.10': refused('ENOENT', '*Unknown symbol * (err -2)') },
    mend: 'Set st_shndx to SHN_LIVEPATCH (0xff20).',
    *check(module) {
      for (const found of module.symbols) {
        const { shndx, bind } = found.symbol;
        if (shndx === c.SHN_UNDEF && bind !== c.STB_WEAK) yield at(module, found, 'st_shndx is SHN_UNDEF', 'st_shndx');
      }
    },
  },
  {
    code: 'KLP041',
    title: 'a livepatch relocation that names a symbol which is no livepatch symbol',
    document: 'module-elf-format.txt 2.1: every symbol that a livepatch relocation references is a livepatch symbol.',
    kernels: {
      '4.14': refused('EINVAL', 'symbol * is not marked as a livepatch symbol'),
      '7.3': refused('EINVAL', 'symbol * at rela sec * is not marked as a livepatch symbol'),
    },
    mend: 'Set st_shndx to SHN_LIVEPATCH (0xff20), or leave the relocation in an ordinary section if the loader can resolve it.',
    *check(module) {
      const seen = new Set<number>();
      if (!module.livepatch) return;
      for (const relocation of module.relocations) {
        const { symbol, klp } = relocation;
        if (!symbol || symbol.shndx === c.SHN_LIVEPATCH || seen.has(symbol.index)) continue;
        // Undefined ones and those in common storage keep the module from loading before this is looked at.
        if (symbol.shndx === c.SHN_COMMON || isNoIndex(symbol.shndx, module.object.sections.length)) continue;
        if (symbol.shndx === c.SHN_UNDEF && symbol.name.startsWith(prefix) && symbol.bind !== c.STB_WEAK) continue;
        seen.add(symbol.index);
        yield {
          message: `${klp.section.name} names symbol ${symbol.index} (${symbol.name}), whose st_shndx is 0x${symbol.shndx.toString(16)}`,
          ...module.relocation(relocation, 'r_info'),
        };
      }
    },
  },
  {
    code: 'KLP042',
    title: "a livepatch symbol's name that does not parse",
    document: format,
    kernels: always(badName),
    mend: 'Prefix, object without a dot, symbol without a comma, and a position: 0, or which of several, from 1.',
    check: ofNames((name) => (scannedName(name) ? undefined : 'not .klp.sym.<object>.<symbol>,<sympos>')),
  },
  {
    code: 'KLP043',
    title: "a livepatch symbol's name with something about its position",
    document: format,
    kernels: always(loads('sscanf stops at what is no digit, and passes over blanks before')),
    mend: 'Digits only behind the comma.',
    check: ofNames((name) => {
      const { rest = '', digits = '0' } = scannedName(name) ?? {};
      return rest === '' || !Number.isSafeInteger(Number(digits)) ? undefined : `'${rest}' beside the position`;
    }),
  },
  {
    code: 'KLP044',
    title: "a livepatch symbol's position that is beyond any number of symbols",
    document: 'module-elf-format.txt 3.3.2: the position is that of the symbol in its object, as kallsyms has it.',
    kernels: {
      '4.14': wrong('the number wraps around at 2^64, and another symbol than meant may be found'),
      '7.3': refused('EINVAL', "symbol position * for symbol '*' in object '*' not found"),
    },
    mend: 'Take the position from the symbol table of the kernel that the module is for.',
    check: ofNames((name) => {
      const digits = scannedName(name)?.digits ?? '0';
      return Number(digits) > 2 ** 31 ? `position ${digits}` : undefined;
    }),
  },
  {
    code: 'KLP045',
    title: "a livepatch symbol's object with a name of more than 55 characters",
    document: 'The documents give no limit; MODULE_NAME_LEN is 56.',
    kernels: always(badName),
    mend: 'No module has such a name.',
    check: ofNames((name) => (tooLongObject(name) ? 'the object has more than 55 characters' : undefined)),
  },
  {
    code: 'KLP046',
    title: "a livepatch symbol's name of more than 127 characters, for relocations of vmlinux",
    document: 'The documents give no limit; KSYM_NAME_LEN was 128 before 6.1.',
    kernels: { '4.14': badName, '5.10': sound },
    mend: 'Kernels before 5.8 cannot name that symbol: export it, or reach it through one that has a shorter name.',
    *check(module) {
      for (const found of longNames(module)) if (!isCut(module, found)) yield at(module, found, `${found.symbol.name.length} characters`);
    },
  },
  {
    code: 'KLP060',
    title: "a livepatch symbol's name of more than 127 characters, for relocations of a module, or with a symbol that has more",
    document: 'The documents give no limit; KSYM_NAME_LEN was 128 before 6.1.',
    kernels: { '4.14': badName, '6.1': sound },
    mend: 'Kernels before 6.1 cannot name that symbol: export it, or reach it through one that has a shorter name.',
    *check(module) {
      for (const found of longNames(module)) if (isCut(module, found)) yield at(module, found, `${found.symbol.name.length} characters`);
    },
  },
  {
    code: 'KLP047',
    title: "a livepatch symbol's name with a symbol of more than 511 characters",
    document: 'The documents give no limit; KSYM_NAME_LEN is 512 since 6.1.',
    kernels: always(badName),
    mend: 'No kernel has a symbol with such a name.',
    check: ofNames((name) => (tooLongSymbol(name) ? `${name.length} characters` : undefined)),
  },
  {
    code: 'KLP048',
    title: 'a livepatch symbol that no relocation names, with a name that does not parse',
    document: format,
    kernels: always(loads('it is not looked at')),
    mend: 'Remove it, or write its name in full.',
    *check(module) {
      if (!module.livepatch) return;
      const named = new Set(module.named);
      for (const found of module.symbols) {
        const dead = found.symbol.name.startsWith(tombstone);
        if (found.marked && !named.has(found) && !found.parsed && !dead) yield at(module, found, 'not .klp.sym.<object>.<symbol>,<sympos>');
      }
    },
  },
  {
    code: 'KLP049',
    title: 'an ordinary relocation that names a livepatch symbol',
    document: 'module-elf-format.txt 3.1: livepatch symbols are those that livepatch relocation sections refer to.',
    kernels: always(wrong('the loader takes 0 for the address: calls lead nowhere')),
    mend: 'Move the relocation into the .klp.rela section of the same section.',
    *check(module) {
      const { object } = module;
      const marked = new Set(module.symbols.filter((s) => s.marked).map((s) => s.symbol.index));
      if (marked.size === 0 || !module.livepatch) return;
      for (const [index, section] of object.sections.entries()) {
        const target = object.sections[section.info];
        const ordinary = section.type === c.SHT_RELA && (section.flags & c.SHF_RELA_LIVEPATCH) === 0n;
        if (target?.name.startsWith(spent)) continue;
        // One that lacks the flag only has a rule of its own.
        if (!ordinary || section.name.startsWith('.klp.rela.') || !target || (target.flags & c.SHF_ALLOC) === 0n) continue;
        for (const [number, { symbol, type }] of object.relocations(index).entries()) {
          if (!marked.has(symbol) || sizeOf(module, type) === 0) continue;
          const name = object.symbols[symbol]?.name ?? '';
          const offset = (section.offset ?? 0) + number * c.RELA_SIZE + 8;
          yield { message: `${section.name} names ${name}`, section: section.name, symbol: name, field: 'r_info', offset };
        }
      }
    },
  },
];

