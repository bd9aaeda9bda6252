// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt } from './documents.js';
import { directoryGoesLater, enabledFollows } from './notes.js';
import type { Clause } from './types.js';

const section = 'life-cycle';

/** Disabling: livepatch.txt section 5.3. */
export const disable: readonly Clause[] = [
  {
    id: 'DIS-1',
    section,
    statement: 'A patch that is not registered, or is not enabled, cannot be disabled.',
    documents: [
      livepatchTxt('400', 'Enabled patches are what can be disabled.'),
    ],
    code: ['kernel/livepatch/core.c:329-337 (4.14.177)', 'kernel/livepatch/core.c:463-476 (4.14.177)'],
    mainline: '`-EINVAL`, without a log line.',
    later: {
      documents: [
        livepatchRst('366-367', 'Enabled patches are what can be disabled, by writing 0.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'DIS-2',
    section,
    statement: 'Patches are disabled in the reverse order of enabling.',
    documents: [
      livepatchTxt('416-417', 'The order of disabling has to be exactly the reverse of that of enabling.'),
    ],
    code: ['kernel/livepatch/core.c:292-295 (4.14.177)'],
    mainline:
      '`-EBUSY` without a log line when the next patch above is enabled. From 5.1 on there is no such ' +
      'rule.',
    later: {
      documents: [
        livepatchRst('366-367', 'Enabled patches can be disabled; no order is given.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'DIS-3',
    section,
    statement: 'Disabling through the API and through sysfs does the same.',
    documents: [
      livepatchTxt('400-401', 'The two ways of disabling are named side by side.'),
      livepatchTxt('168-171', 'Writing the opposite value while the transition lasts reverses it.'),
    ],
    code: ['kernel/livepatch/core.c:289-290 (4.14.177)', 'kernel/livepatch/core.c:478-479 (4.14.177)'],
    mainline:
      "While the patch's own enable is still in transition they differ on 4.14: `klp_disable_patch()` " +
      'gives `-EBUSY`, and writing 0 to `enabled` reverses the transition. Otherwise both do the same.',
    deviation: {
      kind: 'contradicts',
      note:
        "The document makes no difference between API and sysfs; during the patch's own transition only " +
        'sysfs can go back.',
    },
    confirmed: true,
  },
  {
    id: 'DIS-4',
    section,
    statement:
      'After a disable, calls reach the version of the previous patch that changes the function, or the ' +
      'original when there is none.',
    documents: [
      livepatchTxt('401-403', 'The code of the previously enabled patch or the original code is used.'),
    ],
    code: ['kernel/livepatch/patch.c:106-117 (4.14.177)', 'kernel/livepatch/patch.c:164-166 (4.14.177)'],
    mainline:
      'With three patches on one function, disabling them from the top brings back the second version, ' +
      'then the first, then the original.',
    later: {
      documents: [
        livepatchRst('370-371', 'The code of the previously enabled patch or the original code is used.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'DIS-5',
    section,
    statement: 'The ftrace handler of a function goes away with the last patch that changes it.',
    documents: [
      livepatchTxt(
        '411-414',
        'When the list of replacements of a function becomes empty, its handler is unregistered and its ' +
        '`klp_ops` freed.',
      ),
    ],
    code: ['kernel/livepatch/patch.c:151-166 (4.14.177)'],
    mainline:
      'The line of the function leaves tracefs `enabled_functions` once the last such patch has been ' +
      'disabled and its transition is complete.',
    later: {
      documents: [
        livepatchRst(
          '377-380',
          'When the list of replacements of a function becomes empty, its handler is unregistered and ' +
          'its `klp_ops` freed.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'DIS-6',
    section,
    statement:
      'The reference on the module is dropped when the transition of a disable completes, not when it ' +
      'begins.',
    documents: [
      livepatchTxt(
        '324-326',
        'The end of a transition guarantees that the old code is out of use; removing the module is safe ' +
        'only then.',
      ),
    ],
    code: [
      'kernel/livepatch/transition.c:112-113 (4.14.177)',
      'kernel/livepatch/transition.c:134 (4.14.177)',
      'kernel/livepatch/core.c:765-767 (7.3.4)',
    ],
    mainline:
      '`refcnt` goes from 1 to 0 with `transition` going to 0. From 5.1 on it is dropped a moment later, ' +
      'by the work that also removes the directory.',
    later: {
      documents: [
        livepatchRst(
          '388-392',
          'Removing a module is safe only when nobody uses its functions, which the end of a transition ' +
          'that was not forced guarantees.',
        ),
      ],
    },
    notes: [enabledFollows],
    confirmed: true,
  },
  {
    id: 'DIS-7',
    section,
    statement: 'A disabled patch stays registered and visible in sysfs.',
    documents: [
      livepatchTxt(
        '351-352',
        'There is no sense in removing all information before the module itself is removed.',
      ),
      livepatchTxt('427-428', 'The entries are removed by unregistering.'),
    ],
    code: ['kernel/livepatch/core.c:287-313 (4.14.177)'],
    mainline:
      'The directory is there with `enabled` 0 and `transition` 0. From 5.1 on the directory goes away ' +
      'after a disable.',
    later: {
      documents: [
        livepatchRst('382', 'The last step of a disable destroys the sysfs interface.'),
      ],
    },
    notes: [directoryGoesLater],
    confirmed: true,
  },
];
