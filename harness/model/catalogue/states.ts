// SPDX-License-Identifier: MIT
import { systemState } from './documents.js';
import type { Clause } from './types.js';

const section = 'states';
const code = [
  'kernel/livepatch/state.c:87-119 (5.10.262)',
  'kernel/livepatch/state.c:87-119 (7.3.4)',
  'kernel/livepatch/core.c:1148-1153 (7.3.4)',
];

/** System states: system-state.rst; 5.5 and later. */
export const states: readonly Clause[] = [
  {
    id: 'STA-1',
    section,
    statement: 'A patch with a system state of an older version than a patch that is there is refused; the same or a newer one is taken.',
    documents: [],
    code,
    mainline:
      '`EINVAL`, and the log says `livepatch: Livepatch patch (X) is not compatible with the already installed ' +
      'livepatches.`; nothing of the patch is left. States that no patch has yet are free.',
    later: {
      documents: [
        systemState('71', 'A new modification of the state is always allowed.'),
        systemState('73-74', 'For states that are modified already, the same version or a higher one is allowed.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'STA-2',
    section,
    statement: 'A patch that replaces is refused unless it has every system state of the patches that are there; another need not.',
    documents: [],
    code,
    mainline: 'As in STA-1. A patch that does not replace may leave out what others have.',
    later: {
      documents: [
        systemState('76-77', 'A cumulative patch must handle all states of the patches that are there.'),
        systemState('79-80', 'One that is not cumulative may touch states that are modified already.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'STA-3',
    section,
    statement:
      'A callback finds the states of its own patch and, of the patches before it, the newest that has the state: with what they ' +
      'keep in it, so that it can be taken over, and given back when the transition is turned round.',
    documents: [],
    code: ['kernel/livepatch/state.c:31-84 (5.10.262)', 'kernel/livepatch/state.c:31-84 (7.3.4)'],
    mainline:
      'In every callback of a transition klp_get_state() and klp_get_prev_state() give the state. There is a state before in an ' +
      'enable upon or instead of a patch that has it, in its reversal, and in the disable of a patch above another one.',
    later: {
      documents: [
        systemState('55-63', 'The two functions find the state of a given patch, and that of the patches that are there already.'),
        systemState('92-100', 'A change can be taken over from a patch that is replaced, and is restored when the transition is reverted.'),
        systemState('150-154', 'By klp_get_prev_state() post_unpatch tells a reversal from a disable.'),
      ],
    },
    confirmed: true,
  },
];
