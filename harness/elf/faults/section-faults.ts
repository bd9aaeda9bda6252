// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { appendSection, withSection } from '../edit.js';
import { LivepatchError } from '../errors.js';
import { crashes, ignored, loads, refused, wrong } from '../lint/outcome.js';
import { encodeRelocations, viewOf, type ElfObject } from '../object.js';
import { sectionNamed, someSection } from './edits.js';
import { astray, type FaultTable } from './fault.js';

type Of = 'vmlinux' | 'module';

const unallocated = (of: Of) => (module: ElfObject): ElfObject => {
  const { index, section } = someSection(module, of);
  return withSection(module, index, { flags: section.flags & ~c.SHF_ALLOC });
};

const info = (of: Of, value: number) => (module: ElfObject): ElfObject => withSection(module, someSection(module, of).index, { info: value });

/** The names of the sections serve as one that is not loaded; of the symbol table and its names, a livepatch keeps a copy. */
const notLoaded = (of: Of) => (module: ElfObject): ElfObject => info(of, module.header.shstrndx)(module);

/** Entries of Elf64_Rel, without addends: 16 bytes each. */
function withoutAddends(module: ElfObject): ElfObject {
  const { index, entries } = someSection(module);
  const data = new Uint8Array(16 * entries.length);
  entries.forEach(({ offset, symbol, type }, i) => {
    viewOf(data).setBigUint64(16 * i, offset, true);
    viewOf(data).setBigUint64(16 * i + 8, (BigInt(symbol) << 32n) | BigInt(type), true);
  });
  return withSection(module, index, { type: c.SHT_REL, entsize: 16, data });
}

/** The last entry in a section of its own, of the same name. */
function divided(module: ElfObject): ElfObject {
  const { index, section, entries } = someSection(module);
  if (entries.length < 2) throw new LivepatchError('fault-inapplicable', 'the livepatch relocation section has one entry only');
  const { name, type, flags, link, info: target, align, entsize } = section;
  const first = withSection(module, index, { data: encodeRelocations(entries.slice(0, -1)) });
  return appendSection(first, { name, type, flags, link, info: target, align, entsize, data: encodeRelocations(entries.slice(-1)) });
}

/** Faults of livepatch relocation sections: rows 4 to 11, 36 to 39 and 51; 54 is none of the table, but was found on a kernel. */
export const sectionFaults = {
  'EF-04': {
    title: 'a livepatch relocation section without SHF_RELA_LIVEPATCH',
    rules: ['KLP020'],
    apply: (module) => {
      const { index, section } = someSection(module);
      return withSection(module, index, { flags: section.flags & ~c.SHF_RELA_LIVEPATCH });
    },
  },
  'EF-05': {
    title: 'a livepatch relocation section of vmlinux without SHF_ALLOC',
    rules: ['KLP021'],
    apply: unallocated('vmlinux'),
  },
  'EF-05-module': {
    title: 'a livepatch relocation section of a module without SHF_ALLOC',
    rules: ['KLP022'],
    // free_copy() comes before do_init_module() (kernel/module/main.c:3589, 7.3.4); vfree() leaves the TLB as it is for a while.
    also: [wrong('entries of something else'), ignored('the section'), loads('what was freed is still there')],
    apply: unallocated('module'),
  },
  'EF-06': {
    title: 'a livepatch relocation section of type SHT_PROGBITS',
    rules: ['KLP024'],
    apply: (module) => withSection(module, someSection(module).index, { type: c.SHT_PROGBITS }),
  },
  'EF-07': {
    title: 'a livepatch relocation section of type SHT_REL',
    rules: ['KLP023'],
    // Two entries are read as one, with a wrong addend; of the four on arm64, the second one names symbol 0.
    arm64: {
      '4.14': refused('EINVAL', 'symbol * is not marked as a livepatch symbol'),
      '7.3': refused('EINVAL', 'symbol * at rela sec * is not marked as a livepatch symbol'),
    },
    apply: withoutAddends,
  },
  'EF-08': {
    title: 'a livepatch relocation section of type SHT_NOBITS',
    rules: ['KLP033'],
    apply: (module) => {
      const { index, section } = someSection(module);
      return withSection(module, index, { type: c.SHT_NOBITS, data: new Uint8Array(), size: section.size });
    },
  },
  'EF-09': {
    title: 'a livepatch relocation section without an object in its name',
    rules: ['KLP025'],
    apply: (module) => {
      const { index, parsed } = someSection(module);
      return withSection(module, index, { name: `.klp.rela..${parsed.section}` });
    },
  },
  'EF-09-prefix': {
    title: 'a livepatch relocation section with another prefix',
    rules: ['KLP025'],
    apply: (module) => {
      const { index, parsed } = someSection(module);
      return withSection(module, index, { name: `.rela.klp.${parsed.object}.${parsed.section}` });
    },
  },
  'EF-10': {
    title: 'a livepatch relocation section for an object with a name of 56 characters',
    rules: ['KLP026', 'KLP050'],
    apply: (module) => {
      const { index, parsed } = someSection(module);
      return withSection(module, index, { name: `.klp.rela.${parsed.object.padEnd(56, '_')}.${parsed.section}` });
    },
  },
  'EF-11': {
    title: 'a livepatch relocation section for an object with a misspelt name',
    rules: ['KLP027', 'KLP050'],
    apply: (module) => {
      const { index, parsed } = someSection(module);
      return withSection(module, index, { name: `.klp.rela.${parsed.object}_misspelt.${parsed.section}` });
    },
  },
  'EF-11-dash': {
    title: 'a livepatch relocation section for an object with a dash for an underscore',
    rules: ['KLP027', 'KLP050'],
    apply: (module) => {
      const { index, parsed } = someSection(module);
      return withSection(module, index, { name: `.klp.rela.${parsed.object.replaceAll('_', '-')}-.${parsed.section}` });
    },
  },
  'EF-36': {
    title: 'a livepatch relocation section of vmlinux with sh_info beyond the last section',
    rules: ['KLP029'],
    // module_frob_arch_sections() (arch/arm64/kernel/module-plts.c, 7.3.4) reads the header of the section without looking at its index.
    arm64: { '4.14': crashes('the header of the section is read from behind the table') },
    also: astray,
    apply: info('vmlinux', 0xfff0),
  },
  'EF-36-module': {
    title: 'a livepatch relocation section of a module with sh_info beyond the last section',
    rules: ['KLP030'],
    also: astray,
    apply: info('module', 0xfff0),
  },
  'EF-37': {
    title: 'a livepatch relocation section of vmlinux with sh_info 0',
    rules: ['KLP029'],
    apply: info('vmlinux', 0),
  },
  'EF-37-module': {
    title: 'a livepatch relocation section of a module with sh_info 0',
    rules: ['KLP030'],
    also: astray,
    apply: info('module', 0),
  },
  'EF-37-unloaded': {
    title: 'a livepatch relocation section of vmlinux for a section that is not loaded',
    rules: ['KLP029'],
    apply: notLoaded('vmlinux'),
  },
  'EF-37-unloaded-module': {
    title: 'a livepatch relocation section of a module for a section that is not loaded',
    rules: ['KLP030'],
    also: astray,
    apply: notLoaded('module'),
  },
  'EF-38': {
    title: 'a livepatch relocation section with sh_link 0',
    rules: ['KLP031'],
    apply: (module) => withSection(module, someSection(module).index, { link: 0 }),
  },
  'EF-39': {
    title: 'a livepatch relocation section whose last entry is cut off',
    rules: ['KLP032'],
    arm64: { '4.14': wrong('the last entry, the second half of a reference, is ignored') },
    apply: (module) => {
      const { index, section } = someSection(module);
      return withSection(module, index, { data: section.data.slice(0, -8) });
    },
  },
  'EF-51': {
    title: 'a livepatch relocation of a module for initialisation code',
    rules: ['KLP036'],
    // The module that is patched may be refused, since what is in the way is not zero.
    also: [refused('ENOEXEC', '*nvalid relocation target*'), loads('what was freed is still there, and nobody has it yet')],
    patchFirst: true,
    apply: (module) => {
      const { parsed, section, entries } = someSection(module, 'module');
      const target = sectionNamed(module, '.init.text');
      const { name, data } = module.section(target);
      const [entry] = entries;
      if (!entry) throw new LivepatchError('fault-inapplicable', 'the livepatch relocation section is empty');
      // Behind the code, where all is zero, as it has to be.
      const roomier = withSection(module, target, { data: new Uint8Array([...data, ...new Uint8Array(8)]) });
      const { type, flags, link, align, entsize } = section;
      return appendSection(roomier, {
        name: `.klp.rela.${parsed.object}.${name}`, type, flags, link, align, entsize, info: target,
        data: encodeRelocations([{ ...entry, offset: BigInt(data.length) }]),
      }); // prettier-ignore
    },
  },
  'EF-54': {
    title: 'two livepatch relocation sections of one name',
    // add_sect_attrs() (kernel/module/sysfs.c:111, 7.3.4) says that it failed; before, nobody asked.
    rules: ['KLP037', 'KLP034'],
    apply: divided,
  },
} as const satisfies FaultTable;
