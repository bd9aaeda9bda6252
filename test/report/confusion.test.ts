// SPDX-License-Identifier: MIT
import t from 'tap';
import { confusionOf, confusionPage, kernelWitness, lintWitness, unexplained } from '../../harness/report/confusion.js';
import type { ScenarioResult } from '../../harness/report/results-schema.js';

/** A module on a kernel, as results.json has it. */
function result(kernel: string, scenario: string, behaviour: string, ...findings: string[]): ScenarioResult {
  return {
    kernel,
    scenario,
    title: `Module format: what ${scenario} is`,
    clauses: [],
    verdict: 'pass',
    durationMs: 1,
    attempts: 1,
    flaky: false,
    repeat: '',
    judgements: [],
    witnesses: [
      { situation: lintWitness, proof: findings },
      { situation: kernelWitness, proof: [behaviour, 'in words'] },
    ],
    splats: [],
  };
}

void t.test('errors of the lint, and what kernels did', (t) => {
  const error = 'error KLP020: no flag';
  const warning = 'warning KLP034: twice';
  const runs = [
    {
      scenarios: [
        result('k1', 'sound', 'works'),
        result('k1', 'EF-04', 'wrong', error, error),
        result('k1', 'EF-05', 'works', error),
        result('k1', 'EF-27', 'refused', warning),
        result('k2', 'EF-04', 'works', error),
        { ...result('k1', 'patch-vmlinux-function', 'works'), witnesses: [] },
      ],
    },
    { scenarios: [result('k2', 'EF-04', 'refused', error)] },
  ];
  const confusion = confusionOf(runs);
  t.equal(confusion.trials.length, 5, 'a later run of the same module counts; other scenarios do not');
  t.match(confusion.falseAlarms, [{ kernel: 'k1', id: 'EF-05', errors: ['KLP020'] }]);
  t.equal(confusion.falseAlarms.length, 1);
  t.match(confusion.misses, [{ kernel: 'k1', id: 'EF-27', errors: [], warnings: ['KLP034'] }], 'a warning is no error');
  t.equal(confusion.misses.length, 1);
  t.strictSame(unexplained(confusion, { 'EF-05': 'so' }).map(({ id }) => id), ['EF-27']);
  t.strictSame(unexplained(confusion, { 'EF-05': 'so', 'EF-27': 'so' }), []);
  const page = confusionPage(confusion, { 'EF-05': 'by accident' }).split('\n');
  t.ok(page.includes('| k1 | 1 | 1 | 1 | 1 |'), page.join('\n'));
  t.ok(page.includes('| k2 | 1 | 0 | 0 | 0 |'));
  t.ok(page.includes('5 modules on 2 kernels: 1 false alarm, 1 missed.'));
  t.ok(page.includes('- EF-05 (k1): by accident'));
  t.ok(page.includes('- EF-27 (k1): not explained'));
  t.ok(page.includes('| EF-04 | what EF-04 is | KLP020 | wrong | refused |'));
  t.ok(page.includes('| EF-27 | what EF-27 is | (KLP034) | refused |  |'));
  t.end();
});
