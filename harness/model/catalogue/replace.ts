// SPDX-License-Identifier: MIT
import { cumulativePatches, livepatchRst, sysfsAbi } from './documents.js';
import type { Clause } from './types.js';

const section = 'replace';

/** Atomic replace: cumulative-patches.rst and section 5.3 of livepatch.rst; 5.1 and later. */
export const replace: readonly Clause[] = [
  {
    id: 'REP-1',
    section,
    statement: 'Where a patch that replaces is enabled, functions that only the patches before it have are the original again.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:540-558 (5.10.262)',
      'kernel/livepatch/core.c:557-575 (6.1.192)',
      'kernel/livepatch/core.c:615-633 (7.3.4)',
      'kernel/livepatch/patch.c:118-119 (7.3.4)',
    ],
    mainline:
      'The patch is given a function without a replacement, a nop, for each function that is in the list of ' +
      'patches but not in the patch itself; `sympos` 0 and 1 count as the same. A thread that has switched ' +
      'runs the original there, one that has not what the older patch has. Where a module comes during the ' +
      'transition, older patch and nop are both applied to it, and the log names both patches.',
    later: {
      documents: [
        cumulativePatches('29-31', 'All processes come to use the code of the new patch only.'),
        cumulativePatches('33-34', 'Functions that the new patch does not modify have no ftrace handler any more.'),
        livepatchRst('353-358', 'The functions of the replaced patches are taken from their stacks when the transition has ended.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REP-2',
    section,
    statement: 'When the transition of a patch that replaces has ended, the patches before it are disabled and leave the kernel.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:80-83 (5.10.262)',
      'kernel/livepatch/core.c:713-722 (5.10.262)',
      'kernel/livepatch/core.c:731-740 (6.1.192)',
      'kernel/livepatch/core.c:789-798 (7.3.4)',
      'kernel/livepatch/core.c:1200-1210 (7.3.4)',
    ],
    mainline:
      'Their `enabled` turns to 0 at the beginning of the end, their directories go away, and then the ' +
      'references of their modules, which can be unloaded and loaded again. The new patch loses its nops, ' +
      'and their directories, in the same step. Nothing is logged of it.',
    later: {
      documents: [
        cumulativePatches('30-31', 'Once the transition is finished, all older patches are disabled.'),
        cumulativePatches('40-41', 'Users may keep only the last patch on the system.'),
        cumulativePatches('73-74', 'A replaced patch can be removed and loaded again, unless the transition was forced.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REP-3',
    section,
    statement:
      'A sleeper in a function of an older patch that the new one does not have holds the replace; a ' +
      'sleeper in such an original holds its reversal.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:193-235 (5.10.262)',
      'kernel/livepatch/transition.c:192-232 (6.1.192)',
      'kernel/livepatch/transition.c:205-245 (7.3.4)',
      'kernel/livepatch/core.c:896-897 (7.3.4)',
    ],
    mainline:
      'Nops are looked for on stacks like all functions of the patch: on the way in what lies below them, ' +
      'on the way back their own code, which is the original. It does not matter whether the sleeper ' +
      'entered the original before any patch or through the nop.',
    later: {
      documents: [
        livepatchRst('347-351', 'All enabled patches are replaced in one transition.'),
        cumulativePatches('13-15', 'Older patches are replaced completely, in one transition.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REP-4',
    section,
    statement: 'Until the transition of a patch that replaces has ended, the patches before it stay enabled, and a reversal leaves them so.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:80-83 (5.10.262)',
      'kernel/livepatch/transition.c:79-82 (6.1.192)',
      'kernel/livepatch/transition.c:92-95 (7.3.4)',
      'kernel/livepatch/transition.c:491-501 (7.3.4)',
    ],
    mainline:
      'Their `enabled` reads 1 throughout. After a reversal, or an enable that fails, the new patch goes, ' +
      'with its nops, and the older ones have their functions as before.',
    later: {
      documents: [
        cumulativePatches('30-31', 'Older patches are disabled once the transition is finished.'),
        cumulativePatches('64-65', 'Only once the operation has finished there is no way back.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'REP-5',
    section,
    statement: 'The file `replace` reads 1 for a patch that replaces and else 0; `stack_order` reads the place among the patches, from 1.',
    documents: [],
    code: ['kernel/livepatch/core.c:452-459 (6.12.117)', 'kernel/livepatch/core.c:451-480 (7.3.4)'],
    mainline:
      '`replace` is there from 6.11 on and `stack_order` from 6.14 on. While older patches are being ' +
      'replaced they keep their places before the new one; when they have left, the new one has place 1.',
    later: {
      documents: [
        sysfsAbi('55-56', '`replace` tells whether the patch supports atomic replace.'),
        sysfsAbi('62-65', '`stack_order` is the order in which patches are applied: the biggest one is used.'),
      ],
    },
    confirmed: true,
  },
];
