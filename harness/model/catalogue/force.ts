// SPDX-License-Identifier: MIT
import { cumulativePatches, livepatchRst, sysfsAbi } from './documents.js';
import type { Clause } from './types.js';

const section = 'force';

/** The file `force`: section 3 of livepatch.rst and the ABI text; 4.16 and later. */
export const force: readonly Clause[] = [
  {
    id: 'FRC-1',
    section,
    statement: 'Writing 1 into `force` of the patch in transition switches every task at once, and the transition ends.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:642-660 (5.10.262)',
      'kernel/livepatch/transition.c:641-666 (6.1.192)',
      'kernel/livepatch/transition.c:727-752 (6.12.117)',
      'kernel/livepatch/transition.c:706-731 (7.3.4)',
    ],
    mainline:
      'The write returns 0 and logs `livepatch: forcing remaining tasks to the patched state`, whichever way ' +
      'the transition goes. Every thread reads the target state; the end itself comes with the next retry, ' +
      'within about a second. A sleeper stays where it is, and its further calls reach the new functions.',
    later: {
      documents: [
        livepatchRst('154-158', 'Writing 1 clears the pending flag of all tasks and so forces them to the patched state.'),
        sysfsAbi('41-44', 'Writing 1 forces the tasks to the patched or unpatched state.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'FRC-2',
    section,
    statement: 'The module of a patch that was removed by force, by a disable or by another that replaces it, cannot be unloaded any more.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:690-691 (5.10.262)',
      'kernel/livepatch/transition.c:657-665 (6.1.192)',
      'kernel/livepatch/core.c:766-767 (7.3.4)',
      'kernel/livepatch/transition.c:722-730 (7.3.4)',
    ],
    mainline: 'Its directory goes away, the reference of its module stays at 1, and rmmod gives `EAGAIN`.',
    later: {
      documents: [
        livepatchRst('163-166', 'Removal of patch modules is disabled for good, since a task may sleep in one.'),
        livepatchRst('388-392', 'Without force it is sure that no task sleeps or runs in the old code; force disables the removal.'),
        cumulativePatches('73-74', 'A replaced patch can be removed only if the transition was not forced.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'FRC-3',
    section,
    statement: 'The use of force disables the removal of patch modules for good, that of a patch which was not removed by it included.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:658-659 (5.10.262)',
      'kernel/livepatch/transition.c:657-665 (6.1.192)',
      'kernel/livepatch/transition.c:743-751 (6.12.117)',
      'kernel/livepatch/transition.c:722-730 (7.3.4)',
    ],
    mainline:
      '5.10 pins every patch that is there when force is used. 6.1 and later pin those alone that are being ' +
      'removed: a patch whose enable was forced can be disabled and its module unloaded.',
    later: {
      documents: [
        livepatchRst('163-166', 'Removal of patch modules is disabled for good when force is used.'),
        sysfsAbi('46-47', 'Removal of patch modules is disabled for good when the file is used.'),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The documents speak of patch modules without exception; 6.1 and later let go those of patches that ' +
          'were not being removed. 5.10 does as the documents say.',
      },
    },
    notes: ['No symbol or text of a kernel shows which of the two it does: both are taken for mainline.'],
    confirmed: true,
  },
  {
    id: 'FRC-4',
    section,
    statement: 'Writing 1 into `force` of a patch that is not in transition gives `EINVAL`; writing 0 succeeds and does nothing.',
    documents: [],
    code: ['kernel/livepatch/core.c:400-427 (5.10.262)', 'kernel/livepatch/core.c:422-449 (7.3.4)'],
    mainline: 'The text is read as that of `enabled` is. A value of 0 returns before the patch is looked at.',
    later: {
      documents: [sysfsAbi('41-42', 'The file affects the course of an existing transition.')],
    },
    confirmed: true,
  },
];
