// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt } from './documents.js';
import { stateClearedFirst, sweepIsAnInterval } from './notes.js';
import type { Clause } from './types.js';

const section = 'transition';

/** Transition and patch_state, as a whole: livepatch.txt section 3. */
export const transition: readonly Clause[] = [
  {
    id: 'TRN-1',
    section,
    statement:
      'In a transition every task switches once, from the initial state to the target state, and does ' +
      'not go back.',
    documents: [
      livepatchTxt('97-103', 'Tasks converge to the patched state, or on a disable to the unpatched state.'),
    ],
    code: [
      'kernel/livepatch/transition.c:179-180 (4.14.177)',
      'kernel/livepatch/transition.c:326-327 (4.14.177)',
      'kernel/livepatch/transition.c:467-537 (4.14.177)',
    ],
    mainline:
      'The `patch_state` of each thread goes from 0 to 1 in an enable and from 1 to 0 in a disable, at ' +
      'most once, unless the transition is reversed (TRN-6).',
    later: {
      documents: [
        livepatchRst(
          '83-88',
          'Tasks converge to the patched state, or on a disable to the unpatched state.',
        ),
      ],
    },
    notes: [sweepIsAnInterval],
    confirmed: true,
  },
  {
    id: 'TRN-2',
    section,
    statement: 'When no patch is in transition `patch_state` is -1.',
    documents: [
      livepatchTxt('175-177', 'The file reads 0 or 1 during a transition and -1 otherwise.'),
    ],
    code: ['kernel/livepatch/transition.c:119-130 (4.14.177)', 'fs/proc/base.c:2923-2928 (4.14.177)'],
    mainline: 'Every thread reads -1 before the transition starts and after it has ended.',
    later: {
      documents: [
        livepatchRst('144-146', 'The file reads 0 or 1 during a transition and -1 otherwise.'),
      ],
    },
    notes: [stateClearedFirst, sweepIsAnInterval],
    confirmed: true,
  },
  {
    id: 'TRN-3',
    section,
    statement:
      'Only the owner, or root, can read `patch_state`; it exists for each process and for each of its ' +
      'threads.',
    documents: [
      livepatchTxt(
        '173-174',
        'There is a file `/proc/<pid>/patch_state` that helps to find the tasks that block.',
      ),
    ],
    code: ['fs/proc/base.c:3033 (4.14.177)', 'fs/proc/base.c:3420 (4.14.177)'],
    mainline: 'The mode is 0400, of `/proc/<pid>/patch_state` and of `/proc/<pid>/task/<tid>/patch_state`.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents mention neither the mode nor the file of each thread.',
    },
    later: {
      documents: [
        livepatchRst(
          '142-143',
          'There is a file `/proc/<pid>/patch_state` that helps to find the tasks that block.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents mention neither the mode nor the file of each thread.',
      },
    },
    confirmed: true,
  },
  {
    id: 'TRN-4',
    section,
    statement: 'Only the topmost patch of the stack can be in transition.',
    documents: [
      livepatchTxt('164-165', 'One patch at most is in transition, the one on top of the stack.'),
    ],
    code: [
      'kernel/livepatch/transition.c:32 (4.14.177)',
      'kernel/livepatch/core.c:292-295 (4.14.177)',
      'kernel/livepatch/core.c:358-361 (4.14.177)',
    ],
    mainline:
      'Only one patch is in transition at any time, and on 4.14 it is the topmost of the enabled ones, ' +
      'or the one that is about to become that. Disabled patches may lie above it in the stack. From 5.1 ' +
      'on any enabled patch may be disabled.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document says that only the topmost patch can be in transition; in mainline it is the ' +
        'topmost of the enabled patches, and from 5.1 on any of them.',
    },
    later: {
      documents: [
        livepatchRst('133-134', 'Only one patch can be in transition at a time; which one is not said.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'TRN-5',
    section,
    statement:
      'A transition lasts for as long as a single task is stuck in the initial state, without limit.',
    documents: [
      livepatchTxt(
        '165-166',
        'A patch may stay in transition indefinitely while some task is stuck in its initial state.',
      ),
      livepatchTxt('173-176', 'The file `patch_state` shows which tasks these are.'),
    ],
    code: ['kernel/livepatch/transition.c:376-408 (4.14.177)'],
    mainline:
      'A task that sleeps uninterruptibly in the function being patched holds the transition; it is that ' +
      'thread, and no other, which still reads 0.',
    later: {
      documents: [
        livepatchRst(
          '134-135',
          'A patch may stay in transition indefinitely while some task is stuck in its initial state.',
        ),
        livepatchRst(
          '142-146',
          'The file `patch_state` helps to find the tasks that block: it reads 0 or 1 during a ' +
          'transition and -1 otherwise.',
        ),
      ],
    },
    notes: [sweepIsAnInterval],
    confirmed: true,
  },
  {
    id: 'TRN-6',
    section,
    statement: 'A transition is reversed by writing the opposite value to `enabled` while it lasts.',
    documents: [
      livepatchTxt(
        '168-171',
        'Writing the opposite value cancels the transition in effect: all tasks try to converge back.',
      ),
    ],
    code: [
      'kernel/livepatch/core.c:478-479 (4.14.177)',
      'kernel/livepatch/transition.c:545-571 (4.14.177)',
      'kernel/livepatch/transition.c:627-673 (7.3.4)',
    ],
    mainline:
      "`enabled` has changed when the write returns, and the log says `livepatch: 'X': unpatching...` or " +
      "`'X': patching...` (5.10 and later: `'X': starting unpatching transition`). Every thread stays where " +
      'it is, and from then on goes the other way. The reversed transition completes with the next run of ' +
      'the periodic work, within about two seconds, even if no task has switched yet.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that the way back waits for the next periodic attempt.',
    },
    later: {
      documents: [
        livepatchRst(
          '137-140',
          'Writing the opposite value cancels the transition in effect: all tasks try to converge back.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not say that the way back waits for the next periodic attempt.',
      },
    },
    confirmed: true,
  },
  {
    id: 'TRN-7',
    section,
    statement: 'Tasks that could not be switched are tried again periodically.',
    documents: [
      livepatchTxt('114-115', 'After the first attempt it goes on trying periodically.'),
      livepatchTxt('379-380', 'The file `transition` changes to 0 once all tasks have been patched.'),
    ],
    code: [
      'kernel/livepatch/transition.c:399-408 (4.14.177)',
      'kernel/livepatch/transition.c:474-487 (7.3.4)',
    ],
    mainline:
      'About once a second. Because only that work ends the transition, `transition` may read 1 for up ' +
      'to a second after the last thread has switched.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents give no interval and do not mention the delay at the end.',
    },
    later: {
      documents: [
        livepatchRst('100-101', 'After the first attempt it goes on trying periodically.'),
        livepatchRst('331-332', 'The file `transition` changes to 0 once all tasks have been patched.'),
      ],
      deviation: {
        kind: 'undocumented',
        note: 'The documents give no interval and do not mention the delay at the end.',
      },
    },
    notes: [stateClearedFirst],
    confirmed: true,
  },
];
