// SPDX-License-Identifier: MIT
import { elfFormat, elfFormatRst } from './documents.js';
import type { Clause } from './types.js';

const section = 'elf';

/** Module ELF format, symbols: module-elf-format.txt sections 3 and 4. */
export const elfSymbols: readonly Clause[] = [
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
    later: {
      documents: [
        elfFormatRst(
          '103-105',
          'Every symbol referenced there is a livepatch symbol and is resolved first.',
        ),
        elfFormatRst('185', 'The same beside the example.'),
      ],
    },
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
    later: {
      documents: [
        elfFormatRst('251-265', 'The name consists of a prefix, the object, the symbol and its position.'),
      ],
    },
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
      'kernel/module.c:2837-2838 (5.10.262)',
      'kernel/livepatch/core.c:232-234 (7.3.4)',
    ],
    mainline:
      '4.14 cuts longer names to 127 characters when it copies the symbol table, so that symbols of ' +
      'vmlinux with 109 to 127 characters cannot be named: the rest does not parse, see ELF-8. From ' +
      '5.8 on symbols for vmlinux are resolved before that, and may have 127 characters themselves; in ' +
      'sections of modules the whole name is cut still. On 6.1 and later the limit is 511.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents give no limit.',
    },
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note: 'The documents give no limit.',
      },
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
    later: {
      documents: [
        elfFormatRst('213-215', 'The table in memory has to be exactly as the compiler made it.'),
        elfFormatRst('215-218', 'What matters is that the indices in the relocations stay right.'),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document wants the table exactly as it is in the file; mainline keeps the order and ' +
          'rewrites most of the fields.',
      },
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
    later: {
      documents: [
        elfFormatRst('206-207', 'The table is accessible through `module->symtab`.'),
        elfFormatRst('299', 'The same again.'),
      ],
      deviation: {
        kind: 'contradicts',
        note: 'The document names a member that `struct module` does not have.',
      },
    },
    confirmed: true,
  },
];
