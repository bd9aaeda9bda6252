// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt } from './documents.js';
import type { Clause } from './types.js';

const section = 'transition';

/** Transition and patch_state, kinds of tasks: livepatch.txt section 3. */
export const tasks: readonly Clause[] = [
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
      "The child's `patch_state` equals the parent's at the moment of the fork, and so does its flag " +
      '(`TIF_PATCH_PENDING`). A moment later a pass of the periodic work may have switched either: the ' +
      'child has not run yet, and has a stack that can be checked. A kernel thread that `kthread_create()` ' +
      "makes has the state of `kthreadd`, not that of who asked for it.",
    later: {
      documents: [
        livepatchRst('91-92', 'The child of a fork inherits the state of its parent.'),
      ],
    },
    notes: [
      'To see it with a parent that is not yet switched, the parent has to fork without leaving the ' +
      'kernel: the target module has its sleepers do it. A user task that has held the transition for 15 ' +
      'seconds has a signal pending from 5.1 on, and its fork fails with `-ERESTARTNOINTR`.',
    ],
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
      'A handler that interrupts a task which is not switched calls the old version of a patched ' +
      'function; over a task which is switched, the new one. An interrupt that comes from user space ' +
      'switches the task on its way back, after the handler.',
    later: {
      documents: [
        livepatchRst('90-91', 'The handler inherits the state of the interrupted task.'),
      ],
    },
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
    later: {
      documents: [
        livepatchRst(
          '108-110',
          'I/O-bound tasks that sleep in an affected function have to be sent SIGSTOP and SIGCONT, ' +
          'which makes them leave the kernel.',
        ),
        livepatchRst('146-148', 'Tasks that block can be sent SIGSTOP and SIGCONT.'),
      ],
    },
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
    later: {
      documents: [
        livepatchRst('111-113', 'A CPU-bound task is patched the next time an IRQ interrupts it.'),
      ],
    },
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
      'kernel/livepatch/transition.c:418 (6.1.192)',
      'kernel/livepatch/transition.c:459-465 (7.3.4)',
      'kernel/sched/idle.c:386-387 (7.3.4)',
    ],
    mainline:
      '4.14 and 5.10 do not wake an idle CPU for it: an idle CPU whose timer tick is stopped may delay ' +
      'the end of the transition. 6.1 and later wake the CPUs whose idle task has not switched.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that an idle CPU may delay the transition.',
    },
    later: {
      documents: [
        livepatchRst(
          '115-117',
          'Swapper tasks never leave the kernel and have a call in the idle loop instead, which patches ' +
          'them before the CPU goes idle.',
        ),
      ],
      deviation: {
        kind: 'undocumented',
        note:
          'The documents do not say that an idle CPU may delay the transition (5.10), nor that the ' +
          'kernel wakes it (6.1 and later).',
      },
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
    later: { documents: [] },
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
      'completes while it is still there. Until it has left its CPU for the last time, a task that exits ' +
      'counts as one that runs: a pass may have to come again.',
    later: { documents: [] },
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
    later: {
      documents: [
        livepatchRst(
          '148-152',
          'Blocking tasks are sent a fake signal every 15 seconds, of which user space sees nothing.',
        ),
      ],
    },
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
    mainline:
      'No `WARN` appears, and every thread reads -1 afterwards. On 4.14 the one of ' +
      '`klp_complete_transition()` may appear: it copies the pending flag of the parent earlier in the ' +
      'fork than its `patch_state`, so that a parent which switches in between leaves its child with a ' +
      'stale flag. From 5.10.262, 6.1.192 and 7.3 on the flag goes with the state.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not say that 4.14 may warn of a child with a stale flag.',
    },
    later: {
      documents: [
        livepatchRst('91-92', 'The child of a fork inherits the state of its parent.'),
      ],
    },
    confirmed: true,
  },
];
