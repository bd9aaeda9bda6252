// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt, sysfsAbi } from './documents.js';
import type { Clause } from './types.js';

const section = 'sysfs';

/** Sysfs: livepatch.txt section 6. */
export const sysfs: readonly Clause[] = [
  {
    id: 'SYS-1',
    section,
    statement: '`enabled` can be written by root and read by everyone; `transition` can only be read.',
    documents: [
      livepatchTxt('373-374', 'A patch can be enabled by writing 1 to its file `enabled`.'),
      livepatchTxt('400-401', 'It can be disabled by writing 0 there.'),
      livepatchTxt('163-164', 'The file `transition` shows whether the patch is in transition.'),
    ],
    code: ['kernel/livepatch/core.c:518-524 (4.14.177)', 'kernel/livepatch/core.c:485-492 (7.3.4)'],
    mainline: 'The modes are 0644 and 0444.',
    later: {
      documents: [
        sysfsAbi('24-26', '`enabled` is a writable attribute.'),
        sysfsAbi('33-34', '`transition` is an attribute that tells whether the patch is in transition.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SYS-2',
    section,
    statement:
      'A write to `enabled` is parsed as a boolean by its first character, or by its first two where ' +
      'that is an `o`.',
    documents: [
      livepatchTxt('373-374', '1 enables.'),
      livepatchTxt('400-401', '0 disables.'),
    ],
    code: [
      'kernel/livepatch/core.c:455-457 (4.14.177)',
      'lib/kstrtox.c:332-367 (4.14.177)',
      'lib/kstrtox.c:336-370 (5.10.262)',
      'lib/kstrtox.c:348-387 (6.1.192)',
      'lib/kstrtox.c:348-387 (6.12.117)',
      'lib/kstrtox.c:351-395 (7.3.4)',
    ],
    mainline:
      '4.14 and 5.10 take `y`, `Y` and `1` as true, `n`, `N` and `0` as false, and `on` and `off` in ' +
      'either case; whatever follows is ignored, so that `1junk` is accepted. Anything else gives ' +
      '`-EINVAL`. 6.1 and 6.12 also take `t` and `T` as true and `f` and `F` as false, and 7.3 `e` and ' +
      '`E` as true and `d` and `D` as false too: there `foo` and `disable` switch a patch off.',
    later: {
      documents: [
        sysfsAbi('25-26', '0 disables, and 1 is said to enable again.'),
        livepatchRst('366-367', '0 disables.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SYS-3',
    section,
    statement: 'Writing to `enabled` the value that it has already is an error.',
    documents: [],
    code: ['kernel/livepatch/core.c:472-476 (4.14.177)', 'kernel/livepatch/core.c:376-380 (7.3.4)'],
    mainline: "`-EINVAL`, without a log line, during the patch's own transition too.",
    deviation: {
      kind: 'undocumented',
      note: 'The documents do not speak of a write that changes nothing.',
    },
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note: 'The documents do not speak of a write that changes nothing.',
      },
    },
    confirmed: true,
  },
  {
    id: 'SYS-4',
    section,
    statement: 'The directory of a function carries no attributes.',
    documents: [],
    code: ['kernel/livepatch/core.c:553-556 (4.14.177)'],
    mainline:
      'It is empty. The ABI text says the same, in line 56 of ' +
      '`Documentation/ABI/testing/sysfs-kernel-livepatch` (4.14.177).',
    later: {
      documents: [
        sysfsAbi('87-89', 'The directory is said to hold attributes of the function.'),
        sysfsAbi('95', 'There are none at present.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SYS-5',
    section,
    statement: 'On 4.14 a patch has the files `enabled` and `transition` and no others.',
    documents: [],
    code: ['kernel/livepatch/core.c:518-524 (4.14.177)', 'kernel/livepatch/core.c:486-505 (7.3.4)'],
    mainline:
      '`signal`, `force`, `replace` and `stack_order` of the patch and `patched` of the object do not ' +
      'exist. They came later: `signal` and `force` with 4.16 (`signal` left with 5.1), `patched` with ' +
      '6.1, `replace` with 6.11, `stack_order` with 6.14.',
    later: {
      documents: [
        sysfsAbi('36-48', 'There is a file `force`.'),
        sysfsAbi('50-56', 'There is a file `replace`, from 6.11 on.'),
        sysfsAbi('58-65', 'There is a file `stack_order`, from 6.14 on.'),
        sysfsAbi('75-81', 'The directory of an object has a file `patched`, from 6.1 on.'),
      ],
    },
    confirmed: true,
  },
];
