// SPDX-License-Identifier: MIT
import { elfFormat, elfFormatRst } from './documents.js';
import { objectMustBeListed } from './notes.js';
import type { Clause } from './types.js';

const section = 'elf';

/** Module ELF format, relocation sections: module-elf-format.txt sections 2 and 3. */
export const elfSections: readonly Clause[] = [
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
    later: {
      documents: [
        elfFormatRst(
          '110-113',
          'The sections must carry the flag, by which the loader knows not to apply them at load time.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document says that flagged sections are not applied at load time; from 5.8 on those for ' +
          'vmlinux are.',
      },
    },
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
    later: {
      documents: [
        elfFormatRst('113-115', 'Without `SHF_ALLOC` the loader would discard the section.'),
      ],
      deviation: {
        kind: 'contradicts',
        note: 'The document demands `SHF_ALLOC`; mainline does not check it.',
      },
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
    later: {
      documents: [
        elfFormatRst('165', 'The sections are described as `SHT_RELA` sections.'),
        elfFormatRst('50-52', 'Livepatch manages relocation sections of the type `SHT_RELA`.'),
      ],
      deviation: {
        kind: 'contradicts',
        note: 'The document says that the sections are `SHT_RELA`; mainline takes any type.',
      },
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
    later: {
      documents: [
        elfFormatRst(
          '120-133',
          'The name consists of a prefix, the name of the object and the name of the section to which ' +
          'the relocations apply.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note: 'The document prescribes the whole name; mainline does not look at the section part.',
      },
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
    later: {
      documents: [
        elfFormatRst('133', 'The last part is the actual name of the target section.'),
        elfFormatRst('142-143', 'The examples have a single dot between object and section name.'),
        elfFormatRst(
          '153-159',
          'So do the section headers in the example, with further dots for underscores.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note: "The document's rule gives two dots, its examples have one, and nothing says which is meant.",
      },
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
    later: {
      documents: [
        elfFormatRst('91-93', 'Relocation sections and target sections correspond one to one.'),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document has relocation sections and target sections correspond one to one; mainline ' +
          'does not check it.',
      },
    },
    confirmed: true,
  },
];
