// SPDX-License-Identifier: MIT
import { livepatchTxt } from './documents.js';
import type { Clause } from './types.js';

const section = 'immediate';

/** The immediate flag: livepatch.txt sections 3, 3.1 and 4.2. */
export const immediate: readonly Clause[] = [
  {
    id: 'IMM-1',
    section,
    statement:
      'A patch with `klp_patch.immediate` takes effect for all tasks at once, without a transition of ' +
      'each task.',
    documents: [
      livepatchTxt(
        '141-146',
        'The flag switches the consistency model off and patches all tasks immediately; a task may still ' +
        'run the old version until that function returns.',
      ),
      livepatchTxt(
        '302-303',
        'With the flag the patch reaches every task at once, without the safety checks.',
      ),
    ],
    code: [
      'kernel/livepatch/transition.c:364-365 (4.14.177)',
      'kernel/livepatch/transition.c:436-437 (4.14.177)',
      'kernel/livepatch/transition.c:489-490 (4.14.177)',
    ],
    mainline:
      'When the enable has returned, `transition` reads 0 and every `patch_state` reads -1, as they did ' +
      'all along, even with a task asleep in the function.',
    notes: [
      '`transition` is read without a lock: a fast sampler may see 1 while the write to `enabled` has ' +
      'not returned.',
    ],
    confirmed: true,
  },
  {
    id: 'IMM-2',
    section,
    statement: 'A module with an immediate patch cannot be unloaded after the patch was disabled.',
    documents: [
      livepatchTxt(
        '223-224',
        'The use of this option means that the patch stays loaded after it was disabled.',
      ),
      livepatchTxt(
        '340-342',
        'Nothing guarantees that nobody sleeps in the new code, so the code has to stay.',
      ),
    ],
    code: ['kernel/livepatch/transition.c:101-102 (4.14.177)'],
    mainline: '`refcnt` stays at 1 after the disable, and `delete_module()` gives `EWOULDBLOCK`.',
    confirmed: true,
  },
  {
    id: 'IMM-3',
    section,
    statement:
      'Each cycle of enabling and disabling an immediate patch takes one more reference on its module.',
    documents: [
      livepatchTxt('223-224', 'The patch cannot be unloaded after it was disabled.'),
    ],
    code: ['kernel/livepatch/core.c:372-373 (4.14.177)', 'kernel/livepatch/transition.c:101-102 (4.14.177)'],
    mainline: 'After N cycles `refcnt` reads N.',
    deviation: {
      kind: 'undocumented',
      note: 'The document says that the module stays; not that the count grows with every cycle.',
    },
    confirmed: true,
  },
  {
    id: 'IMM-4',
    section,
    statement:
      'A function with `klp_func.immediate` is patched at once, while the other functions of its patch ' +
      'wait for each task.',
    documents: [
      livepatchTxt(
        '281-282',
        'The flag patches the function immediately, without the safety checks of the consistency model.',
      ),
      livepatchTxt(
        '148-152',
        'Single functions of a patch can be applied without the consistency of each task.',
      ),
    ],
    code: [
      'kernel/livepatch/patch.c:92-118 (4.14.177)',
      'kernel/livepatch/transition.c:196-197 (4.14.177)',
      'kernel/livepatch/transition.c:534-536 (4.14.177)',
    ],
    mainline:
      'Not so: the ftrace handler treats the function like any other, and a task that is not switched ' +
      'keeps calling the old version. The flag does no more than leave the function out of the stack ' +
      'check.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document promises that the function is patched at once; mainline only skips its stack check.',
    },
    confirmed: true,
  },
  {
    id: 'IMM-5',
    section,
    statement: 'A patch with one immediate function cannot be unloaded after it was disabled.',
    documents: [],
    code: ['kernel/livepatch/transition.c:104-113 (4.14.177)'],
    mainline:
      'The reference taken by the enable is kept after the disable, as for an immediate patch, and so it ' +
      'is after an enable that failed.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents say so of the flag of the patch only, not of that of a function.',
    },
    confirmed: true,
  },
  {
    id: 'IMM-6',
    section,
    statement: 'The module of an immediate patch cannot be unloaded after its enable has failed.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:397 (4.14.177)',
      'kernel/livepatch/transition.c:101-102 (4.14.177)',
      'kernel/livepatch/transition.c:143-150 (4.14.177)',
    ],
    mainline:
      'The way back from the failure leaves out the release of the reference, so that `refcnt` stays at ' +
      '1 although the patch was never in effect.',
    deviation: {
      kind: 'undocumented',
      note: 'A defect of mainline; the documents do not speak of it.',
    },
    confirmed: true,
  },
];
