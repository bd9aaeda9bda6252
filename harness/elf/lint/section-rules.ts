// SPDX-License-Identifier: MIT
import * as c from '../constants.js';
import { usedUpEarly } from '../convert.js';
import { klpNameLimits, namesSection, type KlpSection } from '../klp.js';
import type { ElfSection } from '../object.js';
import { bytesToText } from '../strings.js';
import type { LintedModule } from './module.js';
import { always, crashes, ignored, loads, refused, wrong } from './outcome.js';
import { type Problem, type Rule, undocumented } from './rule.js';

/** What the kernel takes for the object: `.klp.rela.%[^.]`. undefined if that does not match. */
export function objectOf({ section }: KlpSection): string | undefined {
  return /^\.klp\.rela\.([^.]+)/.exec(section.name)?.[1];
}

function isOfVmlinux(klp: KlpSection): boolean {
  return objectOf(klp) === 'vmlinux';
}

const isAllocated = ({ flags }: ElfSection): boolean => (flags & c.SHF_ALLOC) !== 0n;

/** A check of the livepatch relocation sections that carry the flag, in a module that is a livepatch. */
function ofFlagged(find: (klp: KlpSection, module: LintedModule) => Problem | undefined): Rule['check'] {
  return function* (module) {
    if (!module.livepatch) return;
    for (const klp of module.sections) {
      const problem = klp.flagged ? find(klp, module) : undefined;
      if (problem) yield problem;
    }
  };
}

/**
 * Objects of sections whose name is the end of a string in the module: the patch must have it where it lists its objects
 * (linkers let a string begin within another). Each byte is looked at once for each length up to 55 at most.
 */
function listable({ object, sections }: LintedModule): ReadonlySet<string> {
  const wanted = new Set(sections.map((klp) => objectOf(klp) ?? '').filter((name) => name.length <= klpNameLimits.object));
  const lengths = [...new Set([...wanted].map((name) => name.length))];
  const found = new Set<string>();
  for (const section of object.sections) {
    if (!isAllocated(section) || section.name === '.modinfo') continue;
    const text = bytesToText(section.data);
    let begin = 0;
    for (let end = text.indexOf('\0'); end >= 0; end = text.indexOf('\0', begin)) {
      for (const length of lengths) {
        const name = length <= end - begin ? text.slice(end - length, end) : '';
        if (wanted.has(name)) found.add(name);
      }
      begin = end + 1;
    }
  }
  return found;
}

/** Rules about livepatch relocation sections (module-elf-format.txt 2). */
export const sectionRules: readonly Rule[] = [
  {
    code: 'KLP020',
    title: 'a .klp.rela section without SHF_RELA_LIVEPATCH',
    document: 'module-elf-format.txt 2.2.1: livepatch relocation sections must be marked with SHF_RELA_LIVEPATCH.',
    kernels: always(wrong('the loader applies it as any other, with 0 for every livepatch symbol: calls lead nowhere')),
    arm64: always(refused('ENOEXEC', '*overflow in relocation type *')),
    mend: 'Set the flag 0x100000 in sh_flags.',
    *check(module) {
      if (!module.livepatch) return;
      for (const { section, flagged, index } of module.sections) {
        if (!flagged) yield { message: `${section.name} has no SHF_RELA_LIVEPATCH`, ...module.header(index, 'sh_flags') };
      }
    },
  },
  {
    code: 'KLP021',
    title: 'a livepatch relocation section of vmlinux without SHF_ALLOC',
    document: 'module-elf-format.txt 2.2.1: these sections must also be marked with SHF_ALLOC.',
    kernels: { '4.14': crashes('it is read out of the image of the file, which has been freed'), '5.10': loads('it is read in time') },
    mend: 'Set SHF_ALLOC in sh_flags.',
    check: ofFlagged((klp, module) =>
      isAllocated(klp.section) || !isOfVmlinux(klp)
        ? undefined
        : { message: `${klp.section.name} has no SHF_ALLOC`, ...module.header(klp.index, 'sh_flags') },
    ),
  },
  {
    code: 'KLP022',
    title: 'a livepatch relocation section of a module without SHF_ALLOC',
    document: 'module-elf-format.txt 2.2.1: these sections must also be marked with SHF_ALLOC.',
    kernels: always(crashes('it is read out of the image of the file, which has been freed')),
    mend: 'Set SHF_ALLOC in sh_flags.',
    check: ofFlagged((klp, module) =>
      isAllocated(klp.section) || isOfVmlinux(klp)
        ? undefined
        : { message: `${klp.section.name} has no SHF_ALLOC`, ...module.header(klp.index, 'sh_flags') },
    ),
  },
  {
    code: 'KLP023',
    title: 'a livepatch relocation section of type SHT_REL',
    document: 'module-elf-format.txt 2.2.4 and 0.1: livepatch manages sections of type SHT_RELA.',
    kernels: always(wrong('its entries of 16 bytes are read as if they had 24; where that gives the index of no livepatch symbol, the load is refused')),
    mend: 'Write entries with addends, and the type SHT_RELA.',
    check: ofFlagged((klp, module) =>
      klp.section.type === c.SHT_REL
        ? { message: `${klp.section.name} is of type SHT_REL`, ...module.header(klp.index, 'sh_type') }
        : undefined,
    ),
  },
  {
    code: 'KLP024',
    title: 'a livepatch relocation section of another type than SHT_RELA',
    document: 'module-elf-format.txt 2.2.4 and 0.1: livepatch manages sections of type SHT_RELA.',
    kernels: always(loads('the type is not looked at')),
    mend: 'Set sh_type to SHT_RELA (4): tools pass over the section otherwise.',
    check: ofFlagged((klp, module) =>
      [c.SHT_RELA, c.SHT_REL, c.SHT_NOBITS, c.SHT_NULL].includes(klp.section.type)
        ? undefined
        : { message: `${klp.section.name} is of type ${klp.section.type}`, ...module.header(klp.index, 'sh_type') },
    ),
  },
  {
    code: 'KLP025',
    title: 'a livepatch relocation section whose name has no object',
    document: 'module-elf-format.txt 2.2.2: the name must be `.klp.rela.<object>.<section>`.',
    kernels: always(refused('EINVAL', 'section * has an incorrectly formatted name')),
    mend: 'Name it after the object whose symbols it needs and the section that it relocates: `.klp.rela.vmlinux..text`.',
    check: ofFlagged((klp, module) =>
      objectOf(klp) === undefined
        ? { message: `${klp.section.name} names no object`, ...module.header(klp.index, 'sh_name') }
        : undefined,
    ),
  },
  {
    code: 'KLP026',
    title: 'a livepatch relocation section for an object with a name of more than 55 characters',
    document: undocumented,
    kernels: always(ignored('the section: its name is cut to 55 characters, and no object has that name')),
    mend: 'No module has such a name: MODULE_NAME_LEN is 56.',
    check: ofFlagged((klp, module) =>
      (objectOf(klp) ?? '').length > klpNameLimits.object
        ? { message: `${klp.section.name}: the object has ${(objectOf(klp) ?? '').length} characters`, ...module.header(klp.index, 'sh_name') }
        : undefined,
    ),
  },
  {
    code: 'KLP027',
    title: 'a livepatch relocation section for an object that the patch does not have',
    document: 'module-elf-format.txt 2.2.2: the object is the name of the module to which the section belongs.',
    kernels: always(ignored('the section: what it should relocate keeps its zeros, and calls lead nowhere')),
    mend: 'Write the name as the kernel does, with underscores, and list the object in struct klp_patch.',
    *check(module) {
      if (!module.livepatch || module.sections.length === 0) return;
      const listed = listable(module);
      for (const klp of module.sections) {
        const object = objectOf(klp);
        if (!klp.flagged || object === undefined || object === 'vmlinux' || object.length > klpNameLimits.object) continue;
        const dashed = object.includes('-');
        if (!dashed && listed.has(object)) continue;
        const why = dashed
          ? 'the kernel writes names of modules with underscores'
          : `no string of the module is "${object}", so the patch cannot list such an object`;
        yield { message: `${klp.section.name}: ${why}`, ...module.header(klp.index, 'sh_name') };
      }
    },
  },
  {
    code: 'KLP028',
    title: 'a livepatch relocation section that is not named after the section it relocates',
    document: 'module-elf-format.txt 2.2.2: the last part is the actual name of the section to which it applies.',
    kernels: always(loads('sh_info alone says what is relocated')),
    mend: 'Rename it, or set sh_info to the section that is meant.',
    check: ofFlagged((klp, module) => {
      const target = module.object.sections[klp.section.info];
      if (objectOf(klp) === undefined || !target || !isAllocated(target)) return undefined;
      return klp.parsed && namesSection(klp.parsed, target.name)
        ? undefined
        : { message: `${klp.section.name} relocates ${target.name}`, ...module.header(klp.index, 'sh_info') };
    }),
  },
  {
    code: 'KLP029',
    title: 'a livepatch relocation section of vmlinux whose sh_info is the index of no loaded section',
    document: 'ELF gABI, "sh_link and sh_info Interpretation": sh_info is the section to which the relocation applies.',
    kernels: { '4.14': crashes('memory outside the module is relocated'), '5.10': ignored('the section') },
    mend: 'Set sh_info to the index of the section to relocate, which has SHF_ALLOC.',
    check: ofFlagged((klp, module) => (isOfVmlinux(klp) ? noTarget(klp, module) : undefined)),
  },
  {
    code: 'KLP030',
    title: 'a livepatch relocation section of a module whose sh_info is the index of no loaded section',
    document: 'ELF gABI, "sh_link and sh_info Interpretation": sh_info is the section to which the relocation applies.',
    kernels: always(crashes('memory outside the module is relocated')),
    mend: 'Set sh_info to the index of the section to relocate, which has SHF_ALLOC.',
    check: ofFlagged((klp, module) => (isOfVmlinux(klp) || objectOf(klp) === undefined ? undefined : noTarget(klp, module))),
  },
  {
    code: 'KLP031',
    title: 'a livepatch relocation section whose sh_link is not the symbol table',
    document: 'ELF gABI, "sh_link and sh_info Interpretation": sh_link is the symbol table that the entries name.',
    kernels: always(loads("the module's symbol table is used, whatever sh_link is")),
    mend: 'Set sh_link to the index of .symtab.',
    check: ofFlagged((klp, module) =>
      klp.section.link === (module.object.symtab ?? klp.section.link)
        ? undefined
        : { message: `${klp.section.name}: sh_link is ${klp.section.link}`, ...module.header(klp.index, 'sh_link') },
    ),
  },
  {
    code: 'KLP032',
    title: 'a livepatch relocation section whose size is no multiple of 24',
    document: 'ELF gABI, "Section Header": sh_size is a multiple of sh_entsize, the size of Elf64_Rela.',
    kernels: always(ignored('what is left over at the end')),
    mend: 'An entry was cut off, or something added behind: write the section anew.',
    check: ofFlagged((klp, module) =>
      klp.section.type !== c.SHT_REL && klp.section.size % c.RELA_SIZE !== 0
        ? { message: `${klp.section.name} has ${klp.section.size} bytes`, ...module.header(klp.index, 'sh_size') }
        : undefined,
    ),
  },
  {
    code: 'KLP033',
    title: 'a livepatch relocation section of type SHT_NOBITS',
    document: 'module-elf-format.txt 2.2.4 and 0.1: livepatch manages sections of type SHT_RELA.',
    kernels: { '4.14': refused('EINVAL', 'symbol * is not marked as a livepatch symbol'), '7.3': refused('EINVAL', 'symbol * at rela sec * is not marked as a livepatch symbol') },
    mend: 'Its entries are gone: only their room is left (objcopy --only-keep-debug does so). Take the module before that.',
    check: ofFlagged((klp, module) =>
      klp.section.type === c.SHT_NOBITS
        ? { message: `${klp.section.name} is of type SHT_NOBITS`, ...module.header(klp.index, 'sh_type') }
        : undefined,
    ),
  },
  {
    code: 'KLP034',
    title: 'two livepatch relocation sections of one object for the same section',
    document: 'module-elf-format.txt 2.1: relocation sections and the sections to which they apply correspond one to one.',
    kernels: always(loads('both are applied')),
    mend: 'Put the entries into one section.',
    *check(module) {
      const seen = new Set<string>();
      for (const klp of module.sections) {
        const key = `${objectOf(klp) ?? ''} ${klp.section.info}`;
        if (module.livepatch && seen.has(key)) yield { message: `${klp.section.name} is there twice`, ...module.header(klp.index, 'sh_info') };
        seen.add(key);
      }
    },
  },
  {
    code: 'KLP037',
    title: 'two livepatch relocation sections of one name',
    document: 'module-elf-format.txt 2.1: relocation sections and the sections to which they apply correspond one to one.',
    kernels: {
      '4.14': loads('sysfs has only one of them among the sections of the module, and says so'),
      '6.12': refused('EEXIST', "*cannot create duplicate filename '*/sections/*'"),
    },
    mend: 'Put the entries into one section.',
    *check(module) {
      const seen = new Set<string>();
      for (const { section, index } of module.sections) {
        if (!module.livepatch || !isAllocated(section)) continue;
        if (seen.has(section.name)) yield { message: `${section.name} is there twice`, ...module.header(index, 'sh_name') };
        seen.add(section.name);
      }
    },
  },
  {
    code: 'KLP035',
    title: 'SHF_RELA_LIVEPATCH on a section of another name, in a module that is no livepatch',
    document: 'module-elf-format.txt 2.2.1 and 2.2.2: the flag marks livepatch relocation sections, named `.klp.rela.…`.',
    kernels: {
      '4.14': ignored('the section'),
      '5.10': refused('EINVAL', 'section * has an incorrectly formatted name'),
    },
    mend: 'Clear the flag 0x100000 in sh_flags.',
    *check(module) {
      for (const klp of module.sections) {
        if (!module.livepatch && klp.flagged && objectOf(klp) === undefined)
          yield { message: `${klp.section.name} has SHF_RELA_LIVEPATCH`, ...module.header(klp.index, 'sh_flags') };
      }
    },
  },
  {
    code: 'KLP036',
    title: 'late relocations of a section that is used up before',
    document: undocumented,
    kernels: always(crashes('if the object is loaded after the patch: what is written to has been freed, or was read already')),
    mend: 'Initialisation code cannot use symbols of a module; let it call nothing but what is exported.',
    check: ofFlagged((klp, module) => {
      const target = module.object.sections[klp.section.info];
      if (isOfVmlinux(klp) || objectOf(klp) === undefined || !target || !usedUpEarly.test(target.name)) return undefined;
      return { message: `${klp.section.name} relocates ${target.name}`, ...module.header(klp.index, 'sh_info') };
    }),
  },
];

function noTarget(klp: KlpSection, module: LintedModule): Problem | undefined {
  const { info } = klp.section;
  const target = module.object.sections[info];
  if (target && info !== 0 && isAllocated(target)) return undefined;
  const what = info === 0 || !target ? `sh_info is ${info}` : `${target.name} has no SHF_ALLOC`;
  return { message: `${klp.section.name}: ${what}`, ...module.header(klp.index, 'sh_info') };
}
