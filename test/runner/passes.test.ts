// SPDX-License-Identifier: MIT
import t from 'tap';
import { original } from '../../harness/model/state.js';
import { requireMixed } from '../../harness/runner/passes.js';

const seen = (...pairs: readonly (readonly [string, string])[]) => pairs.map((pair) => ({ caller: null, pair, count: 5 }));

void t.test('a control has to show old and new in one pass; two patches have two bodies when both are new', (t) => {
  const control = (...pairs: readonly (readonly [string, string])[]) => () => requireMixed(true, seen(...pairs), 'passes');
  t.throws(control([original, original], ['klp_outer', 'klp_inner']), /none is mixed/);
  t.doesNotThrow(control(['klp_outer', 'klp_inner'], ['klp_outer', original]));
  t.doesNotThrow(() => requireMixed(false, seen([original, original]), 'passes'));
  t.end();
});
