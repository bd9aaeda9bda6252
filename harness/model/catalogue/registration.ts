// SPDX-License-Identifier: MIT
import { elfFormat, livepatchTxt } from './documents.js';
import { objectMustBeListed } from './notes.js';
import type { Clause } from './types.js';

const section = 'registration';

/** Registration: livepatch.txt section 5.1, module-elf-format.txt section 1. */
export const registration: readonly Clause[] = [
  {
    id: 'REG-1',
    section,
    statement:
      'Registering no patch at all (a NULL pointer), or a patch whose `mod` field is NULL, is refused.',
    documents: [],
    code: ['kernel/livepatch/core.c:819-820 (4.14.177)', 'kernel/livepatch/core.c:1097-1098 (7.3.4)'],
    mainline: '`-EINVAL`, without a log line.',
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
    confirmed: true,
  },
  {
    id: 'REG-4',
    section,
    statement: 'Loading a livepatch module taints the kernel.',
    documents: [],
    code: ['kernel/module.c:2855-2858 (4.14.177)', 'kernel/module/main.c:2601-2604 (7.3.4)'],
    mainline:
      "The kernel gets taint bit 15, the module's own `taint` file shows `K`, and the log says `X: " +
      'tainting kernel with TAINT_LIVEPATCH`, once a boot. On 4.14 the taint is set while the module ' +
      'information is read, so that it stays even if a later step of the load fails.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not mention the taint.',
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
      'kernel/livepatch/core.c:1141-1144 (7.3.4)',
    ],
    mainline:
      "`-ENOSYS`, and the log says `livepatch: This architecture doesn't have support for the livepatch " +
      'consistency model.` Reliable stacks need `CONFIG_STACKTRACE` as well as ' +
      '`CONFIG_HAVE_RELIABLE_STACKTRACE`; x86-64 4.14 has the latter only with the frame-pointer ' +
      'unwinder and stack validation, not with ORC. 7.3 logs the same text as a warning and goes on.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents name `HAVE_RELIABLE_STACKTRACE` alone; mainline needs `CONFIG_STACKTRACE` too.',
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
      'kernel/livepatch/core.c:806-810 (7.3.4)',
      'kernel/livepatch/core.c:917-918 (7.3.4)',
      'kernel/livepatch/core.c:1097-1107 (7.3.4)',
    ],
    mainline:
      '`-EINVAL`, without a log line. The limits on 64-bit 4.14: 127 characters for `old_name`, 55 for ' +
      'the name of an object. From 6.1 on `old_name` may have 511.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not state the limits.',
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
    confirmed: true,
  },
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
    code: ['kernel/livepatch/patch.c:207-212 (4.14.177)', 'kernel/livepatch/patch.c:175-180 (7.3.4)'],
    mainline:
      '4.14: registration returns 0, enabling gives `-EINVAL`, and the log says `livepatch: failed to ' +
      "set ftrace filter for function 'x' (-22)`. 7.3 says `livepatch: failed to find location for " +
      "function 'x'`, also with `-EINVAL`.",
    confirmed: true,
  },
  {
    id: 'REG-17',
    section,
    statement: 'A replacement whose address lies in no symbol that kallsyms knows is refused.',
    documents: [],
    code: ['kernel/livepatch/core.c:669-675 (4.14.177)', 'kernel/livepatch/core.c:899-905 (7.3.4)'],
    mainline: "`-ENOENT`, and the log says `livepatch: kallsyms size lookup failed for 'x' replacement`.",
    confirmed: true,
  },
  {
    id: 'REG-18',
    section,
    statement:
      'A patch that names the same object twice, or within an object the same function twice, is refused.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:621-623 (4.14.177)',
      'kernel/livepatch/core.c:699-702 (4.14.177)',
      'lib/kobject.c:234-237 (4.14.177)',
      'fs/sysfs/dir.c:25-34 (4.14.177)',
    ],
    mainline:
      "`-EEXIST`, with a warning and a stack dump: `sysfs: cannot create duplicate filename` and `don't " +
      'try to register things with the same name in the same directory`. A function given once with ' +
      'position 0 and once with position 1 counts as the same, because both get the directory `f,1`.',
    confirmed: true,
  },
  {
    id: 'REG-19',
    section,
    statement: 'Livepatch relocations are applied when the patch is registered, before anything is enabled.',
    documents: [
      livepatchTxt('364-365', 'Registration applies the special relocations.'),
    ],
    code: [
      'kernel/livepatch/core.c:639-647 (4.14.177)',
      'kernel/livepatch/core.c:231 (4.14.177)',
      'kernel/livepatch/core.c:298-334 (7.3.4)',
    ],
    mainline:
      'The `.klp.sym` symbols of loaded objects have their addresses in `/proc/kallsyms` as soon as ' +
      'registration has returned. From 5.8 on those of vmlinux are resolved even earlier, while the ' +
      'module is being loaded.',
    notes: [objectMustBeListed],
    confirmed: true,
  },
  {
    id: 'REG-20',
    section,
    statement: 'Registering a patch takes no reference on its module.',
    documents: [],
    code: ['kernel/livepatch/core.c:812-813 (4.14.177)', 'kernel/livepatch/core.c:817-842 (4.14.177)'],
    mainline:
      "The module's `refcnt` reads 0 after registration, so that a patch that was never enabled can be " +
      'unloaded. From 5.1 on, where registration is a part of enabling, the reference is taken first.',
    confirmed: true,
  },
  {
    id: 'REG-21',
    section,
    statement: 'A module can register one `klp_patch` only.',
    documents: [
      livepatchTxt('365-366', 'The entries of a patch appear below `/sys/kernel/livepatch/<name>`.'),
    ],
    code: ['kernel/livepatch/core.c:737-742 (4.14.177)', 'lib/kobject.c:234-237 (4.14.177)'],
    mainline:
      '`-EEXIST` for the second one, with a warning from sysfs, because the directory of a patch has the ' +
      'name of its module.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that there is one patch to a module.',
    },
    confirmed: true,
  },
  {
    id: 'REG-22',
    section,
    statement:
      'The kernel complains when a `klp_patch` that was unregistered is registered again, but does not ' +
      'refuse it.',
    documents: [
      livepatchTxt(
        '342-345',
        'Operations that may be done only once are kept apart from those repeated with every enable.',
      ),
    ],
    code: ['kernel/livepatch/core.c:737-738 (4.14.177)', 'lib/kobject.c:335-340 (4.14.177)'],
    mainline:
      'The log says `kobject (…): tried to init an initialized object, something is seriously wrong.`, ' +
      'with a stack dump, and the registration goes on as usual.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say whether a patch may be registered a second time.',
    },
    confirmed: true,
  },
  {
    id: 'REG-23',
    section,
    statement:
      'Every registered patch has its directory in `/sys/kernel/livepatch`; a livepatch module that is ' +
      'loaded without having registered a patch has none.',
    documents: [
      livepatchTxt('434-435', 'The registered patches are shown below `/sys/kernel/livepatch`.'),
      livepatchTxt(
        '438',
        'For details the reader is sent to the ABI text, `Documentation/ABI/testing/sysfs-kernel-livepatch`.',
      ),
    ],
    code: ['kernel/livepatch/core.c:737-738 (4.14.177)'],
    mainline:
      'The directory is made by `klp_register_patch()` and removed by `klp_unregister_patch()`, whether ' +
      'the module is loaded or not.',
    deviation: {
      kind: 'contradicts',
      note:
        'The ABI text, lines 8-9, promises a directory for every livepatch module that is loaded; ' +
        '`livepatch.txt` itself has it right.',
    },
    confirmed: true,
  },
  {
    id: 'REG-24',
    section,
    statement:
      'The name of an object is compared literally with the names of loaded modules: a dash for an ' +
      'underscore, a suffix `.ko` or the word `vmlinux` never match.',
    documents: [
      livepatchTxt('284-286', 'An object is vmlinux, written as NULL, or the name of a module.'),
    ],
    code: [
      'kernel/livepatch/core.c:63-89 (4.14.177)',
      'kernel/livepatch/core.c:698-700 (4.14.177)',
      'kernel/livepatch/core.c:897-900 (4.14.177)',
    ],
    mainline:
      'Objects named `kvm-intel`, `zfs.ko` or `vmlinux` are accepted and never patched, without a ' +
      'message. An object named `vmlinux` beside a NULL object gives `-EEXIST`, because both want the ' +
      'same directory.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that a name which can match no module is accepted in silence.',
    },
    confirmed: true,
  },
];
