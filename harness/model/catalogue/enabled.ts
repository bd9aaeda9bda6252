// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt, sysfsAbi } from './documents.js';
import type { Clause } from './types.js';

const section = 'life-cycle';

/** Enabling, what it brings: livepatch.txt sections 3 and 5.2. */
export const enabled: readonly Clause[] = [
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
    later: {
      documents: [
        livepatchRst('388-389', 'Removing a module is safe only when nobody uses its functions.'),
      ],
    },
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
      'kernel/livepatch/core.c:997-1014 (5.10.262)',
      'kernel/livepatch/transition.c:131 (5.10.262)',
      'kernel/livepatch/core.c:1085-1089 (7.3.4)',
    ],
    mainline:
      'The errno of ftrace is handed on; the log says why and then `livepatch: failed to enable patch ' +
      "'X'`. `enabled` reads 0, no function is redirected and, unless the patch or one of its functions " +
      'is immediate (IMM-5, IMM-6), `refcnt` is back at its old value. 5.10 and later log `livepatch: ' +
      "failed to patch object 'O'` before that line and `livepatch: 'X': unpatching complete` after it, " +
      'and the directory is gone.',
    later: {
      documents: [
        livepatchRst(
          '307-308',
          'The error may be used to refuse the module when its patch cannot be enabled.',
        ),
      ],
    },
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
      'In tracefs `enabled_functions` counts one user for the function and marks it `I` (the handler ' +
      'may change the instruction pointer), also when two patches change it. The mark `R` (saved ' +
      'registers) is there where livepatch asks for them: on 4.14 and 5.10, but not on kernels with ' +
      '`CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS`, such as 6.1 and later on x86-64 and 7.3 on arm64.',
    later: {
      documents: [
        livepatchRst(
          '336-338',
          'The handler is registered only once for a function that several patches change.',
        ),
        livepatchRst('325-327', 'It is registered with the first patch of the function.'),
      ],
    },
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
    later: {
      documents: [
        livepatchRst(
          '337-340',
          'Further patches add an entry to the list of the function, and the handler selects the right ' +
          'one.',
        ),
        sysfsAbi(
          '61-65',
          'Of several patches that change a function, the one with the biggest `stack_order` is used ' +
          'when no transition is under way (6.14 and later).',
        ),
      ],
    },
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
    later: {
      documents: [
        sysfsAbi('24-26', 'Writing 1 to `enabled` is said to enable a patch again.'),
        livepatchRst('398-400', 'Patches are said to be enabled and disabled by writing there.'),
        livepatchRst('382', 'The last step of a disable destroys the sysfs interface.'),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The ABI text has a disabled patch enabled again by writing 1; from 5.1 on its files are gone ' +
          'by then, and 1 can only turn back a disable that is still in transition.',
      },
    },
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
      'As long as one of the functions is on its stack, a task sees the old version of all or the new ' +
      'version of all: nothing switches it there. One that leaves its CPU within a system call, with none ' +
      'of them on its stack, may be switched at that point.',
    deviation: {
      kind: 'contradicts',
      note:
        'Two passages of the section on limitations still describe the time before the consistency model ' +
        'and deny what section 3 promises; mainline follows section 3.',
    },
    later: {
      documents: [
        livepatchRst(
          '66-71',
          'For such a patch the affected unit must begin with every new version at one moment.',
        ),
        livepatchRst('83-84', 'A patch is applied to each task when that task can be switched safely.'),
        livepatchRst('278-279', 'All functions of a patch are handled consistently.'),
      ],
    },
    notes: [
      'Many passes happen while one parked task holds the transition. A control with two separate ' +
      'patches must show the mixing that the real case must not.',
    ],
    confirmed: true,
  },
];
