// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt } from './documents.js';
import type { Clause } from './types.js';

const section = 'ftrace';

/** Ftrace and kprobes: livepatch.txt sections 2 and 7. */
export const ftrace: readonly Clause[] = [
  {
    id: 'FTR-1',
    section,
    statement: 'A function that ftrace cannot trace, because it is marked `notrace`, cannot be patched.',
    documents: [
      livepatchTxt(
        '470-476',
        'Only functions that can be traced can be patched; the critical ones are marked `notrace`.',
      ),
    ],
    code: [
      'kernel/livepatch/patch.c:207-212 (4.14.177)',
      'kernel/livepatch/patch.c:209 (5.10.262)',
      'kernel/livepatch/patch.c:175-179 (6.1.192)',
      'kernel/livepatch/patch.c:175-180 (7.3.4)',
    ],
    mainline:
      'Registration accepts it; the enable gives `-EINVAL`. 4.14 and 5.10 log `livepatch: failed to set ' +
      "ftrace filter for function 'x' (-22)`, 6.1 and later `livepatch: failed to find location for " +
      "function 'x'`; then as in ENA-10.",
    later: {
      documents: [
        livepatchRst(
          '413-419',
          'Only functions that can be traced can be patched; the critical ones are marked `notrace`.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'FTR-2',
    section,
    statement:
      'Where a probe and a patch both want to redirect a function, the first one has it and the other is ' +
      'rejected.',
    documents: [
      livepatchTxt(
        '497-499',
        'Both use an ftrace handler that changes the return address; the first wins, and whichever comes ' +
        'second is rejected.',
      ),
    ],
    code: [
      'kernel/kprobes.c:1000-1028 (4.14.177)',
      'kernel/kprobes.c:1615-1616 (4.14.177)',
      'kernel/trace/ftrace.c:1934-1978 (4.14.177)',
      'kernel/livepatch/patch.c:214-219 (4.14.177)',
      'kernel/kprobes.c:1031-1043 (4.14.177)',
      'kernel/kprobes.c:1042-1081 (5.10.262)',
      'kernel/kprobes.c:1147-1181 (7.3.4)',
      'kernel/kprobes.c:1710-1714 (7.3.4)',
      'arch/arm64/kernel/ftrace.c:72-117 (7.3.4)',
    ],
    mainline:
      'With the probe first, enabling the patch gives `-EBUSY` and the log says `livepatch: failed to ' +
      "register ftrace handler for function 'f' (-16)`. With the patch first, 4.14 lets " +
      '`register_kprobe()` return 0: a kernel warning, `Failed to init kprobe-ftrace (-16)`, is all ' +
      'there is, the probe never fires, and its removal gives two more warnings. 5.10 and later on ' +
      'x86-64 return `-EBUSY`, without a message, for a probe that still conflicts (FTR-3). On arm64 a ' +
      'probe at the entry lies before the place that ftrace patches, and nothing conflicts.',
    deviation: {
      kind: 'contradicts',
      note:
        'The document says that the second is rejected, in either order; on 4.14 a probe that comes ' +
        'second is accepted and dead.',
    },
    later: {
      documents: [
        livepatchRst(
          '440-442',
          'Both use an ftrace handler that changes the return address; the first wins, and the other is ' +
          'rejected.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document says that the second is rejected; on x86-64 that is so of a kprobe with a ' +
          '`post_handler` only, and on arm64 of none: the others live beside the patch.',
      },
    },
    confirmed: true,
  },
  {
    id: 'FTR-3',
    section,
    statement: 'Only a kretprobe conflicts with a patch of the same function.',
    documents: [
      livepatchTxt('494-495', 'Kretprobes that use ftrace are said to conflict with patched functions.'),
      livepatchTxt(
        '502-503',
        'Other kprobes in the original function are said to be ignored, which is not a conflict.',
      ),
    ],
    code: [
      'kernel/kprobes.c:1000-1003 (4.14.177)',
      'kernel/kprobes.c:1019-1027 (5.10.262)',
      'kernel/kprobes.c:1061-1069 (6.1.192)',
      'kernel/kprobes.c:1060-1068 (6.12.117)',
      'kernel/kprobes.c:1133-1141 (7.3.4)',
      'kernel/kprobes.c:1174-1181 (7.3.4)',
      'kernel/kprobes.c:1607-1619 (7.3.4)',
    ],
    mainline:
      'On 4.14 every kprobe at the entry of a function conflicts, because all of them ask ftrace for ' +
      'the right to change the instruction pointer. On 5.10 and later on x86-64 only one with a ' +
      '`post_handler` does, so that a kretprobe does not: it and the patch both work, in either order. ' +
      'On arm64, where kprobes do not use ftrace, none does.',
    deviation: {
      kind: 'contradicts',
      note: 'The document limits the conflict to kretprobes; on 4.14 any kprobe at the entry conflicts.',
    },
    later: {
      documents: [
        livepatchRst('437-438', 'Kretprobes that use ftrace are said to conflict with patched functions.'),
        livepatchRst(
          '445-446',
          'Other kprobes in the original function are said to be ignored, which is not a conflict.',
        ),
      ],
      deviation: {
        kind: 'contradicts',
        note:
          'The document names kretprobes; they do not conflict any more, and a kprobe with a ' +
          '`post_handler` at the entry does on x86-64.',
      },
    },
    confirmed: true,
  },
  {
    id: 'FTR-4',
    section,
    statement:
      'A kprobe inside the body of the original function does not fire once calls go to the replacement.',
    documents: [
      livepatchTxt('502-503', 'Kprobes in the original function are ignored when the code is redirected.'),
    ],
    code: ['kernel/livepatch/patch.c:120 (4.14.177)'],
    mainline:
      'The probe stays registered, and its count stands still while the patch is enabled. It fires again ' +
      'after the disable.',
    later: {
      documents: [
        livepatchRst(
          '445-446',
          'Kprobes in the original function are ignored when the code is redirected.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'FTR-5',
    section,
    statement:
      'While the sysctl `kernel.ftrace_enabled` is 0, no patch has any effect, whether it was enabled ' +
      'before or after that was written.',
    documents: [],
    code: [
      'kernel/trace/ftrace.c:2745-2746 (4.14.177)',
      'kernel/trace/ftrace.c:6572-6577 (4.14.177)',
      'kernel/trace/ftrace.c:323-324 (5.10.262)',
      'kernel/trace/ftrace.c:7694-7699 (5.10.262)',
      'kernel/trace/ftrace.c:8524-8529 (6.1.192)',
      'kernel/trace/ftrace.c:8908-8913 (6.12.117)',
      'kernel/trace/ftrace.c:9441-9447 (7.3.4)',
    ],
    mainline:
      'On 4.14 writing 0 takes the effect from an enabled patch without a message, enabling one while ' +
      'it is 0 returns success, and writing 1 brings all of them into effect. On 5.10, 6.1 and 6.12 the ' +
      'write gives `-EBUSY` while a function is redirected; otherwise it succeeds, and then enabling a ' +
      'patch gives `-EBUSY` with the messages of FTR-2. 7.3 answers the write with `-EOPNOTSUPP`, patch ' +
      'or no patch, and logs once that the file `no longer disables ftrace`.',
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not mention the sysctl.',
    },
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not mention the sysctl.',
      },
    },
    confirmed: true,
  },
  {
    id: 'FTR-6',
    section,
    statement: 'The function tracer and a patch can use the same function at the same time.',
    documents: [
      livepatchTxt(
        '54-57',
        'The mechanisms that change code must be aware of each other, which dynamic ftrace sees to in ' +
        'most cases.',
      ),
    ],
    code: ['kernel/livepatch/patch.c:197-202 (4.14.177)', 'kernel/trace/ftrace.c:1946-1947 (4.14.177)'],
    mainline: 'They live together, whichever comes first: the calls are traced and redirected.',
    later: {
      documents: [
        livepatchRst(
          '41-47',
          'The mechanisms that change code must be aware of each other, which dynamic ftrace sees to in ' +
          'most cases.',
        ),
      ],
    },
    confirmed: true,
  },
];
