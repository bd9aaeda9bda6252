// SPDX-License-Identifier: MIT
import { callbacksRst, cumulativePatches } from './documents.js';
import type { Clause } from './types.js';

const section = 'callbacks';

/** Callbacks of objects: callbacks.rst; 4.15 and later. */
export const callbacks: readonly Clause[] = [
  {
    id: 'CBK-1',
    section,
    statement: 'On an enable `pre_patch` runs for each object that is loaded before it is patched, `post_patch` once every task has switched.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:962-1012 (5.10.262)',
      'kernel/livepatch/core.c:1037-1090 (7.3.4)',
      'kernel/livepatch/transition.c:134-141 (7.3.4)',
    ],
    mainline:
      'Objects are taken in the order of their array, each `pre_patch` followed by the patching of its object. ' +
      'post_patch runs in the same order after every thread reads -1, before the log says that patching is ' +
      'complete. Of objects that are not loaded nothing runs.',
    later: {
      documents: [
        callbacksRst('39-44', '`pre_patch` runs before an object is patched, `post_patch` when it is active across all tasks.'),
        callbacksRst('68-71', 'A callback runs only if its object is loaded; the kernel itself always is.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CBK-2',
    section,
    statement: 'On a disable `pre_unpatch` runs for each object before its functions are taken away, `post_unpatch` when no task runs them.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:930-960 (5.10.262)',
      'kernel/livepatch/core.c:1005-1035 (7.3.4)',
      'kernel/livepatch/transition.c:134-141 (7.3.4)',
    ],
    mainline: 'Objects are taken in the order of their array both times, not in reverse.',
    later: {
      documents: [
        callbacksRst('46-54', '`pre_unpatch` runs while patched code is active, `post_unpatch` when no task runs it.'),
        callbacksRst('59-63', '`pre_patch` is paired with `post_unpatch` and `post_patch` with `pre_unpatch`.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CBK-3',
    section,
    statement: 'An enable that is reversed runs no `pre_unpatch`: `post_unpatch` alone, when it has ended.',
    documents: [],
    code: ['kernel/livepatch/transition.c:578-633 (5.10.262)', 'kernel/livepatch/transition.c:627-673 (7.3.4)'],
    mainline:
      'A reversal runs nothing by itself; what runs at the end depends on the direction alone. So a disable ' +
      'that is reversed, whose `pre_unpatch` has run, ends with a second `post_patch`.',
    later: {
      documents: [
        callbacksRst('94-96', 'In a reversed transition no `pre_unpatch` runs, since `post_patch` has not run.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CBK-4',
    section,
    statement: 'When a module that a patch names comes or goes while the patch is enabled, the callbacks of its object run.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:1144-1171 (5.10.262)',
      'kernel/livepatch/core.c:1240-1267 (7.3.4)',
      'kernel/livepatch/core.c:1306-1330 (7.3.4)',
    ],
    mainline:
      'As it comes `pre_patch` and `post_patch`, as it goes `pre_unpatch` and `post_unpatch`, with the state of the ' +
      'module coming or going. While the patch is in transition `post_patch` waits for the end of it, and ' +
      '`pre_unpatch` does not run.',
    later: {
      documents: [
        callbacksRst('70-73', 'When a module is loaded or unloaded, its callbacks run only if the patch is enabled.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CBK-5',
    section,
    statement: 'A `pre_patch` that fails stops the enable of its patch, or the loading of the module that it is for, with its error.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:985-990 (5.10.262)',
      'kernel/livepatch/core.c:1060-1066 (7.3.4)',
      'kernel/livepatch/core.c:1309-1314 (7.3.4)',
      'kernel/livepatch/core.h:26-36 (7.3.4)',
    ],
    mainline:
      "The log says `livepatch: pre-patch callback failed for object 'O'`. Nothing more runs for that object; for " +
      'objects before it, which were patched, `post_unpatch` runs. A module that is refused makes other patches ' +
      'let go of it, with `pre_unpatch` and `post_unpatch`.',
    later: {
      documents: [
        callbacksRst('75-88', 'The patch, or the module, is refused when `pre_patch` gives an error.'),
        callbacksRst('98-100', 'Of an object that was patched in vain only `post_unpatch` runs.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CBK-6',
    section,
    statement: 'Of a patch that replaces others only its own callbacks run; those of the replaced patches do not.',
    documents: [],
    code: ['kernel/livepatch/core.c:1104-1114 (5.10.262)', 'kernel/livepatch/core.c:1200-1210 (7.3.4)'],
    mainline: 'The functions of replaced patches are taken from their stacks without any callback.',
    later: {
      documents: [
        cumulativePatches('77-78', 'Only callbacks of the new patch run, those of the replaced ones are ignored.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CBK-7',
    section,
    statement: 'Nothing more runs for an object that failed to be patched, for whatever reason.',
    documents: [],
    code: [
      'kernel/livepatch/core.h:27-36 (5.10.262)',
      'kernel/livepatch/transition.c:149-161 (7.3.4)',
      'kernel/livepatch/core.c:1317-1324 (7.3.4)',
    ],
    mainline:
      'Where `pre_patch` has succeeded and ftrace then refuses a function of the object, its `post_unpatch` runs, ' +
      'in an enable as well as for a module that comes.',
    later: {
      documents: [
        callbacksRst('90-92', 'No other callback runs if the object failed to be patched, by `pre_patch` or for any other reason.'),
      ],
      deviation: {
        kind: 'contradicts',
        note: 'The document has nothing run; mainline runs `post_unpatch` when it was not `pre_patch` that failed.',
      },
    },
    confirmed: true,
  },
];
