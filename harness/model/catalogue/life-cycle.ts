// SPDX-License-Identifier: MIT
import { livepatchTxt } from './documents.js';
import { completeBeforeZero, directoryGoesLater, enabledFollows } from './notes.js';
import type { Clause } from './types.js';

const section = 'life-cycle';

/** Enabling, disabling and unregistering: livepatch.txt sections 5.2 to 5.4. */
export const lifeCycle: readonly Clause[] = [
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
    confirmed: true,
  },
  {
    id: 'ENA-8',
    section,
    statement: 'A patch that is enabled already cannot be enabled again.',
    documents: [],
    code: ['kernel/livepatch/core.c:352-356 (4.14.177)', 'kernel/livepatch/core.c:472-476 (4.14.177)'],
    mainline:
      'Through the API: a kernel warning (`WARN_ON`) and `-EINVAL`, but a plain `-EBUSY` while the ' +
      "patch's own transition lasts. Through sysfs: `-EINVAL` without a warning.",
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not speak of enabling twice, and API and sysfs answer differently.',
    },
    confirmed: true,
  },
  {
    id: 'ENA-9',
    section,
    statement: 'An enabled patch holds a reference on its module, so that the module cannot be unloaded.',
    documents: [
      livepatchTxt('318-319', 'Removing a module is safe only when nobody uses its functions.'),
    ],
    code: [
      'kernel/livepatch/core.c:363-373 (4.14.177)',
      'kernel/module.c:921-927 (4.14.177)',
      'kernel/livepatch/core.c:1155-1158 (7.3.4)',
    ],
    mainline:
      '`refcnt` reads at least 1 and `delete_module()` with `O_NONBLOCK` gives `EWOULDBLOCK` (the same ' +
      'number as `EAGAIN`).',
    confirmed: true,
  },
  {
    id: 'ENA-10',
    section,
    statement:
      'When ftrace refuses one function, the enable fails as a whole and every function stays as it was.',
    documents: [],
    code: [
      'kernel/livepatch/core.c:392-399 (4.14.177)',
      'kernel/livepatch/patch.c:231-235 (4.14.177)',
      'kernel/livepatch/transition.c:143-150 (4.14.177)',
      'kernel/livepatch/core.c:1085-1089 (7.3.4)',
    ],
    mainline:
      'The errno of ftrace is handed on; the log says why and then `livepatch: failed to enable patch ' +
      "'X'`. `enabled` reads 0, no function is redirected and, unless the patch or one of its functions " +
      'is immediate (IMM-5, IMM-6), `refcnt` is back at its old value.',
    confirmed: true,
  },
  {
    id: 'ENA-11',
    section,
    statement: 'A function has one ftrace handler, however many patches change it.',
    documents: [
      livepatchTxt(
        '387-388',
        'The handler is registered only once for a function that several patches change.',
      ),
      livepatchTxt('383-385', 'It is registered with the first patch of the function.'),
    ],
    code: [
      'kernel/livepatch/patch.c:182-204 (4.14.177)',
      'kernel/livepatch/patch.c:223-225 (4.14.177)',
      'kernel/trace/ftrace.c:3541-3544 (4.14.177)',
      'kernel/livepatch/patch.c:186-192 (7.3.4)',
    ],
    mainline:
      'In tracefs `enabled_functions` counts one user for the function and marks it `I` (the handler may ' +
      'change the instruction pointer), also when two patches change it. The mark `R` (saved registers) ' +
      'is there where livepatch asks for them: on 4.14, but not on kernels with ' +
      '`CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS`, such as the stock 6.1 and 7.3.',
    confirmed: true,
  },
  {
    id: 'ENA-12',
    section,
    statement: 'When two patches change the same function, the one enabled last is the one that runs.',
    documents: [
      livepatchTxt('389-391', 'The entry added last is chosen and becomes the active replacement.'),
    ],
    code: ['kernel/livepatch/patch.c:68-69 (4.14.177)', 'kernel/livepatch/patch.c:224 (4.14.177)'],
    mainline: 'Calls reach the replacement of the newest enabled patch, once its transition is complete.',
    confirmed: true,
  },
  {
    id: 'ENA-13',
    section,
    statement: 'A patch that was disabled can be enabled again, any number of times.',
    documents: [
      livepatchTxt(
        '343-345',
        'A patch whose code is still there may be applied again; some operations are repeated with every ' +
        'enable.',
      ),
    ],
    code: ['kernel/livepatch/core.c:347-407 (4.14.177)'],
    mainline:
      'It works each time, and after each disable `refcnt` returns to 0. From 5.1 on a disabled patch is ' +
      'gone and its module has to be loaded anew.',
    confirmed: true,
  },
  {
    id: 'ENA-14',
    section,
    statement:
      'A patch that changes several functions takes effect for a task all at once: no task runs the new ' +
      'version of one and the old version of another in the same pass.',
    documents: [
      livepatchTxt(
        '82-85',
        'For such a patch the affected unit must begin with every new version at one moment.',
      ),
      livepatchTxt('97-98', 'A patch is applied to each task when that task can be switched safely.'),
      livepatchTxt('297-298', 'All functions of a patch are handled consistently.'),
      livepatchTxt(
        '447-453',
        'Among the limitations: functions are patched one by one, so their semantics must not change.',
      ),
      livepatchTxt(
        '457-459',
        'Among the limitations: the consistency model cannot switch several functions atomically.',
      ),
    ],
    code: ['kernel/livepatch/patch.c:92-118 (4.14.177)', 'kernel/livepatch/transition.c:189-235 (4.14.177)'],
    mainline:
      'Within one system call a task sees the old version of all functions or the new version of all.',
    deviation: {
      kind: 'contradicts',
      note:
        'Two passages of the section on limitations still describe the time before the consistency model ' +
        'and deny what section 3 promises; mainline follows section 3.',
    },
    notes: [
      'Many passes happen while one parked task holds the transition. A control with two separate ' +
      'patches must show the mixing that the real case must not.',
    ],
    confirmed: true,
  },
  {
    id: 'DIS-1',
    section,
    statement: 'A patch that is not registered, or is not enabled, cannot be disabled.',
    documents: [
      livepatchTxt('400', 'Enabled patches are what can be disabled.'),
    ],
    code: ['kernel/livepatch/core.c:329-337 (4.14.177)', 'kernel/livepatch/core.c:463-476 (4.14.177)'],
    mainline: '`-EINVAL`, without a log line.',
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
    notes: [directoryGoesLater],
    confirmed: true,
  },
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
      'The transition goes on: `patch_state` stays 0 or 1 until it ends, and no directory is left ' +
      'through which it could be watched or reversed.',
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
      'When `klp_unregister_patch()` returns 0 the directory is gone: the call waits until the last user ' +
      'of it has let go.',
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
