// SPDX-License-Identifier: MIT
import t from 'tap';
import { waysOf } from '../../harness/runner/ways.js';

/** As 6.12 and 7.3 write it. */
const trace = `# tracer: function
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
     klp-spinner-131     [001] d..1.    24.601542: klp_update_patch_state <-exit_to_user_mode_loop
          <idle>-0       [000] .n.1.    24.603110: klp_update_patch_state <-do_idle
 a comm-12 [000]-132     [000] .....    24.604210: __klp_sched_try_switch <-__cond_resched
     klp-spinner-13      [001] d..1.    24.605542: klp_update_patch_state <-exit_to_user_mode_loop
`;

void t.test('who stands in the trace has switched by itself, or has been looked at as it gave up its CPU', (t) => {
  t.strictSame(waysOf(trace, [131, 132, 13, 31, 0]), [
    { tid: 131, way: 'itself' },
    { tid: 132, way: 'scheduler' },
    { tid: 13, way: 'itself' },
    { tid: 31, way: 'stack check' },
    { tid: 0, way: 'itself' },
  ]);
  t.strictSame(waysOf('# tracer: function\n', [5]), [{ tid: 5, way: 'stack check' }]);
  t.end();
});
