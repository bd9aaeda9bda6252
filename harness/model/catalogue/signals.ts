// SPDX-License-Identifier: MIT
import { livepatchRst } from './documents.js';
import type { Clause } from './types.js';

const section = 'signals';

/** Signals that the kernel sends by itself: section 3 of livepatch.rst; 5.1 and later. */
export const signals: readonly Clause[] = [
  {
    id: 'SIG-1',
    section,
    statement: 'While tasks hold a transition, the kernel sends them a fake signal every 15 seconds.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:430-432 (5.10.262)',
      'kernel/livepatch/transition.c:337-376 (6.1.192)',
      'kernel/livepatch/transition.c:383-420 (7.3.4)',
    ],
    mainline:
      'With the sixteenth try to complete the transition, and then every fifteenth, the tries being about a second apart. ' +
      '`livepatch: signaling remaining tasks` is logged once; a reversal begins to count anew.',
    later: {
      documents: [livepatchRst('148-152', 'A fake signal is automatically sent to all remaining tasks that block, every 15 seconds.')],
    },
    confirmed: true,
  },
  {
    id: 'SIG-2',
    section,
    statement:
      'A task that sleeps interruptibly in a patched function leaves the kernel for the fake signal, of which user space sees nothing; a kernel thread is woken.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:372-374 (5.10.262)',
      'kernel/livepatch/transition.c:370 (6.1.192)',
      'kernel/livepatch/transition.c:416 (7.3.4)',
    ],
    mainline:
      'The task is switched as it leaves. No signal is pending, so that its system call is restarted like one that was ' +
      'interrupted by a signal without a handler. A kernel thread is switched if it is out of the function when its stack ' +
      'is checked next.',
    later: {
      documents: [
        livepatchRst('149-151', 'No proper signal is delivered, the pending structures hold no data; the tasks are interrupted and have to change their state.'),
      ],
    },
    confirmed: true,
  },
];
