// SPDX-License-Identifier: MIT
import { elfFormat, elfFormatRst, livepatchRst, livepatchTxt } from './documents.js';
import { objectMustBeListed } from './notes.js';
import type { Clause } from './types.js';

const section = 'modules';

/** Modules that come and go: livepatch.txt section 4.2, module-elf-format.txt section 2.1. */
export const modules: readonly Clause[] = [
  {
    id: 'MOD-1',
    section,
    statement: 'When M is loaded while X is enabled, M is patched before its init function runs.',
    documents: [
      livepatchTxt(
        '289-291',
        'A module may be loaded after the patch, and its functions are patched once they are there.',
      ),
    ],
    code: [
      'kernel/livepatch/core.c:897-929 (4.14.177)',
      'kernel/module.c:3634-3637 (4.14.177)',
      'kernel/livepatch/core.c:1305-1306 (7.3.4)',
    ],
    mainline: "The log says `livepatch: applying patch 'X' to loading module 'M'`.",
    later: {
      documents: [
        livepatchRst(
          '270-272',
          'A module may be loaded after the patch, and its functions are patched once they are there.',
        ),
      ],
    },
    notes: [objectMustBeListed],
    confirmed: true,
  },
  {
    id: 'MOD-2',
    section,
    statement: 'When M is loaded while X is registered and disabled, M is prepared but not patched.',
    documents: [
      elfFormat('108-110', 'The relocations for a driver that is not loaded are applied when it loads.'),
      elfFormat('211-212', 'The symbols of the target module are resolved when it loads.'),
    ],
    code: ['kernel/livepatch/core.c:904-916 (4.14.177)'],
    mainline:
      "Nothing is logged, and M runs its original functions; but X's symbols for M have been resolved, " +
      'as `/proc/kallsyms` shows.',
    confirmed: true,
  },
  {
    id: 'MOD-3',
    section,
    statement:
      'X keeps M from being loaded when a symbol that it needs in M does not exist, even while X is ' +
      'disabled.',
    documents: [
      livepatchTxt(
        '298-300',
        'A patch is applied only when all its symbols are found, save those of modules not loaded yet.',
      ),
    ],
    code: ['kernel/livepatch/core.c:897-909 (4.14.177)', 'kernel/livepatch/core.c:936-948 (4.14.177)'],
    mainline:
      'M is refused: the load gives `-EINVAL`, and the log says `livepatch: failed to initialize patch ' +
      "'X' for module 'M' (-22)` and `livepatch: patch 'X' failed for module 'M', refusing to load " +
      "module 'M'`. From 5.1 on a disabled patch is gone and cannot interfere.",
    deviation: {
      kind: 'undocumented',
      note:
        'The documents do not say that a patch may keep a module from loading, let alone a disabled ' +
        'patch.',
    },
    later: {
      documents: [
        livepatchRst(
          '278-281',
          'A patch is applied as a whole and only when all its symbols have been found; those of ' +
          'modules not loaded yet are the one exception.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note:
          'The documents do not say that a patch keeps a module from loading whose symbols do not fit; ' +
          '`callbacks.rst` says so of a callback that fails.',
      },
    },
    confirmed: true,
  },
  {
    id: 'MOD-4',
    section,
    statement: "When M is unloaded while X is enabled or in transition, X's changes to it are taken back.",
    documents: [],
    code: [
      'kernel/livepatch/core.c:864-874 (4.14.177)',
      'kernel/module.c:1014 (4.14.177)',
      'kernel/livepatch/core.c:1254-1264 (7.3.4)',
    ],
    mainline:
      "The log says `livepatch: reverting patch 'X' on unloading module 'M'`. It is not logged for a " +
      'patch that is disabled and not in transition.',
    later: { documents: [] },
    confirmed: true,
  },
  {
    id: 'MOD-5',
    section,
    statement:
      'When M was patched while it was being loaded and its own init function fails, the changes are ' +
      'taken back.',
    documents: [],
    code: ['kernel/module.c:3544-3549 (4.14.177)', 'kernel/livepatch/core.c:951-968 (4.14.177)'],
    mainline:
      "The same log line as for unloading: `livepatch: reverting patch 'X' on unloading module 'M'`. A " +
      'later load of M is patched anew, unless X has relocations for it that stay (MOD-8).',
    later: { documents: [] },
    confirmed: true,
  },
  {
    id: 'MOD-6',
    section,
    statement:
      "When M is loaded during X's transition, to or from the patched state, its functions take part in " +
      'that transition.',
    documents: [
      livepatchTxt(
        '289-291',
        'A module may be loaded after the patch, and its functions are patched once they are there.',
      ),
    ],
    code: ['kernel/livepatch/core.c:911-921 (4.14.177)', 'kernel/livepatch/patch.c:92-118 (4.14.177)'],
    mainline:
      'M is patched, and a call to one of its functions reaches the version that belongs to the state of ' +
      'the calling task.',
    later: {
      documents: [
        livepatchRst(
          '270-272',
          'A module may be loaded after the patch, and its functions are patched once they are there.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'MOD-7',
    section,
    statement:
      'When two patches want to change M and the second of them fails while M is being loaded, the first ' +
      'is taken back as well.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:936-948 (4.14.177)',
      'kernel/livepatch/core.c:850-878 (4.14.177)',
      'kernel/livepatch/core.c:1240-1267 (7.3.4)',
    ],
    mainline:
      'M is refused with the errno of the second patch, and nothing of the first is left on it; the log ' +
      "says `livepatch: reverting patch 'X' on unloading module 'M'` for the first, if it is enabled, " +
      'after the lines of the second. What the second has relocated for M stays as it is, on 7.3 too, ' +
      'so that on x86-64 the next load of M fails as in MOD-8.',
    later: { documents: [] },
    confirmed: true,
  },
  {
    id: 'MOD-8',
    section,
    statement: 'M can be unloaded and loaded again while X, which has a relocation section for it, stays.',
    documents: [
      elfFormat('108-110', 'The relocations for a driver are applied when it loads.'),
      livepatchTxt(
        '289-291',
        'A module may be loaded after the patch, and its functions are patched once they are there.',
      ),
    ],
    code: [
      'arch/x86/kernel/module.c:174-215 (4.14.177)',
      'kernel/livepatch/core.c:277-281 (4.14.177)',
      'arch/x86/kernel/module.c:209-211 (5.10.262)',
      'arch/x86/kernel/module.c:211-213 (6.1.192)',
      'arch/x86/kernel/module.c:211 (6.12.117)',
      'kernel/livepatch/core.c:332 (7.3.4)',
      'arch/x86/kernel/module.c:214 (7.3.4)',
    ],
    mainline:
      'On x86-64 up to 6.2 the second load of M fails with `-ENOEXEC`, because the relocation finds its ' +
      'own former result: `x86/modules: Skipping invalid relocation target, existing value is nonzero ' +
      'for type …`, and then the lines of MOD-3 with `(-8)`; read in 4.14, 5.10 and 6.1. From 6.3 on ' +
      'x86-64 clears the relocations when M is unloaded and the reload works, as read in 6.12 and 7.3; ' +
      'arm64 writes them without that check.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document says that the relocations are applied when the module loads; on x86-64 up to 6.2 ' +
        'the second load is refused.',
    },
    later: {
      documents: [
        elfFormatRst('85-87', 'The relocations for a driver that is not loaded are applied when it loads.'),
        livepatchRst(
          '270-272',
          'A module may be loaded after the patch, and its functions are patched once they are there.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document says that the relocations are applied when the module loads; on x86-64 up to ' +
          '6.2 the second load is refused.',
      },
    },
    confirmed: true,
  },
];
