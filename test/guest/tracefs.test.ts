// SPDX-License-Identifier: MIT
import t from 'tap';
import { timesTraced } from '../../harness/guest/tracefs.js';

void t.test('what the function tracer records', (t) => {
  const trace = [
    '# tracer: function',
    '# klp_target_alpha <-comment',
    '       klp-agent-112     [001] .....   371.590: klp_target_alpha <-function_read',
    '       klp-agent-112     [001] .....   371.591: klp_target_alpha_two <-klp_target_alpha',
    '       klp_target_alpha-9 [001] .....   371.591: other <-klp_target_alpha',
    '       klp-agent-112     [001] .....   371.592: beta.part.0 [klp_target] <-function_read [klp_target]',
  ].join('\n');
  t.equal(timesTraced(trace, 'klp_target_alpha'), 1);
  t.equal(timesTraced(trace, 'klp_target_alpha_two'), 1);
  t.equal(timesTraced(trace, 'alpha'), 0);
  t.equal(timesTraced(trace, 'function_read'), 0, 'a caller');
  t.equal(timesTraced(trace, 'beta.part.0'), 1);
  t.equal(timesTraced(trace, 'beta_part_0'), 0);
  t.end();
});

void t.test('what the function_graph tracer records', (t) => {
  const trace = [
    '# tracer: function_graph',
    '# CPU  DURATION                  FUNCTION CALLS',
    ' 1)   2.394 us    |  klp_target_alpha [klp_target]();',
    ' 0)               |  klp_target_beta() {',
    ' 0)   0.120 us    |    klp_target_alpha();',
    ' 0)   1.120 us    |  } /* klp_target_beta [klp_target] */',
    ' 0) ! 120.0 us    |  }',
  ].join('\n');
  t.equal(timesTraced(trace, 'klp_target_alpha'), 2);
  t.equal(timesTraced(trace, 'klp_target_beta'), 1, 'not its end as well');
  t.end();
});
