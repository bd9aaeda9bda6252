// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Parser } from 'tap-parser';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { readJournal } from '../../harness/runner/journal.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

await stockKernel();

void t.test('a hostile guest is quoted, not obeyed', { timeout: 900_000 }, async (t) => {
  const cwd = t.testdir({});
  const words = ['run', packagePath('test/e2e/fixtures/hostile.ts'), '--kernel', stockName];
  const run = await klp(words, { cwd, timeout: 850_000, env: { FORCE_COLOR: '0' } });
  t.equal(run.status, 3, run.stderr);
  const folder = join(cwd, 'klp-results/latest');
  const file = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const [tap, json, journal] = ['results.tap', 'results.json', 'journal.ndjson'].map(file);

  for (const [name, text = ''] of Object.entries({ list: run.stdout, stderr: run.stderr, tap, json, journal })) {
    const bad = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(text);
    t.equal(bad === null ? '' : JSON.stringify(text.slice(Math.max(0, bad.index - 60), bad.index + 20)), '', `${name}: nothing unprintable`);
  }
  t.notMatch(run.stdout + run.stderr, /^\s*::/m, 'no command to a CI system');
  t.ok(run.stdout.includes('\\x1b]8;;x\\x07\\x1b[31mab'), 'the comm is shown');
  t.match(run.stdout, /^ {4}\| \[[\d.]+\] klp-hostile: \\x1b\]0;owned/m, 'and the log');

  const parsed = Parser.parse(tap ?? '', { strict: true }) as [string, unknown][];
  t.match(
    parsed.filter(([kind]) => kind === 'assert').map(([, point]) => point),
    [{ ok: false, todo: false, skip: false, name: / \/ own-says: Whatever a guest says is shown and not obeyed$/ }],
  );
  t.same(parsed.filter(([kind]) => ['extra', 'child', 'pragma'].includes(kind)), []);

  const [scenario] = resultsSchema.parse(JSON.parse(json ?? '')).scenarios;
  t.match(scenario?.failure?.message, /not ok 1 - injected # TODO injected/, 'as it was said');
  t.ok((await readJournal(join(folder, 'journal.ndjson'))).finished);
});
