// SPDX-License-Identifier: MIT
import t from 'tap';
import { executed } from '../../harness/runner/shell-storms.js';

void t.test('what a storm of execs has executed, from the command line of its task', (t) => {
  t.equal(executed('sh\0/tmp/klp-execs\x0041\0'), 41);
  t.equal(executed('sh\0-c\0rm -f /tmp/klp-storm-stop; (exec sh /tmp/klp-execs 0; …)\0'), 0, 'the shell has not begun');
  t.equal(executed(''), 0, 'between two address spaces');
  t.end();
});
