// SPDX-License-Identifier: MIT
import t from 'tap';
import { cpuList } from '../../harness/runner/interrupts.js';

void t.test('a list of CPUs, as sysfs gives it', (t) => {
  t.strictSame(cpuList('0-1\n'), [0, 1]);
  t.strictSame(cpuList('0\n'), [0]);
  t.strictSame(cpuList('0-2,5,7-8\n'), [0, 1, 2, 5, 7, 8]);
  t.strictSame(cpuList('\n'), []);
  t.end();
});
