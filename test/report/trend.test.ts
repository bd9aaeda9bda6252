// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type Verdict, verdicts } from '../../harness/model/verdict.js';
import { pageText } from '../../harness/report/page-text.js';
import { painter } from '../../harness/report/paint.js';
import { type Night, trendJson, trendOf } from '../../harness/report/trend.js';
import { trendPage } from '../../harness/report/trend-page.js';

interface Was {
  readonly verdict: Verdict | undefined;
  readonly version?: string;
  readonly flaky?: boolean;
  readonly durationMs?: number;
  readonly failed?: boolean;
}

/** Nights in which the scenario `s` ran on `k`; of an undefined verdict the night has no result. */
function nights(row: readonly (Verdict | undefined | Was)[]): Night[] {
  return row.map((each, i) => {
    const { verdict, version = 'v1', flaky = false, durationMs = 1000, failed = false } = typeof each === 'object' ? each : { verdict: each };
    const reason = verdict === 'fail' || verdict === 'error' ? { reason: `why ${i}` } : {};
    const results = verdict === undefined ? [] : [{ scenario: 's', verdict, flaky, durationMs, ...reason }];
    const [run, day] = [`run-${i}`, String(i + 1).padStart(2, '0')];
    return { name: `n/${run}`, run, started: `2026-11-${day}T02:00:00.000Z`, harness: '0.1.0', catalogue: 5, kernels: [{ kernel: 'k', version, fingerprint: `of ${version}`, accel: 'tcg', failed, results }] };
  });
}

const text = (all: readonly Night[]): string => pageText(trendPage(trendOf(all), []), { columns: 150 }, painter(false));

void t.test('the first bad run of what is bad now', (t) => {
  const [bad] = trendOf(nights(['pass', 'fail', 'pass', 'n/a', undefined, { verdict: 'error', version: 'v2' }, { verdict: 'fail', version: 'v2' }])).bad;
  t.match(bad, { kernel: 'k', scenario: 's', verdict: 'fail', reason: 'why 6', firstReason: 'why 5', count: 2, firstBad: { run: 'run-5' }, lastGood: { run: 'run-2' } });
  const page = text(nights(['deviates', { verdict: 'fail', version: 'v2' }]));
  t.match(page, /^2 runs, 2026-11-01 02:00 UTC to 2026-11-02 02:00 UTC: 1 scenario bad now\.$/m);
  t.match(page, /fail k s: in the last run that asked\n.*why 1\n.*first bad run: n\/run-1 \(2026-11-02 02:00 UTC, v2\)\n.*last good run: n\/run-0 \(2026-11-01 02:00 UTC, v1\)\n.*between them: kernel v1 → v2\n/);
  t.match(text(nights(['pass', 'fail'])), /between them: the same kernel and the same klp/);
  t.match(text(nights(['fail', 'fail'])), /in the last 2 runs that asked\n[^]*last good run: none in these/);
  t.same(trendOf(nights(['fail', 'pass'])).bad, [], 'mended');
  t.same(trendOf(nights(['fail', 'n/a'])).bad.length, 1, 'n/a mends nothing');
  t.end();
});

void t.test('for any row of verdicts: all since the first bad run is bad, what is before it is good', (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...verdicts, undefined), { minLength: 1, maxLength: 20 }), fc.infiniteStream(fc.nat()), (row, chance) => {
      const all = nights(row);
      const shuffled = [...all].map((night) => ({ night, at: chance.next().value as number })).sort((x, y) => x.at - y.at).map(({ night }) => night);
      const { bad, nights: sorted } = trendOf(shuffled);
      assert.deepEqual(sorted, all, 'ordered by time, however they were found');
      const judged = row.flatMap((verdict, i) => (verdict === undefined || verdict === 'n/a' ? [] : [{ i, bad: verdict === 'fail' || verdict === 'error' }]));
      assert.equal(bad.length, judged.at(-1)?.bad === true ? 1 : 0);
      for (const { firstBad, lastGood, count } of bad) {
        const first = all.findIndex((n) => n.run === firstBad.run);
        const good = all.findIndex((n) => n.run === lastGood?.run);
        assert.ok(judged.filter(({ i }) => i >= first).every((j) => j.bad));
        assert.equal(judged.filter(({ i }) => i >= first).length, count);
        assert.equal(judged.findLast(({ i }) => i < first)?.i ?? -1, good);
      }
    }),
  );
  t.end();
});

void t.test('flaky: retried, or turned without a change of the kernel', (t) => {
  const { unsteady } = trendOf(nights(['pass', { verdict: 'pass', flaky: true }, 'fail', { verdict: 'pass', version: 'v2' }]));
  t.same(unsteady, [{ kernel: 'k', scenario: 's', runs: 4, flaky: 1, flips: 1 }]);
  t.same(trendOf(nights(['pass', { verdict: 'error', failed: true }, 'pass'])).unsteady, [], 'the kernel could not be had');
  t.match(text(nights(['pass', { verdict: 'pass', flaky: true }])), /s +k +2 +1 \(50\.0 %\) +0/);
  t.end();
});

void t.test('durations: the last against the median before it', (t) => {
  const took = (ms: number): Was => ({ verdict: 'pass', durationMs: ms });
  const row = [took(1000), took(3000), { verdict: 'fail' as const, durationMs: 90_000 }, took(2000), took(5000)];
  t.same(trendOf(nights(row)).durations, [{ kernel: 'k', scenario: 's', runs: 4, median: 2000, last: 5000 }]);
  t.match(text(nights(row)), /s +k +4 +2\.0 s +5\.0 s +\+150 %/);
  t.same(trendOf(nights([took(1000)])).durations, [], 'one is no trend');
  t.end();
});

void t.test('kernels that the last run lacks', (t) => {
  const all = nights(['pass', 'pass', undefined]);
  t.match(trendOf(all).gone, [{ kernel: 'k', last: { run: 'run-1' }, since: 1 }]);
  t.match(text(all), /k: last in n\/run-1 \(2026-11-02 02:00 UTC, v1\), 1 run before the last/);
  t.same(trendOf(nights(['pass'])).gone, []);
  t.end();
});

void t.test('for programs', (t) => {
  const json = JSON.parse(JSON.stringify(trendJson(trendOf(nights(['pass', 'fail'])), [{ name: 'x', why: 'damaged' }]))) as { runs: object[] };
  t.match(json, { v: 1, leftOut: [{ name: 'x', why: 'damaged' }], bad: [{ scenario: 's' }], runs: [{ run: 'run-0', kernels: [{ results: 1, bad: 0 }] }, { kernels: [{ bad: 1 }] }] });
  t.end();
});
