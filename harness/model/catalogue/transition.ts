// SPDX-License-Identifier: MIT
import { livepatchTxt } from './documents.js';
import { stateClearedFirst, sweepIsAnInterval } from './notes.js';
import type { Clause } from './types.js';

const section = 'transition';

/** Transition and patch_state: livepatch.txt section 3. */
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
      "`enabled` changes at once, and the log says `livepatch: 'X': unpatching...` or `'X': patching...` " +
      "(7.3: `'X': starting unpatching transition`). The reversed transition completes with the next run " +
      'of the periodic work, within about a second, even if no task has switched yet.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that the way back waits for the next periodic attempt.',
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
    notes: [stateClearedFirst],
    confirmed: true,
  },
  {
    id: 'TRN-8',
    section,
    statement: 'A child that is forked during a transition starts in the state of its parent.',
    documents: [
      livepatchTxt('105-106', 'The child of a fork inherits the state of its parent.'),
    ],
    code: [
      'kernel/livepatch/transition.c:573-579 (4.14.177)',
      'kernel/fork.c:1874 (4.14.177)',
      'kernel/livepatch/transition.c:676-695 (7.3.4)',
    ],
    mainline:
      "The child's `patch_state` equals the parent's at the moment of the fork. To see it with a parent " +
      'that is not yet switched, the parent has to fork without leaving the kernel: a kernel thread made ' +
      'for the purpose.',
    confirmed: true,
  },
  {
    id: 'TRN-9',
    section,
    statement: 'An interrupt handler runs with the state of the task that it interrupts.',
    documents: [
      livepatchTxt('104-105', 'The handler inherits the state of the interrupted task.'),
    ],
    code: ['kernel/livepatch/patch.c:102 (4.14.177)'],
    mainline:
      'A timer that goes off over a task which is not switched calls the old version of a patched ' +
      'function; over a task which is switched, the new one.',
    confirmed: true,
  },
  {
    id: 'TRN-10',
    section,
    statement:
      'A user task that sleeps interruptibly in a patched function is switched by sending it SIGSTOP and ' +
      'SIGCONT.',
    documents: [
      livepatchTxt(
        '122-124',
        'I/O-bound tasks that sleep in an affected function have to be sent SIGSTOP and SIGCONT, which ' +
        'makes them leave the kernel.',
      ),
      livepatchTxt('177-179', 'The same advice for any task that blocks the transition.'),
    ],
    code: ['arch/x86/entry/common.c:170-171 (4.14.177)', 'kernel/livepatch/transition.c:159-183 (4.14.177)'],
    mainline:
      'The interruptible sleeper returns to user space and reads 1. A task in uninterruptible sleep and ' +
      'a kernel thread are not moved by signals and stay 0.',
    confirmed: true,
  },
  {
    id: 'TRN-11',
    section,
    statement: 'A user task that does nothing but compute is switched by the next interrupt on its CPU.',
    documents: [
      livepatchTxt('125-127', 'A CPU-bound task is patched the next time an IRQ interrupts it.'),
    ],
    code: ['arch/x86/entry/common.c:170-171 (4.14.177)', 'kernel/livepatch/transition.c:159-183 (4.14.177)'],
    mainline: 'A spinning task reads 1 within a few timer ticks.',
    confirmed: true,
  },
  {
    id: 'TRN-12',
    section,
    statement: 'The idle task of a CPU switches in the idle loop.',
    documents: [
      livepatchTxt(
        '135-137',
        'Swapper tasks never leave the kernel and have a call in the idle loop instead, which patches ' +
        'them before the CPU goes idle.',
      ),
    ],
    code: [
      'kernel/sched/idle.c:271-272 (4.14.177)',
      'kernel/livepatch/transition.c:385-396 (4.14.177)',
      'kernel/livepatch/transition.c:459-465 (7.3.4)',
      'kernel/sched/idle.c:386-387 (7.3.4)',
    ],
    mainline:
      '4.14 does not wake an idle CPU for it: an idle CPU whose timer tick is stopped may delay the end ' +
      'of the transition. 7.3 wakes the CPUs whose idle task has not switched.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that an idle CPU may delay the transition.',
    },
    confirmed: true,
  },
  {
    id: 'TRN-13',
    section,
    statement: 'The idle task of a CPU that is offline does not hold the transition.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:391-395 (4.14.177)',
      'kernel/livepatch/transition.c:466-470 (7.3.4)',
    ],
    mainline:
      'It is switched on the spot: with a CPU taken offline before the enable, the transition completes.',
    confirmed: true,
  },
  {
    id: 'TRN-14',
    section,
    statement: 'A zombie does not hold the transition.',
    documents: [],
    code: [
      'arch/x86/kernel/stacktrace.c:163-168 (4.14.177)',
      'kernel/livepatch/transition.c:253-277 (4.14.177)',
    ],
    mainline:
      'A process that has exited and was not waited for has no stack to be checked; the transition ' +
      'completes while it is still there.',
    confirmed: true,
  },
  {
    id: 'TRN-15',
    section,
    statement: '4.14 sends no signal by itself to a task that blocks the transition.',
    documents: [
      livepatchTxt('122-124', 'Whoever wants such a task patched has to send it the signals.'),
      livepatchTxt('177-179', 'Tasks that block can be signalled.'),
    ],
    code: [
      'kernel/livepatch/transition.c:399-408 (4.14.177)',
      'kernel/livepatch/transition.c:475-477 (7.3.4)',
      'kernel/livepatch/transition.c:387-420 (7.3.4)',
    ],
    mainline:
      'An interruptible sleeper in a patched function still reads 0 after 60 seconds. From 5.1 on the ' +
      'kernel sends a fake signal to user tasks that block, and wakes kernel threads, every 15 seconds.',
    confirmed: true,
  },
  {
    id: 'TRN-16',
    section,
    statement:
      'Tasks that are created or that end during a transition leave no trace in it: no kernel warning, ' +
      'and no thread that keeps a state of 0 or 1.',
    documents: [
      livepatchTxt('105-106', 'The child of a fork inherits the state of its parent.'),
    ],
    code: [
      'kernel/livepatch/transition.c:119-124 (4.14.177)',
      'kernel/livepatch/transition.c:574-579 (4.14.177)',
      'kernel/livepatch/transition.c:676-695 (7.3.4)',
    ],
    mainline: 'No `WARN` appears, and every thread reads -1 afterwards.',
    notes: [
      '4.14 copies the pending flag of the parent earlier in the fork than its `patch_state`, so that a ' +
      'parent which switches in between may leave its child with a stale flag; 7.3 brings the flag up to ' +
      'date. A warning from that window is a finding, not a fault of the scenario.',
    ],
    confirmed: true,
  },
];
