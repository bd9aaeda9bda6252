// SPDX-License-Identifier: MIT
import { elfFormat } from './documents.js';
import { objectMustBeListed } from './notes.js';
import type { Clause } from './types.js';

const section = 'elf';

/** Module ELF format: module-elf-format.txt. */
export const elf: readonly Clause[] = [
  {
    id: 'ELF-1',
    section,
    statement: 'The module loader leaves relocation sections alone that carry the flag `SHF_RELA_LIVEPATCH`.',
    documents: [
      elfFormat(
        '136-139',
        'The sections must carry the flag, by which the loader knows not to apply them at load time.',
      ),
    ],
    code: ['kernel/module.c:2337-2339 (4.14.177)', 'kernel/module/main.c:1630-1635 (7.3.4)'],
    mainline:
      '4.14 skips them while loading; livepatch applies them when the object is there. From 5.8 on the ' +
      'sections for vmlinux are applied during the load.',
    notes: [objectMustBeListed],
    confirmed: true,
  },
  {
    id: 'ELF-2',
    section,
    statement: 'A livepatch relocation section must carry the flag `SHF_ALLOC`.',
    documents: [
      elfFormat('139-141', 'Without `SHF_ALLOC` the loader would discard the section.'),
    ],
    code: ['kernel/module.c:3787-3788 (4.14.177)', 'kernel/livepatch/core.c:204-206 (4.14.177)'],
    mainline:
      'Not checked. Without the flag livepatch reads the section out of the temporary image of the file, ' +
      'which has been freed by then: a use after free. On 7.3 that is so for the sections of modules; ' +
      'those of vmlinux are applied before the image is freed.',
    deviation: {
      kind: 'contradicts',
      note: 'The document demands `SHF_ALLOC`; mainline does not check it.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-3',
    section,
    statement: 'A livepatch relocation section must have the type `SHT_RELA`.',
    documents: [
      elfFormat('178', 'The sections are described as `SHT_RELA` sections.'),
      elfFormat('69-70', 'Livepatch manages relocation sections of the type `SHT_RELA`.'),
    ],
    code: ['kernel/livepatch/core.c:251-281 (4.14.177)'],
    mainline:
      'Not checked. A section of another type that carries the flag is read as though it held entries ' +
      'with addends.',
    deviation: {
      kind: 'contradicts',
      note: 'The document says that the sections are `SHT_RELA`; mainline takes any type.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-4',
    section,
    statement: 'A livepatch relocation section is named `.klp.rela.<object>.<section>`.',
    documents: [
      elfFormat(
        '145-155',
        'The name consists of a prefix, the name of the object and the name of the section to which the ' +
        'relocations apply.',
      ),
    ],
    code: ['kernel/livepatch/core.c:257-271 (4.14.177)', 'kernel/livepatch/core.c:307-321 (7.3.4)'],
    mainline:
      'Only the prefix and the object are parsed, the latter up to 55 characters; the rest is never ' +
      'looked at. A name that does not parse gives `-EINVAL` and `livepatch: section S has an ' +
      'incorrectly formatted name`. All flagged names are parsed before the object is compared, so that ' +
      'one bad name fails the first loaded object, whichever it is.',
    deviation: {
      kind: 'contradicts',
      note: 'The document prescribes the whole name; mainline does not look at the section part.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-5',
    section,
    statement:
      "The last part of a relocation section's name is the actual name of the section to which the " +
      'relocations apply, with its own leading dot.',
    documents: [
      elfFormat('155', 'The last part is the actual name of the target section.'),
      elfFormat('159-160', 'The examples have a single dot between object and section name.'),
      elfFormat('168-174', 'So do the section headers in the example, with further dots for underscores.'),
    ],
    code: ['kernel/livepatch/core.c:262 (4.14.177)'],
    mainline:
      '`.klp.rela.vmlinux.text.f` and `.klp.rela.vmlinux..text.f` are both accepted; real tools write ' +
      'the second.',
    deviation: {
      kind: 'undocumented',
      note: "The document's rule gives two dots, its examples have one, and nothing says which is meant.",
    },
    confirmed: true,
  },
  {
    id: 'ELF-6',
    section,
    statement:
      'Each livepatch relocation section belongs to one target section, and each target section to one ' +
      'relocation section.',
    documents: [
      elfFormat('114-116', 'Relocation sections and target sections correspond one to one.'),
    ],
    code: ['kernel/livepatch/core.c:250-282 (4.14.177)'],
    mainline: 'Not checked: two relocation sections of the same object may have the same target.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document has relocation sections and target sections correspond one to one; mainline does ' +
        'not check it.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-7',
    section,
    statement:
      'Every symbol that a livepatch relocation names must be a livepatch symbol, that is one with the ' +
      'section index `SHN_LIVEPATCH`.',
    documents: [
      elfFormat('126-128', 'Every symbol referenced there is a livepatch symbol and is resolved first.'),
      elfFormat('194', 'The same beside the example.'),
    ],
    code: ['kernel/livepatch/core.c:207-212 (4.14.177)', 'kernel/livepatch/core.c:224-228 (7.3.4)'],
    mainline:
      '`-EINVAL`, and the log says `livepatch: symbol S is not marked as a livepatch symbol`. 7.3 has ' +
      '`at rela sec … idx …` after the name.',
    confirmed: true,
  },
  {
    id: 'ELF-8',
    section,
    statement: 'A livepatch symbol is named `.klp.sym.<object>.<symbol>,<position>`.',
    documents: [
      elfFormat('259-273', 'The name consists of a prefix, the object, the symbol and its position.'),
    ],
    code: ['kernel/livepatch/core.c:214-222 (4.14.177)', 'kernel/livepatch/core.c:231-239 (7.3.4)'],
    mainline:
      'A name that does not parse gives `-EINVAL` and `livepatch: symbol S has an incorrectly formatted ' +
      'name`.',
    confirmed: true,
  },
  {
    id: 'ELF-9',
    section,
    statement:
      'The name of a livepatch symbol, with prefix, object and position, may have up to 127 characters.',
    documents: [],
    code: [
      'kernel/module.c:2712-2713 (4.14.177)',
      'kernel/livepatch/core.c:215-217 (4.14.177)',
      'kernel/livepatch/core.c:232-234 (7.3.4)',
    ],
    mainline:
      '4.14 cuts longer names to 127 characters when it copies the symbol table, so that symbols of ' +
      'vmlinux with 109 to 127 characters cannot be named: the rest does not parse, see ELF-8. From 6.1 ' +
      'on the limit is 511.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents give no limit.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-10',
    section,
    statement:
      'The symbol table that the kernel keeps for a livepatch module is the same as the one in the file.',
    documents: [
      elfFormat('227-229', 'The table in memory has to be exactly as the compiler made it.'),
      elfFormat('230-232', 'What matters is that the indices in the relocations stay right.'),
    ],
    code: ['kernel/module.c:2697-2715 (4.14.177)', 'kernel/module.c:2252-2316 (4.14.177)'],
    mainline: 'All symbols are kept, with their indices; their name offsets, values and types are rewritten.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document wants the table exactly as it is in the file; mainline keeps the order and ' +
        'rewrites most of the fields.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-11',
    section,
    statement: 'The symbol table is reachable through `module->symtab`.',
    documents: [
      elfFormat('219-220', 'The table is accessible through `module->symtab`.'),
      elfFormat('310', 'The same again.'),
    ],
    code: [
      'kernel/module.c:2703 (4.14.177)',
      'kernel/module.c:2100-2101 (4.14.177)',
      'kernel/module/livepatch.c:58 (7.3.4)',
    ],
    mainline:
      'There is no such member: the table is at `module->core_kallsyms.symtab`. From user space the ' +
      'symbols are seen in `/proc/kallsyms`.',
    deviation: {
      kind: 'contradicts',
      note: 'The document names a member that `struct module` does not have.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-12',
    section,
    statement: 'The relocations for a module that is loaded after the patch are applied to that module.',
    documents: [
      elfFormat('108-110', 'The relocation sections are said to be applied to the driver once it loads.'),
    ],
    code: ['kernel/livepatch/core.c:277-279 (4.14.177)', 'arch/x86/kernel/module.c:157-158 (4.14.177)'],
    mainline:
      'They are written into the livepatch module, whose replacement functions they belong to; the ' +
      'module that loads is not written to.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document says that the relocations go to the driver; mainline writes them into the ' +
        'livepatch module.',
    },
    notes: [objectMustBeListed],
    confirmed: true,
  },
  {
    id: 'ELF-13',
    section,
    statement: 'A relocation section of a module may name a symbol of vmlinux.',
    documents: [
      elfFormat(
        '185-190',
        'The example has a section for btrfs that names `printk` and `snprintf` of vmlinux.',
      ),
    ],
    code: ['kernel/livepatch/core.c:224-227 (4.14.177)', 'kernel/livepatch/core.c:243-253 (7.3.4)'],
    mainline:
      '4.14 accepts it. From 5.8 on it is refused with `-EINVAL` and `livepatch: invalid access to ' +
      "vmlinux symbol 'S' from module-specific livepatch relocation section`.",
    confirmed: true,
  },
  {
    id: 'ELF-14',
    section,
    statement:
      'Sections with alternatives and paravirt calls for an object are named `.klp.arch.<object>.` ' +
      'followed by the name of the section.',
    documents: [
      elfFormat(
        '301-305',
        'The x86 sections `.altinstructions` and `.parainstructions` of an object get a prefix with its ' +
        'name and are applied when it loads.',
      ),
    ],
    code: ['arch/x86/kernel/livepatch.c:41-54 (4.14.177)'],
    mainline:
      "The section's own leading dot counts: `.klp.arch.vmlinux..altinstructions`. A name that does not " +
      'match, such as one with a single dot, is ignored without a message. From 5.8 on there are no such ' +
      'sections.',
    deviation: {
      kind: 'undocumented',
      note: 'The document does not spell out a full name, nor that a misspelt one is ignored.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-15',
    section,
    statement: 'A symbol name with dots in it, such as `x.isra.3`, can be named by a livepatch symbol.',
    documents: [
      elfFormat('189', 'The example has one: `can_modify_feature.isra.3`.'),
    ],
    code: ['kernel/livepatch/core.c:215-217 (4.14.177)'],
    mainline: 'Dots are no obstacle; a comma is, because it ends the name.',
    confirmed: true,
  },
  {
    id: 'ELF-16',
    section,
    statement: 'A livepatch module need not have any livepatch relocation section.',
    documents: [
      elfFormat('116-119', 'A module may have none, as the sample module.'),
    ],
    code: ['kernel/livepatch/core.c:250-284 (4.14.177)'],
    mainline: 'It loads and works.',
    confirmed: true,
  },
  {
    id: 'ELF-17',
    section,
    statement: 'A symbol with the section index `SHN_LIVEPATCH` that no relocation names is not looked at.',
    documents: [
      elfFormat('203', 'Livepatch symbols are those to which livepatch relocation sections refer.'),
      elfFormat('259', 'Their names have to keep to the format.'),
    ],
    code: ['kernel/module.c:2285-2287 (4.14.177)', 'kernel/livepatch/core.c:206-232 (4.14.177)'],
    mainline: 'Never validated: a module with garbage for the names of such symbols loads.',
    deviation: {
      kind: 'undocumented',
      note:
        'The document prescribes the names of livepatch symbols and does not say what becomes of one ' +
        'that nothing refers to.',
    },
    confirmed: true,
  },
  {
    id: 'ELF-18',
    section,
    statement: 'Livepatch relocations in a module without the `livepatch` modinfo field are of no effect.',
    documents: [
      elfFormat('83', 'The field is required of livepatch modules.'),
      elfFormat('136-139', 'The loader does not apply flagged sections at load time.'),
    ],
    code: [
      'kernel/module.c:2337-2339 (4.14.177)',
      'kernel/module.c:3781-3785 (4.14.177)',
      'kernel/module/main.c:1630-1635 (7.3.4)',
    ],
    mainline:
      '4.14 loads the module and never applies the relocations, without a message. 7.3 applies those for ' +
      'vmlinux in any module.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents speak of livepatch modules only.',
    },
    confirmed: true,
  },
];
