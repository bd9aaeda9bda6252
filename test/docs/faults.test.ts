// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import t from 'tap';
import { explained } from '../../harness/elf/index.js';
import { packagePath } from '../../harness/package-root.js';
import { faultTrials } from '../../harness/runner/fault-trials.js';

void t.test('docs/faults.md has every module of the suite, what kernels did with it, and why where the lint does not fit', (t) => {
  const [, printed = ''] = readFileSync(packagePath('docs/faults.md'), 'utf8').split(/^<!-- .* -->$/m);
  const page = printed.split('\n');
  const rows = page.flatMap((line) => /^\| ((?:sound|EF-\d\d)[\w-]*) \| (.*?) \|/.exec(line)?.slice(1, 3).join(': ') ?? []);
  t.strictSame(rows, faultTrials.map(({ id, title }) => `${id}: ${title}`), 'klp lint --confusion prints them');
  for (const [id, why] of Object.entries(explained)) {
    t.ok(page.some((line) => line.startsWith(`- ${id} (`) && line.endsWith(why)), `${id} is explained`);
  }
  t.notMatch(page.join('\n'), 'not explained');
  t.end();
});
