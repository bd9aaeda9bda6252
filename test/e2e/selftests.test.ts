// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const minutes = 60_000;

await stockKernel();

void t.test("a script of upstream's own selftests, in one of our guests", { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const run = await klp(['run', '--suite', 'selftests', '--grep', 'test-shadow-vars', '--kernel', stockName], { cwd, timeout: 14 * minutes });
  t.equal(run.status, 0, `${run.stdout}${run.stderr}`);
  const { scenarios } = resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
  t.strictSame(
    scenarios.map((s) => [s.scenario, s.verdict]),
    [['selftests/test-shadow-vars.sh: basic shadow variable API', 'pass']],
  );
  t.match(scenarios[0]?.repeat, /^npx klp run --suite selftests --grep '\^selftests\/test-shadow-vars\\\.sh: basic shadow variable API\$' --kernel \S+$/);
});
