// SPDX-License-Identifier: MIT
import { elfFormat, elfFormatRst, livepatchRst, livepatchTxt, sysfsAbi } from './documents.js';
import type { Clause } from './types.js';

const section = 'registration';

/** Registration, the patch itself: livepatch.txt section 5.1, module-elf-format.txt section 1. */
export const register: readonly Clause[] = [
  {
    id: 'REG-1',
    section,
    statement:
      'Registering no patch at all (a NULL pointer), or a patch whose `mod` field is NULL, is refused.',
    documents: [],
    code: ['kernel/livepatch/core.c:819-820 (4.14.177)', 'kernel/livepatch/core.c:1097-1098 (7.3.4)'],
    mainline: '`-EINVAL`, without a log line.',
    later: { documents: [] },
    confirmed: true,
  },
  {
    id: 'REG-2',
    section,
    statement: 'A patch is accepted only from a module that carries the `livepatch` modinfo field.',
    documents: [
      elfFormat('83', 'A livepatch module has to carry the modinfo attribute named livepatch.'),
      elfFormat('87-88', 'The module loader tells livepatch modules from others by that field.'),
    ],
    code: ['kernel/livepatch/core.c:822-826 (4.14.177)', 'kernel/livepatch/core.c:1132-1136 (7.3.4)'],
    mainline: '`-EINVAL`, and the log says `livepatch: module X is not marked as a livepatch module`.',
    later: {
      documents: [
        elfFormatRst('59', 'A livepatch module has to carry the modinfo attribute named livepatch.'),
        elfFormatRst('63-64', 'The module loader tells livepatch modules from others by that field.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-3',
    section,
    statement:
      'What makes a module a livepatch module is that the `livepatch` modinfo field is there; its value, ' +
      '`Y` by custom, is not looked at.',
    documents: [
      elfFormat(
        '86-88',
        'Users and the module loader recognise a livepatch module by the presence of the field.',
      ),
      elfFormat('94', 'The example shows the value Y.'),
    ],
    code: ['kernel/module.c:2854 (4.14.177)', 'kernel/module/main.c:2480 (7.3.4)'],
    mainline: 'A module with `livepatch=N` is a livepatch module like any other.',
    deviation: {
      kind: 'undocumented',
      note:
        'The documents show the value Y in an example only and do not say what another value means; ' +
        'mainline takes any value, even `N`, as yes.',
    },
    later: {
      documents: [
        elfFormatRst(
          '62-64',
          'Users and the module loader recognise a livepatch module by the presence of the field.',
        ),
        elfFormatRst('75', 'The example shows the value Y.'),
      ],
      deviation: {
        kind: 'undocumented',
        note:
          'The documents show the value Y in an example only and do not say what another value means; ' +
          'mainline takes any value, even `N`, as yes.',
      },
    },
    confirmed: true,
  },
  {
    id: 'REG-4',
    section,
    statement: 'Loading a livepatch module taints the kernel.',
    documents: [],
    code: [
      'kernel/module.c:2855-2858 (4.14.177)',
      'kernel/module.c:3102-3106 (5.10.262)',
      'kernel/module/main.c:1821-1824 (6.1.192)',
      'kernel/module/main.c:2256-2259 (6.12.117)',
      'kernel/module/main.c:2601-2604 (7.3.4)',
    ],
    mainline:
      "The kernel gets taint bit 15, the module's own `taint` file shows `K`, and the log says `X: " +
      'tainting kernel with TAINT_LIVEPATCH`, once a boot. It is set before symbols and relocations are ' +
      'looked at, so that it stays even if a later step of the load fails: on 4.14, 5.10 and 6.1 while ' +
      'the module information is read, on 6.12 and 7.3 once the module is in the list.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not mention the taint.',
    },
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not mention the taint.',
      },
    },
    confirmed: true,
  },
  {
    id: 'REG-5',
    section,
    statement:
      'On a kernel that cannot take reliable stack traces a patch is accepted only if it sets ' +
      '`klp_patch.immediate`.',
    documents: [
      livepatchTxt('154-157', 'Without `HAVE_RELIABLE_STACKTRACE` `patch->immediate` has to be set.'),
      livepatchTxt(
        '219-220',
        'Until such architectures have support, their patches may go around the consistency model with ' +
        '`klp_patch.immediate`.',
      ),
    ],
    code: [
      'kernel/livepatch/core.c:836-839 (4.14.177)',
      'include/linux/livepatch.h:161-165 (4.14.177)',
      'arch/x86/Kconfig:175 (4.14.177)',
      'kernel/livepatch/core.c:1046-1049 (5.10.262)',
      'kernel/livepatch/core.c:1141-1144 (7.3.4)',
    ],
    mainline:
      "4.14: `-ENOSYS`, and the log says `livepatch: This architecture doesn't have support for the " +
      'livepatch consistency model.` Reliable stacks need `CONFIG_STACKTRACE` as well as ' +
      '`CONFIG_HAVE_RELIABLE_STACKTRACE`; x86-64 4.14 has the latter only with the frame-pointer ' +
      'unwinder and stack validation, not with ORC. 5.10 and later log the same text as a warning, with ' +
      '`livepatch: The livepatch transition may never complete.`, and go on.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents name `HAVE_RELIABLE_STACKTRACE` alone; mainline needs `CONFIG_STACKTRACE` too.',
    },
    later: {
      documents: [
        livepatchRst(
          '121-126',
          'Without `HAVE_RELIABLE_STACKTRACE` tasks are switched when they leave the kernel, and some ' +
          'may have to be signalled or forced.',
        ),
        livepatchRst('128-130', 'Such an architecture is not considered fully supported.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REG-6',
    section,
    statement:
      'A kernel built without `CONFIG_LIVEPATCH` refuses to load a module that carries the `livepatch` ' +
      'modinfo field.',
    documents: [],
    code: ['kernel/module.c:2866-2870 (4.14.177)', 'kernel/module/main.c:2487-2489 (7.3.4)'],
    mainline:
      '`-ENOEXEC` from the load, and the log says `X: module is marked as livepatch module, but ' +
      'livepatch support is disabled`.',
    later: { documents: [] },
    confirmed: true,
  },
  {
    id: 'REG-7',
    section,
    statement:
      'A patch with a field missing or a name too long is refused: no object array, a named object ' +
      'without a function array, a function without its old name or its replacement, or a name longer ' +
      "than the kernel's limit.",
    documents: [
      livepatchTxt(
        '268-272',
        'A function entry holds the name of the original function and the address of the new one.',
      ),
      livepatchTxt(
        '284-286',
        'An object is an array of functions, for vmlinux (NULL) or for a module given by name.',
      ),
      livepatchTxt('294-295', 'A patch is an array of objects.'),
    ],
    code: [
      'kernel/livepatch/core.c:606-610 (4.14.177)',
      'kernel/livepatch/core.c:687-691 (4.14.177)',
      'kernel/livepatch/core.c:729-730 (4.14.177)',
      'kernel/livepatch/core.c:222 (5.10.262)',
      'kernel/livepatch/core.c:222 (6.1.192)',
      'kernel/livepatch/core.c:806-810 (7.3.4)',
      'kernel/livepatch/core.c:917-918 (7.3.4)',
      'kernel/livepatch/core.c:1097-1107 (7.3.4)',
    ],
    mainline:
      '`-EINVAL`, without a log line, and nothing is left. The limits on a 64-bit kernel: 55 characters ' +
      'for the name of an object; for `old_name` 127 on 4.14 and 5.10, 511 on 6.1 and later.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not state the limits.',
    },
    later: {
      documents: [
        livepatchRst(
          '252-257',
          'A function entry holds the name of the original function and the address of the new one.',
        ),
        livepatchRst(
          '265-267',
          'An object is an array of functions, for vmlinux (NULL) or for a module given by name.',
        ),
        livepatchRst('275-276', 'A patch is an array of objects.'),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not state the limits.',
      },
    },
    confirmed: true,
  },
  {
    id: 'REG-8',
    section,
    statement:
      'A patch whose object array is empty, or an object whose function array is empty, is accepted.',
    documents: [],
    code: ['include/linux/livepatch.h:133-139 (4.14.177)', 'kernel/livepatch/core.c:729-750 (4.14.177)'],
    mainline: 'Registration returns 0; enabling such a patch runs a whole transition and completes.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that a patch may change nothing.',
    },
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not say that a patch may change nothing.',
      },
    },
    confirmed: true,
  },
  {
    id: 'REG-9',
    section,
    statement:
      'Each function has a directory `<patch>/<object>/<function>,<N>` in sysfs, where N is the symbol ' +
      'position, and 1 where the patch gave 0.',
    documents: [
      livepatchTxt('365-366', 'The entries of a patch appear below `/sys/kernel/livepatch/<name>`.'),
    ],
    code: ['kernel/livepatch/core.c:616-623 (4.14.177)', 'kernel/livepatch/core.c:816-823 (7.3.4)'],
    mainline:
      'A function with `old_sympos` 0 appears as `f,1`, which is also how position 1 appears. Functions ' +
      'of vmlinux are below a directory named `vmlinux`.',
    later: {
      documents: [
        livepatchRst('320-321', 'The entries of a patch appear below `/sys/kernel/livepatch/<name>`.'),
        sysfsAbi(
          '91-93',
          'The directory is named after the function and the position of its symbol in kallsyms, ' +
          'counted within the object.',
        ),
      ],
    },
    confirmed: true,
  },
];
