// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt, sysfsAbi } from './documents.js';
import { objectMustBeListed } from './notes.js';
import type { Clause } from './types.js';

const section = 'registration';

/** Registration, what it leaves and what a second one does: livepatch.txt sections 5.1 and 6. */
export const registered: readonly Clause[] = [
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
      'fs/sysfs/dir.c:29-30 (5.10.262)',
      'fs/sysfs/dir.c:29-30 (7.3.4)',
      'kernel/module/main.c:3119-3125 (7.3.4)',
    ],
    mainline:
      '`-EEXIST`. 4.14 gives a kernel warning from sysfs, `sysfs: cannot create duplicate filename ' +
      "'/kernel/livepatch/…'`; 5.10 and later write the same line with a stack dump that is no warning. " +
      "`don't try to register things with the same name in the same directory` follows. A function " +
      'given once with position 0 and once with position 1 counts as the same, because both get the ' +
      'directory `f,1`. Nothing is left in sysfs. On 7.3 the load of the module gives `-EBUSY` instead, ' +
      'because the module loader keeps `-EEXIST` for itself.',
    later: { documents: [] },
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
    later: {
      documents: [
        livepatchRst(
          '319-320',
          'The special relocations are applied as a first step of `klp_enable_patch()`.',
        ),
      ],
    },
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
      '`-EEXIST` for the second one, with the messages of REG-18, because the directory of a patch has ' +
      'the name of its module; the first is not touched. From 5.1 on that holds for as long as the ' +
      'first is enabled.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that there is one patch to a module.',
    },
    later: {
      documents: [
        livepatchRst('320-321', 'The entries of a patch appear below `/sys/kernel/livepatch/<name>`.'),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not say that there is one patch to a module.',
      },
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
    code: [
      'kernel/livepatch/core.c:737-738 (4.14.177)',
      'lib/kobject.c:335-340 (4.14.177)',
      'lib/kobject.c:283 (4.14.177)',
      'lib/kobject.c:650-653 (4.14.177)',
      'kernel/livepatch/core.c:957-977 (7.3.4)',
      'lib/kobject.c:345-350 (7.3.4)',
    ],
    mainline:
      'The log says `kobject (…): tried to init an initialized object, something is seriously wrong.`, ' +
      'with a stack dump, for the patch, each object and each function, and the registration goes on as ' +
      'usual. From 5.1 on the same comes of enabling a patch again whose module stayed loaded. On ' +
      'x86-64 it fails with `-ENOEXEC` where relocations for a loaded object would be applied a second ' +
      'time (MOD-8). The first name of each kobject has been freed by then and is freed once more: on ' +
      '4.14.177 the directory was seen to be missing, and 6.1.192 ended in `kernel BUG at mm/slub.c:419!`. ' +
      'The module of the scenario forgets these names before it registers again.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say whether a patch may be registered a second time.',
    },
    later: {
      documents: [
        livepatchRst(
          '301-303',
          'The only reasonable way is to enable a patch from the init function of its module.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note:
          'The documents do not say whether a patch may be enabled a second time out of a module that ' +
          'stayed loaded.',
      },
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
      'the module is loaded or not. From 5.1 on it is there from the enable until the disable is ' +
      'complete.',
    deviation: {
      kind: 'contradicts',
      note:
        'The ABI text, lines 8-9, promises a directory for every livepatch module that is loaded; ' +
        '`livepatch.txt` itself has it right.',
    },
    later: {
      documents: [
        sysfsAbi('8-9', 'There is a directory for each livepatch module that is loaded.'),
        livepatchRst('398-399', 'The registered patches are shown below `/sys/kernel/livepatch`.'),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The ABI text promises a directory for every livepatch module that is loaded; there is one ' +
          'only from the enable of the patch until its disable is complete.',
      },
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
    later: {
      documents: [
        livepatchRst(
          '265-267',
          'An object is an array of functions, for vmlinux (NULL) or for a module given by name.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not say that a name which can match no module is accepted in silence.',
      },
    },
    confirmed: true,
  },
];
