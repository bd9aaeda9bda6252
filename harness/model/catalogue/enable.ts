// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt } from './documents.js';
import { completeBeforeZero, enabledFollows } from './notes.js';
import type { Clause } from './types.js';

const section = 'life-cycle';

/** Enabling, what may be enabled when: livepatch.txt section 5.2. */
export const enable: readonly Clause[] = [
  {
    id: 'ENA-1',
    section,
    statement: 'A patch that is not registered cannot be enabled.',
    documents: [
      livepatchTxt('358-359', 'A patch has to be registered first.'),
      livepatchTxt('373-374', 'Registered patches are what can be enabled.'),
    ],
    code: ['kernel/livepatch/core.c:424-427 (4.14.177)'],
    mainline: '`-EINVAL`, without a log line.',
    confirmed: true,
  },
  {
    id: 'ENA-2',
    section,
    statement: 'Enabling is asynchronous: the call or the write returns while tasks may still be switching.',
    documents: [
      livepatchTxt('98-100', 'Enabling starts a transition state, which usually lasts a few seconds.'),
      livepatchTxt('377-381', 'The file `transition` reads 1 while tasks converge and 0 afterwards.'),
    ],
    code: ['kernel/livepatch/core.c:402-406 (4.14.177)', 'kernel/livepatch/core.c:1080-1084 (7.3.4)'],
    mainline:
      '`klp_enable_patch()` returns 0, and a write to `enabled` returns the number of bytes written, ' +
      'with `transition` reading 1 if some task could not be switched at once.',
    later: {
      documents: [
        livepatchRst('84-86', 'Enabling starts a transition state, which usually lasts a few seconds.'),
        livepatchRst('327-332', 'The file `transition` reads 1 while tasks converge and 0 afterwards.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'ENA-3',
    section,
    statement:
      '`enabled` shows the target of the operation, not its completion: it reads 1 as soon as the enable ' +
      'has returned, while `transition` goes from 1 to 0 when all tasks have switched.',
    documents: [
      livepatchTxt('378-380', 'The file `transition` reads 1 during the transition and then changes to 0.'),
    ],
    code: [
      'kernel/livepatch/core.c:402-404 (4.14.177)',
      'kernel/livepatch/core.c:505 (4.14.177)',
      'kernel/livepatch/core.c:514-515 (4.14.177)',
      'kernel/livepatch/core.c:1080-1082 (7.3.4)',
    ],
    mainline: '`enabled` reads 1 from the return of the enable on; `transition` reads 1 and then 0.',
    later: {
      documents: [
        livepatchRst(
          '327-332',
          'The file `transition` reads 1 during the transition and then changes to 0.',
        ),
      ],
    },
    notes: [enabledFollows],
    confirmed: true,
  },
  {
    id: 'ENA-4',
    section,
    statement: 'The kernel log names the steps of an enable, in order.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:375 (4.14.177)',
      'kernel/livepatch/transition.c:429-430 (4.14.177)',
      'kernel/livepatch/transition.c:411-412 (4.14.177)',
      'kernel/livepatch/core.c:1048 (7.3.4)',
      'kernel/livepatch/transition.c:143-144 (7.3.4)',
      'kernel/livepatch/transition.c:516-518 (7.3.4)',
    ],
    mainline:
      "4.14: `livepatch: enabling patch 'X'`, `livepatch: 'X': patching...`, `livepatch: 'X': patching " +
      "complete`. 7.3 has `livepatch: 'X': starting patching transition` as the second line.",
    later: { documents: [] },
    notes: [
      completeBeforeZero,
      'On 4.14 `complete` is even written before the patch states are reset to -1; on 7.3 it comes after ' +
      'that and after the post callbacks.',
    ],
    confirmed: true,
  },
  {
    id: 'ENA-5',
    section,
    statement: 'Patches that have been registered can be enabled in any order.',
    documents: [
      livepatchTxt('393-394', 'The order of enabling may differ from that of registration.'),
    ],
    code: ['kernel/livepatch/core.c:358-361 (4.14.177)'],
    mainline:
      '4.14: `-EBUSY` without a log line, unless every patch registered earlier is enabled: only the ' +
      'first disabled patch of the stack can be enabled. From 5.1 on there is no such rule.',
    deviation: {
      kind: 'contradicts',
      note: 'The document allows any order; mainline up to 5.0 enforces the order of registration.',
    },
    confirmed: true,
  },
  {
    id: 'ENA-6',
    section,
    statement: 'A patch can be loaded and enabled although an older one is registered and disabled.',
    documents: [
      livepatchTxt('393-394', 'The order of enabling may differ from that of registration.'),
      livepatchTxt(
        '312-314',
        'Usually a livepatch module registers and enables its patch when it is loaded.',
      ),
    ],
    code: ['kernel/livepatch/core.c:358-361 (4.14.177)'],
    mainline:
      "4.14: the enable inside the new module's init function gives `-EBUSY`, and so does the load of " +
      'the module, for as long as an older patch is loaded and disabled.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document lets patches be enabled in any order; the order that mainline enforces up to 5.0 ' +
        '(ENA-5) also keeps a newer patch from being loaded.',
    },
    confirmed: true,
  },
  {
    id: 'ENA-7',
    section,
    statement: 'While one patch is in transition no other patch can be enabled.',
    documents: [
      livepatchTxt('164-165', 'One patch at most is in transition at any time.'),
    ],
    code: ['kernel/livepatch/core.c:352-353 (4.14.177)', 'kernel/livepatch/core.c:1042-1043 (7.3.4)'],
    mainline:
      '`-EBUSY` without a log line, whether through the API, through sysfs or as the result of loading a ' +
      'module that enables its patch when it is loaded.',
    later: {
      documents: [
        livepatchRst('133-134', 'Only one patch can be in transition at a time.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'ENA-8',
    section,
    statement: 'A patch that is enabled already cannot be enabled again.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:352-356 (4.14.177)',
      'kernel/livepatch/core.c:472-476 (4.14.177)',
      'kernel/livepatch/core.c:871-896 (5.10.262)',
      'kernel/livepatch/core.c:957-977 (7.3.4)',
    ],
    mainline:
      'Through the API: a kernel warning (`WARN_ON`) and `-EINVAL`, but a plain `-EBUSY` while the ' +
      "patch's own transition lasts. Through sysfs: `-EINVAL` without a warning. From 5.1 on " +
      '`klp_enable_patch()` must not be called on an enabled patch: it initialises the list heads of a ' +
      'patch that is in the list.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not speak of enabling twice, and API and sysfs answer differently.',
    },
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note:
          'The documents do not speak of enabling twice. A second `klp_enable_patch()` on a patch that ' +
          'is enabled is not caught, either: it initialises list heads that are in use.',
      },
    },
    confirmed: true,
  },
];
