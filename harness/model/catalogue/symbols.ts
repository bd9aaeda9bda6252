// SPDX-License-Identifier: MIT
import { elfFormat, elfFormatRst, livepatchRst, livepatchTxt } from './documents.js';
import type { Clause } from './types.js';

const section = 'registration';

/** Registration, the functions that are looked for: livepatch.txt sections 4.2 and 5.1, module-elf-format.txt section 4. */
export const symbols: readonly Clause[] = [
  {
    id: 'REG-10',
    section,
    statement:
      'Every function to be patched must exist in its object if that object is loaded; otherwise the ' +
      'whole patch is refused and leaves nothing behind.',
    documents: [
      livepatchTxt('298-299', 'A patch is applied as a whole and only when all its symbols have been found.'),
      livepatchTxt(
        '336-338',
        'The symbols of loaded objects are looked for before any function is redirected.',
      ),
      livepatchTxt('366-367', 'A failing operation makes the registration fail.'),
    ],
    code: [
      'kernel/livepatch/core.c:165-166 (4.14.177)',
      'kernel/livepatch/core.c:756-764 (4.14.177)',
      'kernel/livepatch/core.c:179-180 (7.3.4)',
    ],
    mainline:
      "`-EINVAL`, and the log says `livepatch: symbol 'x' not found in symbol table`. No directory of " +
      'the patch is left in sysfs.',
    later: {
      documents: [
        livepatchRst(
          '278-281',
          'A patch is applied as a whole and only when all its symbols have been found; those of ' +
          'modules not loaded yet are the one exception.',
        ),
        livepatchRst(
          '318-322',
          'The symbols are looked for and the relocations applied first; the patch is rejected when ' +
          'that fails.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-11',
    section,
    statement:
      'A function name that occurs more than once in its object is refused when the patch gives symbol ' +
      'position 0.',
    documents: [
      livepatchTxt('275-279', 'The optional symbol position tells functions of the same name apart.'),
      elfFormat('270-273', 'The position distinguishes duplicates; 0 stands for a symbol that is unique.'),
    ],
    code: ['kernel/livepatch/core.c:167-169 (4.14.177)', 'kernel/livepatch/core.c:181-183 (7.3.4)'],
    mainline:
      '`-EINVAL`. For a function of vmlinux the log says `livepatch: unresolvable ambiguity for symbol ' +
      "'x' in object '(null)'`; for one of a module its name stands in place of `(null)`.",
    deviation: {
      kind: 'undocumented',
      note:
        'Nothing documents the text; that vmlinux is printed as `(null)` is a defect of the message, ' +
        'still there in 7.3.',
    },
    later: {
      documents: [
        livepatchRst(
          '259-263',
          'The optional position is the order of occurrence within vmlinux or one module, not an index ' +
          'into all of kallsyms.',
        ),
        elfFormatRst(
          '262-265',
          'The position distinguishes duplicates; 0 stands for a symbol that is unique.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note:
          'Nothing documents the text; that vmlinux is printed as `(null)` is a defect of the message, ' +
          'still there in 7.3.',
      },
    },
    confirmed: true,
  },
  {
    id: 'REG-12',
    section,
    statement: 'A symbol position greater than the number of symbols of that name in the object is refused.',
    documents: [
      livepatchTxt('275-279', 'The position counts the symbols of one name within one object.'),
      livepatchTxt('366-367', 'A failing operation makes the registration fail.'),
    ],
    code: ['kernel/livepatch/core.c:170-172 (4.14.177)', 'kernel/livepatch/core.c:184-186 (7.3.4)'],
    mainline:
      "`-EINVAL`, and the log says `livepatch: symbol position N for symbol 'x' in object 'vmlinux' not " +
      'found`.',
    later: {
      documents: [
        livepatchRst(
          '259-263',
          'The optional position is the order of occurrence within vmlinux or one module, not an index ' +
          'into all of kallsyms.',
        ),
        livepatchRst(
          '318-322',
          'The symbols are looked for and the relocations applied first; the patch is rejected when ' +
          'that fails.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-13',
    section,
    statement: 'A symbol that is unique in its object is named with the position 0.',
    documents: [
      elfFormat('273', 'A unique symbol has the position 0.'),
      livepatchTxt('275-276', 'The position is optional.'),
    ],
    code: [
      'kernel/livepatch/core.c:136-137 (4.14.177)',
      'kernel/livepatch/core.c:170-175 (4.14.177)',
      'kernel/livepatch/core.c:143-144 (7.3.4)',
      'kernel/livepatch/core.c:184-190 (7.3.4)',
    ],
    mainline:
      'Position 1 is accepted as well as 0, in `old_sympos` and in the name of a livepatch symbol, and ' +
      'both resolve to the same address.',
    deviation: {
      kind: 'contradicts',
      note: 'By the document a unique symbol has position 0; mainline accepts 1 too.',
    },
    later: {
      documents: [
        elfFormatRst('265', 'A unique symbol has the position 0.'),
        livepatchRst('259-260', 'The position is optional.'),
      ],
      deviation: {
        kind: 'contradicts',
        note: 'By the document a unique symbol has position 0; mainline accepts 1 too.',
      },
    },
    confirmed: true,
  },
  {
    id: 'REG-14',
    section,
    statement:
      'The symbol position counts the symbols of one name within one object, in the order of kallsyms ' +
      'and starting with 1.',
    documents: [
      livepatchTxt(
        '276-279',
        'The position is the order of occurrence within vmlinux or one module, not an index into all of ' +
        'kallsyms.',
      ),
      elfFormat('270-271', 'The position is that within the object, by kallsyms.'),
    ],
    code: [
      'kernel/livepatch/core.c:115-141 (4.14.177)',
      'kernel/kallsyms.c:212-227 (4.14.177)',
      'kernel/livepatch/core.c:132-148 (7.3.4)',
    ],
    mainline: 'Of two static functions with the same name, position 1 and position 2 patch different bodies.',
    later: {
      documents: [
        livepatchRst(
          '259-263',
          'The optional position is the order of occurrence within vmlinux or one module, not an index ' +
          'into all of kallsyms.',
        ),
        elfFormatRst('262-263', 'The position is that within the object, by kallsyms.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-15',
    section,
    statement:
      'A patch may name functions of a module that is not loaded yet: it is the only exception to the ' +
      'rule that all symbols must exist.',
    documents: [
      livepatchTxt('299-300', 'Symbols of modules that are not loaded yet are the one exception.'),
      livepatchTxt(
        '289-291',
        'A module may be loaded after the patch, and its functions are patched once they are there.',
      ),
    ],
    code: ['kernel/livepatch/core.c:710-714 (4.14.177)'],
    mainline:
      'Registration returns 0 and the directory of the object is there, although nothing in it has been ' +
      'resolved.',
    later: {
      documents: [
        livepatchRst('280-281', 'Symbols of modules that are not loaded yet are the one exception.'),
        livepatchRst(
          '270-272',
          'A module may be loaded after the patch, and its functions are patched once they are there.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-16',
    section,
    statement:
      'A name that belongs to data instead of a function passes registration and is refused by ftrace ' +
      'when the patch is enabled.',
    documents: [
      livepatchTxt('470-476', 'Only functions that can be traced can be patched.'),
    ],
    code: [
      'kernel/livepatch/patch.c:207-212 (4.14.177)',
      'kernel/livepatch/patch.c:209 (5.10.262)',
      'kernel/livepatch/patch.c:175-179 (6.1.192)',
      'kernel/livepatch/patch.c:175-180 (7.3.4)',
    ],
    mainline:
      '4.14: registration returns 0, enabling gives `-EINVAL`, and the log says `livepatch: failed to ' +
      "set ftrace filter for function 'x' (-22)`; 5.10 says the same. 6.1, 6.12 and 7.3 say `livepatch: " +
      "failed to find location for function 'x'`, also with `-EINVAL`.",
    later: {
      documents: [
        livepatchRst(
          '413-419',
          'Only functions that can be traced can be patched; the critical ones are marked `notrace`.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-17',
    section,
    statement: 'A replacement whose address lies in no symbol that kallsyms knows is refused.',
    documents: [],
    code: ['kernel/livepatch/core.c:669-675 (4.14.177)', 'kernel/livepatch/core.c:899-905 (7.3.4)'],
    mainline: "`-ENOENT`, and the log says `livepatch: kallsyms size lookup failed for 'x' replacement`.",
    later: { documents: [] },
    confirmed: true,
  },
];
