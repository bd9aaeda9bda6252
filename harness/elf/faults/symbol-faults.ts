// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { LivepatchError } from '../errors.js';
import { loads, refused, sound } from '../lint/outcome.js';
import { withSection } from '../edit.js';
import { encodeRelocations, type ElfObject } from '../object.js';
import { editEntry, editSymbol, renameSymbol, someEntry, someSection, soundSections } from './edits.js';
import { astray, type FaultTable } from './fault.js';

const notFound = refused('EINVAL', "symbol '*' not found in symbol table");

/** The first relocation of one kind is in the section of the other kind. */
function crossed(module: ElfObject, of: 'vmlinux' | 'module'): ElfObject {
  const into = someSection(module, of);
  const from = soundSections(module, of === 'vmlinux' ? 'module' : 'vmlinux').find(({ section }) => section.info === into.section.info);
  const [entry, ...others] = from?.entries ?? [];
  if (!from || !entry) throw new LivepatchError('fault-inapplicable', 'no section has relocations of both kinds');
  const without = withSection(module, from.index, { data: encodeRelocations(others) });
  return withSection(without, into.index, { data: encodeRelocations([...into.entries, entry]) });
}

/** Types of the x86-64 psABI. */
const r = { ABS64: 1, PC32: 2, PLT32: 4, ABS32: 10, PC64: 24 } as const;
/** Of the AArch64 psABI. */
const aarch64 = { ABS64: 257 } as const;

function onlyX86(module: ElfObject): void {
  if (module.header.machine !== c.EM_X86_64) throw new LivepatchError('fault-inapplicable', 'that is for x86-64');
}

/** Faults of livepatch symbols and of the relocations that name them: rows 12 to 35. */
export const symbolFaults = {
  'EF-12': {
    title: 'a livepatch symbol of an object with a name of 56 characters',
    rules: ['KLP045', 'KLP051'],
    apply: (module) => renameSymbol(module, ({ object, symbol, sympos }) => `.klp.sym.${object.padEnd(56, '_')}.${symbol},${sympos}`),
  },
  'EF-13': {
    title: 'a livepatch symbol that is undefined (SHN_UNDEF) instead of SHN_LIVEPATCH',
    rules: ['KLP040'],
    apply: (module) => editSymbol(module, () => ({ shndx: c.SHN_UNDEF })),
  },
  'EF-14': {
    title: 'a livepatch symbol that is undefined and weak',
    rules: ['KLP041'],
    apply: (module) => editSymbol(module, ({ symbol }) => ({ shndx: c.SHN_UNDEF, info: (c.STB_WEAK << 4) | symbol.type })),
  },
  'EF-15': {
    title: 'a livepatch symbol that is absolute (SHN_ABS)',
    rules: ['KLP041'],
    apply: (module) => editSymbol(module, () => ({ shndx: c.SHN_ABS })),
  },
  'EF-16': {
    title: 'a livepatch symbol in common storage (SHN_COMMON)',
    rules: ['KLP007'],
    apply: (module) => editSymbol(module, () => ({ shndx: c.SHN_COMMON })),
  },
  'EF-17': {
    title: 'a livepatch symbol with the section index 0xff21',
    rules: ['KLP006'],
    apply: (module) => editSymbol(module, () => ({ shndx: 0xff21 })),
  },
  'EF-18': {
    title: 'a livepatch symbol without a position in its name',
    rules: ['KLP042'],
    apply: (module) => renameSymbol(module, (_, name) => name.slice(0, name.lastIndexOf(','))),
  },
  'EF-19': {
    title: 'a livepatch symbol whose position is no number',
    rules: ['KLP042'],
    apply: (module) => renameSymbol(module, ({ object, symbol }) => `.klp.sym.${object}.${symbol},x`),
  },
  'EF-19-negative': {
    title: 'a livepatch symbol whose position is negative',
    rules: ['KLP042'],
    apply: (module) => renameSymbol(module, ({ object, symbol }) => `.klp.sym.${object}.${symbol},-1`),
  },
  'EF-20': {
    title: 'a livepatch symbol with junk behind its position',
    rules: ['KLP043'],
    apply: (module) => renameSymbol(module, (_, name) => `${name}junk`),
  },
  'EF-20-blank': {
    title: 'a livepatch symbol with a blank before its position',
    rules: ['KLP043'],
    apply: (module) => renameSymbol(module, ({ object, symbol, sympos }) => `.klp.sym.${object}.${symbol}, ${sympos}`),
  },
  'EF-21': {
    title: 'a livepatch symbol whose position wraps around to the right one',
    // _parse_integer_limit() (lib/kstrtox.c:86, 7.3.4) gives the greatest number instead.
    rules: ['KLP044'],
    kernels: { '4.14': loads('the number wraps around at 2^64'), '7.3': refused('EINVAL', "symbol position * for symbol '*' in object '*' not found") },
    apply: (module) => renameSymbol(module, ({ object, symbol, sympos }) => `.klp.sym.${object}.${symbol},${2n ** 64n + BigInt(sympos)}`),
  },
  'EF-22': {
    title: 'a livepatch symbol with a position greater than the number of symbols',
    rules: ['KLP073'],
    apply: (module) => renameSymbol(module, ({ object, symbol }) => `.klp.sym.${object}.${symbol},100000`),
  },
  'EF-23': {
    title: 'a livepatch symbol with position 0 that vmlinux has several times',
    rules: ['KLP072'],
    apply: (module) => renameSymbol(module, () => '.klp.sym.vmlinux.init_once,0'),
  },
  'EF-24': {
    title: 'a livepatch symbol that its object does not have',
    rules: ['KLP071'],
    apply: (module) => renameSymbol(module, ({ object }) => `.klp.sym.${object}.klp_no_such_function,0`),
  },
  'EF-25': {
    title: 'a livepatch symbol with a name of 128 characters, that its object does not have',
    rules: ['KLP046', 'KLP071'],
    kernels: { '4.14': refused('EINVAL', 'symbol * has an incorrectly formatted name'), '5.10': notFound },
    apply: (module) => renameSymbol(module, ({ object }) => `${`.klp.sym.${object}.`.padEnd(126, 'f')},0`),
  },
  'EF-26': {
    title: 'a livepatch symbol of 512 characters',
    rules: ['KLP047'],
    apply: (module) => renameSymbol(module, ({ object }) => `.klp.sym.${object}.${'f'.repeat(512)},0`),
  },
  'EF-27': {
    title: "a livepatch relocation of vmlinux that names a module's symbol",
    rules: ['KLP051'],
    kernels: { '4.14': loads('the module is there before the patch') },
    apply: (module) => crossed(module, 'vmlinux'),
  },
  'EF-27-unloaded': {
    title: "a livepatch relocation of vmlinux that names a symbol of a module which is not loaded",
    rules: ['KLP051'],
    kernels: { '4.14': notFound },
    patchFirst: true,
    apply: (module) => crossed(module, 'vmlinux'),
  },
  'EF-28': {
    title: "a module's livepatch relocation that names a symbol of vmlinux",
    rules: ['KLP050'],
    apply: (module) => crossed(module, 'module'),
  },
  'EF-29': {
    title: 'a livepatch relocation that names no symbol of the table',
    rules: ['KLP052'],
    also: [refused('EINVAL', 'symbol * is not marked as a livepatch symbol'), refused('EINVAL', 'symbol * at rela sec * is not marked as a livepatch symbol')],
    apply: (module) => editEntry(module, () => ({ symbol: 0x00ff_ffff })),
  },
  'EF-30': {
    title: 'a livepatch relocation beyond the end of the section',
    rules: ['KLP053'],
    also: astray,
    apply: (module) => editEntry(module, () => ({ offset: 0x1000_0000n })),
  },
  'EF-31': {
    title: 'a livepatch relocation of a place that is not zero',
    rules: ['KLP054'],
    arm64: { '4.14': sound },
    apply: (module) => {
      const { section, entry } = someEntry(module, [r.ABS64, aarch64.ABS64]);
      const data = new Uint8Array(module.section(section.info).data);
      data.fill(0x90, Number(entry.offset), Number(entry.offset) + 8);
      return withSection(module, section.info, { data });
    },
  },
  'EF-31-twice': {
    title: 'a place that two livepatch relocations want to relocate',
    rules: ['KLP055'],
    apply: (module) => {
      const { index, entries } = someSection(module);
      const [first] = entries;
      const other = entries.find(({ symbol }) => symbol !== first?.symbol);
      if (!first || !other) throw new LivepatchError('fault-inapplicable', 'the livepatch relocation section names one symbol only');
      return withSection(module, index, { data: encodeRelocations([...entries, { ...first, symbol: other.symbol }]) });
    },
  },
  'EF-32': {
    title: 'a livepatch relocation of a type that there is not',
    rules: ['KLP056'],
    apply: (module) => editEntry(module, () => ({ type: 0x7f })),
  },
  'EF-33': {
    title: 'a livepatch relocation of type R_X86_64_PC64',
    rules: ['KLP057'],
    distance: true,
    apply: (module) => {
      onlyX86(module);
      return editEntry(module, () => ({ type: r.PC64 }), [r.ABS64]);
    },
  },
  'EF-34': {
    title: 'a livepatch relocation of type R_X86_64_32',
    rules: ['KLP058'],
    apply: (module) => {
      onlyX86(module);
      return editEntry(module, () => ({ type: r.ABS32 }));
    },
  },
  'EF-35': {
    title: 'a relative livepatch relocation whose result 32 bits do not hold',
    rules: ['KLP059'],
    apply: (module) => {
      onlyX86(module);
      return editEntry(module, ({ addend }) => ({ addend: addend + 2n ** 33n + 0x1000n }), [r.PC32, r.PLT32]);
    },
  },
} as const satisfies FaultTable;
