// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { modinfo, modinfoFields } from '../modinfo.js';
import type { LintedModule } from './module.js';
import { always, ignored, loads, refused, sound, wrong } from './outcome.js';
import { type Problem, type Rule, undocumented } from './rule.js';
import { isNoIndex } from './symbol-rules.js';

/** include/linux/license.h, license_is_gpl_compatible. */
const gplCompatible = ['GPL', 'GPL v2', 'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'];

/** Indices of the sections that a loader would take for this. */
function indices({ object }: LintedModule, is: (section: { readonly name: string; readonly type: number }) => boolean): number[] {
  return [...object.sections.keys()].filter((index) => index > 0 && is(object.section(index)));
}

/** Where a field of .modinfo is, or the section where it ought to be. */
export function modinfoPlace({ object }: LintedModule, key: string): Omit<Problem, 'message'> {
  const section = object.sections[object.sectionIndex('.modinfo') ?? -1];
  const field = modinfoFields(object).find((f) => f.key === key);
  if (section?.offset === undefined) return { section: '.modinfo' };
  return { section: '.modinfo', offset: section.offset + (field?.offset ?? 0) };
}

/** Rules about the module as a whole. Those that hold for any module are asked of any. */
export const moduleRules: readonly Rule[] = [
  {
    code: 'KLP010',
    title: 'livepatch relocations or symbols in a module without the livepatch field',
    document: 'module-elf-format.txt 1: livepatch modules are required to have the modinfo attribute `livepatch`.',
    kernels: {
      '4.14': refused('EINVAL', 'module * is not marked as a livepatch module'),
      '5.10': {
        ...refused('EINVAL', 'module * is not marked as a livepatch module'),
        note: 'the relocations for vmlinux are applied before that; a module that registers no patch loads, without the taint',
      },
    },
    mend: 'Add MODULE_INFO(livepatch, "Y").',
    *check(module) {
      const first = module.sections[0]?.section.name ?? module.symbols[0]?.symbol.name;
      if (module.livepatch || first === undefined) return;
      if (!module.sections.some(({ section }) => section.name.startsWith('.klp.rela.')) && module.symbols.length === 0) return;
      yield { message: `${first}, but .modinfo has no livepatch field`, ...modinfoPlace(module, 'livepatch') };
    },
  },
  {
    code: 'KLP011',
    title: 'the livepatch field is not `Y`',
    document: 'module-elf-format.txt 1: the example has `livepatch: Y`; what another value means is not said.',
    kernels: always(loads('the field counts, whatever it says')),
    mend: 'Write MODULE_INFO(livepatch, "Y"), or leave it out.',
    *check(module) {
      const value = modinfo(module.object, 'livepatch');
      if (value !== undefined && value !== 'Y') yield { message: `livepatch=${value}`, ...modinfoPlace(module, 'livepatch') };
    },
  },
  {
    code: 'KLP012',
    title: 'several .modinfo sections',
    document: undocumented,
    kernels: {
      '4.14': ignored('all but the first'),
      '6.12': refused('ENOEXEC', 'Only one .modinfo section must exist.'),
    },
    mend: 'Link the sections of one name together: ld -r does, objcopy --add-section does not.',
    *check(module) {
      const [, ...others] = indices(module, ({ name }) => name === '.modinfo');
      for (const index of others) yield { message: `section ${index} is a further .modinfo`, ...module.header(index, 'sh_name') };
    },
  },
  {
    code: 'KLP013',
    title: 'a licence that is not compatible with the GPL',
    document: 'livepatch.txt: the functions of the interface are exported to GPL modules only.',
    kernels: always(refused('ENOENT', '*Unknown symbol klp_* (err *)')),
    mend: `Write MODULE_LICENSE("GPL"), or another of: ${gplCompatible.join(', ')}.`,
    *check(module) {
      if (!module.livepatch) return;
      const licence = modinfo(module.object, 'license');
      if (licence !== undefined && gplCompatible.includes(licence)) return;
      yield { message: licence === undefined ? 'no licence' : `license=${licence}`, ...modinfoPlace(module, 'license') };
    },
  },
  {
    code: 'KLP014',
    title: 'no symbol table',
    document: 'module-elf-format.txt 3.2: a livepatch module must keep its symbol table as it is.',
    kernels: always(refused('ENOEXEC', '*module has no symbols (stripped?)')),
    mend: 'Strip debugging information only: strip --strip-debug.',
    *check(module) {
      if (module.object.symtab === undefined) yield { message: 'no section of type SHT_SYMTAB' };
    },
  },
  {
    code: 'KLP015',
    title: 'several symbol tables',
    document: 'ELF gABI, "Section Types": an object file may have only one section of type SHT_SYMTAB.',
    kernels: {
      '4.14': ignored('all but the first'),
      '6.12': refused('ENOEXEC', '*module has no symbols (stripped?)'),
    },
    mend: 'The tool that made the second must write its symbols to the first.',
    *check(module) {
      const [, ...others] = indices(module, ({ type }) => type === c.SHT_SYMTAB);
      for (const index of others) yield { message: `section ${index} is a further symbol table`, ...module.header(index, 'sh_type') };
    },
  },
  {
    code: 'KLP016',
    title: 'no .gnu.linkonce.this_module, or several',
    document: undocumented,
    kernels: {
      '4.14': refused('ENOEXEC', '*No module found in object'),
      '6.12': refused('ENOEXEC', '*Exactly one .gnu.linkonce.this_module section must exist.'),
    },
    mend: 'Link the object with what modpost wrote for it (the .mod.o): an object file alone is no module.',
    *check(module) {
      const found = indices(module, ({ name }) => name === '.gnu.linkonce.this_module');
      if (found.length !== 1) yield { message: `${found.length} sections .gnu.linkonce.this_module` };
    },
  },
  {
    code: 'KLP017',
    title: 'a module named vmlinux',
    document: 'module-elf-format.txt 2.2.2: the object `vmlinux` is the kernel.',
    kernels: {
      '4.14': loads('livepatch takes what is meant for it for the kernel'),
      '5.10': refused('EINVAL', 'vmlinux.ko: invalid module name'),
    },
    mend: 'Rename the file and build anew.',
    *check(module) {
      if (modinfo(module.object, 'name') === 'vmlinux') yield { message: 'name=vmlinux', ...modinfoPlace(module, 'name') };
    },
  },
  {
    code: 'KLP018',
    title: 'no vermagic',
    document: undocumented,
    kernels: always(refused('ENOEXEC')),
    mend: 'Build the module with kbuild, against the kernel that it is for.',
    *check(module) {
      if (module.livepatch && modinfo(module.object, 'vermagic') === undefined)
        yield { message: '.modinfo has no vermagic', ...modinfoPlace(module, 'vermagic') };
    },
  },
  {
    code: 'KLP019',
    title: 'a .klp.arch section',
    document: 'module-elf-format.txt 4: sections with alternatives and paravirt calls of an object are named `.klp.arch.<object>.<section>`.',
    kernels: {
      '4.14': sound,
      '5.10': ignored('the section: there are none such since 5.8'),
    },
    mend: 'Build the module for its kernel: from 5.8 on relocations for vmlinux are applied early enough for the ordinary sections.',
    *check(module) {
      for (const index of indices(module, ({ name }) => name.startsWith('.klp.arch.')))
        yield { message: module.object.section(index).name, ...module.header(index, 'sh_name') };
    },
  },
  {
    code: 'KLP009',
    title: 'a .klp.arch section whose name has a single dot behind the object',
    document: 'module-elf-format.txt 4: the prefix is `.klp.arch.<object>.`; no full name is spelt out.',
    kernels: { '4.14': ignored('the section: its alternatives are never applied'), '5.10': sound },
    mend: "Keep the section's own leading dot: `.klp.arch.vmlinux..altinstructions`.",
    *check(module) {
      for (const index of indices(module, ({ name }) => /^\.klp\.arch\.[^.]+\.[^.]/.test(name)))
        yield { message: module.object.section(index).name, ...module.header(index, 'sh_name') };
    },
  },
  {
    code: 'KLP008',
    title: 'a symbol table that is out of order',
    document:
      'ELF gABI, "Symbol Table": local symbols precede the others, and sh_info is the index of the first of these. ' +
      'module-elf-format.txt 3.2: relocations name symbols by their indices, which must not change.',
    kernels: always(wrong('relocations are bound to other symbols than meant, or the load is refused')),
    mend: 'Do not reorder symbols after relocations were made; let the tool that does (objcopy) rewrite both.',
    *check(module) {
      const { object } = module;
      if (object.symtab === undefined) return;
      const { info } = object.section(object.symtab);
      for (const symbol of object.symbols) {
        if (symbol.index === 0 || (symbol.bind === c.STB_LOCAL) === symbol.index < info) continue;
        yield { message: `symbol ${symbol.index} (${symbol.name}) is on the wrong side of sh_info, which is ${info}`, ...module.symbol(symbol, 'st_name') };
        return;
      }
    },
  },
  {
    code: 'KLP007',
    title: 'a symbol in common storage (SHN_COMMON)',
    document: 'ELF gABI, "Special Section Indexes": SHN_COMMON is for storage that is yet to be allocated.',
    kernels: always(refused('ENOEXEC', '*please compile with -fno-common')),
    mend: 'Compile with -fno-common, as kbuild does.',
    *check(module) {
      for (const symbol of module.object.symbols) {
        if (symbol.shndx === c.SHN_COMMON && !symbol.name.startsWith('__gnu_lto'))
          yield { message: symbol.name, ...module.symbol(symbol, 'st_shndx') };
      }
    },
  },
  {
    code: 'KLP006',
    title: 'a symbol with the index of no section',
    document: 'ELF gABI, "Symbol Table": st_shndx is the index of a section, or one of the reserved ones.',
    kernels: {
      '4.14': { ending: 'crashes', note: 'a section header is read from outside the table' },
      '6.1': refused('ENOEXEC', '*Symbol * has an invalid section index *'),
    },
    mend: 'A livepatch symbol has SHN_LIVEPATCH (0xff20); any other the index of its section, SHN_UNDEF or SHN_ABS.',
    *check(module) {
      const { sections, symbols } = module.object;
      for (const symbol of symbols) {
        if (isNoIndex(symbol.shndx, sections.length))
          yield { message: `${symbol.name}: st_shndx 0x${symbol.shndx.toString(16)}`, ...module.symbol(symbol, 'st_shndx') };
      }
    },
  },
];

