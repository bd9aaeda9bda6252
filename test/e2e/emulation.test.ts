// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { type Results, resultsSchema } from '../../harness/report/results-schema.js';
import { readJournal } from '../../harness/runner/journal.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const minutes = 60_000;
await stockKernel();

void t.test('a fault of the emulation is tried again in one thread, and shown', { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const words = ['run', packagePath('test/e2e/fixtures/emulation.ts'), '--kernel', stockName, '--accel', 'tcg', '--jobs', '1'];
  const run = async (...more: string[]): Promise<Results['scenarios']> => {
    await klp([...words, ...more], { cwd, timeout: 7 * minutes });
    return resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8'))).scenarios;
  };
  const by = new Map((await run()).map((s) => [s.scenario, s]));
  t.match(by.get('emulation-stale-breakpoint'), { verdict: 'pass', flaky: true, attempts: 2 });
  t.match(by.get('emulation-breakpoint-always'), {
    verdict: 'fail',
    attempts: 2,
    failure: { kind: 'oops', message: /^the kernel warned: Oops: int3/, details: [/-accel tcg,thread=single /] },
  });
  const { events } = await readJournal(join(cwd, 'klp-results/latest/journal.ndjson'));
  const started = events.flatMap((e) => (e.type === 'scenario.started' ? [[e.scenario, e.attempt, e.threads]] : []));
  t.strictSame(started, [
    ['emulation-breakpoint-always', 1, undefined],
    ['emulation-breakpoint-always', 2, 'single'],
    ['emulation-stale-breakpoint', 1, undefined],
    ['emulation-stale-breakpoint', 2, 'single'],
  ]);

  t.match(await run('--retries', '0', '--grep', 'stale'), [{
    verdict: 'error',
    failure: { kind: 'infrastructure', message: 'QEMU executed a breakpoint that the kernel had taken away: Oops: int3: 0000 [#1] SMP NOPTI' },
  }]);
});
