// SPDX-License-Identifier: MIT

/*
 * What only a kernel of an older generation can be asked: it has to be brought along. `KLP_TEST_BROUGHT` holds the words that
 * choose it, several kernels separated by `;`:
 *   KLP_TEST_BROUGHT='--image bzImage --build-dir build --toolchain bullseye; --kernel vendor-4.14' make test
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { promised } from '../../kernels/promised.js';
import { catalogue } from '../../kernels/catalogue.js';
import { scenarios } from '../../scenarios/index.js';
import { klp } from '../cli/klp.js';

const minutes = 60_000;
const { KLP_TEST_BROUGHT: words = '' } = process.env;
const kernels = words.split(';').map((one) => one.trim()).filter((one) => one !== '');
const names = (await catalogue()).map((entry) => entry.name);

/** Scenarios that no kernel of the catalogue can be asked. */
const only = scenarios.filter((s) => !names.some((name) => s.needs.every((c) => promised(name).includes(c))));

for (const { id, title, needs } of kernels.length === 0 ? only : []) {
  const skip = `needs ${needs.join(', ')}, and KLP_TEST_BROUGHT names no kernel that has it`;
  void t.test(`n/a: ${id}: ${title}`, { skip }, () => undefined);
}

for (const kernel of kernels) {
  void t.test(`brought along: ${kernel}`, { timeout: 30 * minutes }, async (t) => {
    const cwd = t.testdir({});
    const { status, stdout, stderr } = await klp(['run', ...kernel.split(/\s+/)], { cwd, timeout: 29 * minutes });
    t.equal(status, 0, `${stdout}\n${stderr}`);
    const { scenarios: results } = resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
    t.equal(results.length, scenarios.length);
    for (const { scenario, verdict, reason } of results) {
      if (verdict === 'n/a') t.pass(`${scenario}: n/a`, { skip: reason ?? true });
      else t.ok(verdict === 'pass' || verdict === 'deviates', `${scenario}: ${verdict}`);
    }
  });
}

void t.test('what no kernel of the catalogue can be asked is known', (t) => {
  for (const s of only) t.ok(s.needs.some((need) => ['registration', 'immediate', 'getpid-plain'].includes(need)), s.id);
  t.ok(only.some((s) => s.id === 'enable-again'));
  t.end();
});
