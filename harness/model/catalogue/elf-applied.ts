// SPDX-License-Identifier: MIT
import { elfFormat, elfFormatRst } from './documents.js';
import { objectMustBeListed } from './notes.js';
import type { Clause } from './types.js';

const section = 'elf';

/** Module ELF format, what is applied to what: module-elf-format.txt sections 2 to 5. */
export const elfApplied: readonly Clause[] = [
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
    later: {
      documents: [
        elfFormatRst(
          '85-87',
          'The relocation sections are said to be applied to the driver once it loads.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document says that the relocations go to the driver; mainline writes them into the ' +
          'livepatch module.',
      },
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
    later: {
      documents: [
        elfFormatRst(
          '174-179',
          'The example has a section for btrfs that names `printk` and `snprintf` of vmlinux.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          "The document's own example names symbols of vmlinux in a section for btrfs; from 5.8 on that " +
          'is refused.',
      },
    },
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
    later: {
      documents: [
        elfFormatRst('178', 'The example has one: `can_modify_feature.isra.3`.'),
      ],
    },
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
    later: {
      documents: [
        elfFormatRst('93-96', 'A module may have none, as the sample module.'),
      ],
    },
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
    later: {
      documents: [
        elfFormatRst('190', 'Livepatch symbols are those to which livepatch relocation sections refer.'),
        elfFormatRst('244', 'Their names have to keep to the format.'),
      ],
      deviation: {
        kind: 'undocumented',
        note:
          'The document prescribes the names of livepatch symbols and does not say what becomes of one ' +
          'that nothing refers to.',
      },
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
      'kernel/module.c:2435-2440 (5.10.262)',
      'kernel/module/main.c:1630-1635 (7.3.4)',
    ],
    mainline:
      '4.14 loads the module and never applies the relocations, without a message. 5.10 and later apply ' +
      'those for vmlinux in any module.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents speak of livepatch modules only.',
    },
    later: {
      documents: [
        elfFormatRst('59', 'The field is required of livepatch modules.'),
        elfFormatRst(
          '110-113',
          'The sections must carry the flag, by which the loader knows not to apply them at load time.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents speak of livepatch modules only.',
      },
    },
    confirmed: true,
  },
];
