// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const minutes = 60_000;
await stockKernel();

void t.test("a fault of the emulation is tried again, and shown", { timeout: 10 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const words = ['run', packagePath('test/e2e/fixtures/emulation.ts'), '--kernel', stockName, '--accel', 'tcg'];
  const run = async (...more: string[]): Promise<unknown> => {
    await klp([...words, ...more], { cwd, timeout: 5 * minutes });
    return resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8'))).scenarios[0];
  };
  t.match(await run(), { verdict: 'pass', flaky: true, attempts: 2 });
  t.match(await run('--retries', '0'), {
    verdict: 'error',
    failure: { kind: 'infrastructure', message: 'QEMU executed a breakpoint that the kernel had taken away: Oops: int3: 0000 [#1] SMP NOPTI' },
  });
});
