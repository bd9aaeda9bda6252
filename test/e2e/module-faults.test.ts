// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const minutes = 60_000;

await stockKernel();

void t.test('broken modules on a kernel: refused, a crash, silently not applied, bound wrongly; and a sound one', { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const modules = ['sound', 'EF-18', 'EF-29', 'EF-11', 'EF-35'];
  const run = await klp(['run', '--suite', 'faults', ...modules, '--kernel', stockName, '--jobs', '1'], { cwd, timeout: 14 * minutes });
  t.equal(run.status, 0, `${run.stdout}${run.stderr}`);
  const { scenarios } = resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
  const seen = (id: string): readonly string[] => scenarios.find((s) => s.scenario === id)?.witnesses.find((w) => w.situation === 'the kernel')?.proof ?? [];
  t.strictSame(scenarios.map((s) => [s.scenario, s.verdict]), [
    ['sound', 'deviates'],
    ['EF-18', 'pass'],
    ['EF-29', 'pass'],
    ['EF-11', 'pass'],
    ['EF-35', 'pass'],
  ]); // prettier-ignore
  t.match(seen('sound'), ['works', 'works', 'tainted as patched: yes', 'remains: module, patch']);
  t.equal(seen('sound').filter((line) => /^\.klp\.sym\.\S+,0 = [0-9a-f]{16}$/.test(line)).length, 3, 'kallsyms has the livepatch symbols');
  t.match(seen('EF-18'), ['refused', /^refused: EINVAL, .*incorrectly formatted name/, 'tainted as patched: yes', 'remains: nothing']);
  t.match(seen('EF-29'), ['crashes', /^crashes: /]);
  t.match(seen('EF-11'), ['ignored', /code-vmlinux holds [0-9a-f]+, not [0-9a-f]+/, 'tainted as patched: yes', 'remains: module, patch']);
  t.match(seen('EF-35'), ['wrong', /code-vmlinux holds [0-9a-f]+, not [0-9a-f]+/]);
  t.ok((scenarios.find((s) => s.scenario === 'EF-29')?.splats ?? []).every((s) => s.declared), 'the crash is the answer, not an error');

  const table = await klp(['lint', '--confusion'], { cwd, timeout: minutes });
  t.equal(table.status, 0, `${table.stdout}${table.stderr}`);
  t.match(table.stdout, '5 modules on 1 kernel: 0 false alarms, 0 missed.');
  const nothing = await klp(['lint', '--confusion', 'elsewhere'], { cwd, timeout: minutes });
  t.equal(nothing.status, 2);
  t.match(nothing.stderr, /elsewhere\/results\.json: /);
});
