// SPDX-License-Identifier: MIT
import { livepatchTxt } from './documents.js';
import { directoryGoesLater } from './notes.js';
import type { Clause } from './types.js';

const section = 'life-cycle';

/** Unregistering: livepatch.txt section 5.4. */
export const unregister: readonly Clause[] = [
  {
    id: 'UNR-1',
    section,
    statement: 'A patch that is not registered cannot be unregistered.',
    documents: [
      livepatchTxt('423', 'Unregistering is for disabled patches.'),
    ],
    code: ['kernel/livepatch/core.c:781-784 (4.14.177)'],
    mainline: '`-EINVAL`, without a log line.',
    confirmed: true,
  },
  {
    id: 'UNR-2',
    section,
    statement: 'An enabled patch cannot be unregistered.',
    documents: [
      livepatchTxt('424', 'The patch has to be disabled.'),
    ],
    code: ['kernel/livepatch/core.c:786-789 (4.14.177)'],
    mainline: '`-EBUSY`, without a log line.',
    confirmed: true,
  },
  {
    id: 'UNR-3',
    section,
    statement: 'A patch can be unregistered only when its code is no longer in use.',
    documents: [
      livepatchTxt('424-425', 'Besides being disabled, the patch must have its code out of use.'),
    ],
    code: ['kernel/livepatch/core.c:786-798 (4.14.177)', 'kernel/livepatch/transition.c:85-113 (4.14.177)'],
    mainline:
      '4.14 looks at `enabled` alone and returns 0 in the middle of an unpatching transition as well. ' +
      'The transition goes on: `patch_state` stays 0 or 1, every other enable or disable gives ' +
      '`-EBUSY`, and no directory is left through which it could be watched or reversed. It ends, and ' +
      "the module's reference is dropped, when the last task has switched.",
    deviation: {
      kind: 'contradicts',
      note:
        'By the document the code must be out of use before a patch is unregistered; mainline does not ' +
        'check that.',
    },
    confirmed: true,
  },
  {
    id: 'UNR-4',
    section,
    statement: "Unregistering removes the patch's directory from sysfs and forgets the patch.",
    documents: [
      livepatchTxt(
        '427-428',
        'All entries in sysfs are removed, and the patch leaves the list of known ones.',
      ),
    ],
    code: ['kernel/livepatch/core.c:597-602 (4.14.177)', 'kernel/livepatch/core.c:791-798 (4.14.177)'],
    mainline:
      'When `klp_unregister_patch()` returns 0 the directory is gone: the call waits until the last ' +
      'user of it has let go, and until then the directory stays.',
    notes: [directoryGoesLater],
    confirmed: true,
  },
  {
    id: 'UNR-5',
    section,
    statement: 'A patch has to be unregistered before its module is unloaded.',
    documents: [
      livepatchTxt('425', 'Unregistering comes before the unloading of the module.'),
    ],
    code: ['kernel/livepatch/core.c:805-843 (4.14.177)', 'kernel/module.c:921-927 (4.14.177)'],
    mainline:
      'Not enforced: a module whose patch is registered and disabled can be unloaded. What is left in ' +
      'the list and in sysfs then points into freed memory, which is a use after free.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document demands of a module that it unregister its patch before it is unloaded; mainline ' +
        'does not enforce that.',
    },
    confirmed: true,
  },
];
