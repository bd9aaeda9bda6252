// SPDX-License-Identifier: MIT
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { cacheRoot } from '../../harness/cache.js';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { readJournal } from '../../harness/runner/journal-reader.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const own = packagePath('test/e2e/fixtures/own.ts');
const minutes = 60_000;

await stockKernel();

const entries = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

void t.test('two guests work side by side: each scenario ends only when the other has begun', { timeout: 15 * minutes }, async (t) => {
  const folder = t.testdir({ met: {} });
  const args = ['run', packagePath('test/e2e/fixtures/meeting.ts'), '--kernel', stockName, '--jobs', '2'];
  const run = await klp(args, { cwd: folder, env: { KLP_TEST_MEETING: join(folder, 'met') }, timeout: 14 * minutes });
  t.equal(run.status, 0, run.stdout);
  const { events } = await readJournal(join(folder, 'klp-results/latest/journal.ndjson'));
  t.ok(events.some((e) => e.type === 'progress' && e.text === '2 guests side by side: --jobs 2, 2 to run'));
  const guests = events.flatMap((e) => (e.type === 'scenario.started' ? [e.guest] : []));
  t.same(guests.sort(), [1, 2]);
  t.match(events.find((e) => e.type === 'run.started'), { jobs: 2, cwd: folder });
});

void t.test('three runs at once with one cache: all pass, and nothing of them is left', { timeout: 20 * minutes }, async (t) => {
  const folder = t.testdir({ a: {}, b: {}, c: {}, tmp: {}, cache: {} });
  const cache = join(folder, 'cache');
  // All but what was downloaded is missing, so that each run wants to make it, at the same time as the others.
  for (const kind of ['apt', 'packages', 'kernels']) {
    mkdirSync(join(cacheRoot(), kind), { recursive: true });
    symlinkSync(join(cacheRoot(), kind), join(cache, kind));
  }
  const env = { KLP_CACHE: cache, TMPDIR: join(folder, 'tmp') };
  const args = ['run', own, '--grep', 'own-passes', '--kernel', stockName];
  const runs = await Promise.all(
    ['a', 'b', 'c'].map((name) => klp(args, { cwd: join(folder, name), env, bare: true, timeout: 18 * minutes })),
  );
  for (const { status, stderr } of runs) t.equal(status, 0, stderr);
  for (const name of ['a', 'b', 'c']) {
    const results = join(folder, name, 'klp-results');
    const latest = join(results, 'latest');
    const { scenarios } = resultsSchema.parse(JSON.parse(readFileSync(join(latest, 'results.json'), 'utf8')));
    t.match(scenarios, [{ scenario: 'own-passes', verdict: 'pass' }]);
    t.same([...readdirSync(latest)].sort(), ['journal.ndjson', 'report.html', 'results.json', 'results.tap', 'summary.md']);
    t.equal((await readJournal(join(latest, 'journal.ndjson'))).finished, true);
  }
  t.same(entries(env.TMPDIR), [], 'no temporary file');
  t.same(entries(join(cache, 'tmp')), [], 'nothing half done in the cache');
  t.same(entries(join(cache, 'locks')), [], 'no lock');
  t.match(entries(join(cache, 'durations')), [/^[\w.-]+\.json$/]);
});
