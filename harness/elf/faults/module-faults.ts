// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { appendSection, withSection } from '../edit.js';
import { LivepatchError } from '../errors.js';
import { refused } from '../lint/outcome.js';
import { isLivepatch, modinfo, withModinfo, withoutModinfo } from '../modinfo.js';
import type { ElfObject } from '../object.js';
import { bytesToText, textToBytes } from '../strings.js';
import { editHeader, sectionNamed, someSection } from './edits.js';
import type { FaultTable } from './fault.js';

/** A copy of a section under the same name. */
function twice(module: ElfObject, index: number): ElfObject {
  const { name, type, flags, data, link, info, align, entsize } = module.section(index);
  return appendSection(module, { name, type, flags, data, link, info, align, entsize });
}

/** The name in struct module, too: that is the one the kernel goes by. */
function named(module: ElfObject, name: string): ElfObject {
  const old = modinfo(module, 'name') ?? '';
  const index = sectionNamed(module, '.gnu.linkonce.this_module');
  const data = new Uint8Array(module.section(index).data);
  const at = bytesToText(data).indexOf(`${old}\0`);
  if (old === '' || at < 0) throw new LivepatchError('fault-inapplicable', 'the name of the module is not to be found');
  data.fill(0, at, at + old.length);
  data.set(textToBytes(name), at);
  return withSection(withModinfo(module, 'name', name), index, { data });
}

function symtabOf({ symtab }: ElfObject): number {
  if (symtab === undefined) throw new LivepatchError('fault-inapplicable', 'the module has no symbol table');
  return symtab;
}

/** Faults of the module as a whole: rows 1 to 3 and 40 to 53. */
export const moduleFaults = {
  'EF-01': {
    title: 'no livepatch field in .modinfo',
    rules: ['KLP010'],
    apply: (module) => {
      if (!isLivepatch(module)) throw new LivepatchError('fault-inapplicable', 'the module has no livepatch field');
      return withoutModinfo(module, 'livepatch');
    },
  },
  'EF-02': {
    title: 'livepatch=N in .modinfo',
    rules: ['KLP011'],
    apply: (module) => withModinfo(module, 'livepatch', 'N'),
  },
  'EF-03': {
    title: 'two .modinfo sections',
    rules: ['KLP012'],
    harmless: true,
    early: true,
    apply: (module) => twice(module, sectionNamed(module, '.modinfo')),
  },
  'EF-40': {
    title: 'a symbol table in which a livepatch symbol and a local one have changed places',
    rules: ['KLP008', 'KLP041', 'KLP049'],
    // Bound wrongly are symbols of the same kind only; a local one is none of livepatch's.
    kernels: {
      '4.14': refused('EINVAL', 'symbol * is not marked as a livepatch symbol'),
      '7.3': refused('EINVAL', 'symbol * at rela sec * is not marked as a livepatch symbol'),
    },
    apply: (module) => {
      const symtab = symtabOf(module);
      const [first] = someSection(module).entries;
      const local = module.symbols.findLast(({ bind, index }) => index > 0 && bind === c.STB_LOCAL);
      if (!first || !local) throw new LivepatchError('fault-inapplicable', 'the module has no local symbol, or no livepatch symbol');
      const data = new Uint8Array(module.section(symtab).data);
      const entry = (index: number): Uint8Array => data.slice(index * c.SYM_SIZE, (index + 1) * c.SYM_SIZE);
      const [one, other] = [entry(first.symbol), entry(local.index)];
      data.set(one, local.index * c.SYM_SIZE);
      data.set(other, first.symbol * c.SYM_SIZE);
      return withSection(module, symtab, { data });
    },
  },
  'EF-41': {
    title: 'a section whose name lies outside the name table',
    rules: ['KLP004'],
    early: true,
    apply: (module) => withSection(module, someSection(module).index, { nameOffset: 0xffff_fff0 }),
  },
  'EF-42': {
    title: 'e_shstrndx beyond the last section',
    rules: ['KLP003'],
    early: true,
    apply: (module) => editHeader(module, { shstrndx: 0xfff0 }),
  },
  'EF-43': {
    title: 'a section that ends behind the end of the file',
    rules: ['KLP002'],
    early: true,
    apply: (module) => withSection(module, someSection(module).index, { size: 2 ** 40 }),
  },
  'EF-44': {
    title: 'two symbol tables',
    rules: ['KLP015'],
    harmless: true,
    early: true,
    apply: (module) => twice(module, symtabOf(module)),
  },
  'EF-45': {
    title: 'no symbol table',
    rules: ['KLP014'],
    early: true,
    apply: (module) => withSection(module, symtabOf(module), { type: c.SHT_PROGBITS }),
  },
  'EF-46': {
    title: 'no .gnu.linkonce.this_module',
    rules: ['KLP016'],
    early: true,
    apply: (module) => withSection(module, sectionNamed(module, '.gnu.linkonce.this_module'), { name: '.gnu.linkonce.that_module' }),
  },
  'EF-47': {
    title: 'a module for another machine',
    rules: ['KLP001'],
    early: true,
    apply: (module) => editHeader(module, { machine: 243 }),
  },
  'EF-47-shared': {
    title: 'a shared object (ET_DYN)',
    rules: ['KLP001'],
    early: true,
    apply: (module) => editHeader(module, { type: 3 }),
  },
  'EF-48': {
    title: 'vermagic of another kernel',
    rules: ['KLP074'],
    early: true,
    apply: (module) => withModinfo(module, 'vermagic', '4.12.0-none SMP mod_unload '),
  },
  'EF-49': {
    title: 'a module named vmlinux',
    rules: ['KLP017'],
    apply: (module) => named(module, 'vmlinux'),
  },
  'EF-50': {
    title: 'a .klp.arch section with one dot behind the object',
    rules: ['KLP009', 'KLP019'],
    harmless: true,
    // Of two rules one holds on each kernel; what they say is the same.
    kernels: { '4.14': { ending: 'ignored', note: 'the section' } },
    apply: (module) =>
      appendSection(module, { name: '.klp.arch.vmlinux.altinstructions', type: c.SHT_PROGBITS, flags: c.SHF_ALLOC, data: new Uint8Array() }),
  },
  'EF-52': {
    title: 'SHF_RELA_LIVEPATCH on an ordinary section of a module that is no livepatch',
    rules: ['KLP035'],
    apply: (module) => {
      const index = module.sections.findIndex(
        ({ type, info }) => type === c.SHT_RELA && ((module.sections[info]?.flags ?? 0n) & c.SHF_ALLOC) !== 0n,
      );
      if (isLivepatch(module) || index < 0) throw new LivepatchError('fault-inapplicable', 'that is for a module that is no livepatch');
      return withSection(module, index, { flags: module.section(index).flags | c.SHF_RELA_LIVEPATCH });
    },
  },
  'EF-53': {
    title: 'a licence that is not compatible with the GPL',
    rules: ['KLP013'],
    apply: (module) => withModinfo(module, 'license', 'Proprietary'),
  },
} as const satisfies FaultTable;
