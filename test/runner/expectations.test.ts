// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../harness/errors.js';
import { verdicts } from '../../harness/model/verdict.js';
import type { Verdict } from '../../harness/model/verdict.js';
import {
  clauseVerdicts,
  Expectations,
  glob,
  parseExpectations,
  readExpectations,
} from '../../harness/runner/expectations.js';
import type { Expectation, ScenarioOutcome } from '../../harness/runner/expectations.js';

const common = { reason: 'bug 12', owner: 'me', expires: '2027-01-31' };
const onScenario = (
  scenario: string,
  verdict: Expectation['verdict'],
  more: Partial<Expectation> = {},
): Expectation => ({
  scenario,
  verdict,
  ...common,
  ...more,
});
const onClause = (
  clause: string,
  verdict: Expectation['verdict'],
  more: Partial<Expectation> = {},
): Expectation => ({
  clause,
  verdict,
  ...common,
  ...more,
});
function outcome(
  verdict: Verdict,
  clauses: Record<string, Verdict> = {},
  more: Partial<ScenarioOutcome> = {},
): ScenarioOutcome {
  const list = Object.entries(clauses).map(([clause, of]) => ({ clause, verdict: of }));
  return { kernel: 'debian-6.1-x86_64', scenario: 's', verdict, clauses: list, ...more };
}
const of = (...entries: Expectation[]): Expectations => new Expectations(entries, '2026-11-22');

void t.test('the file', (t) => {
  const entry = { kernel: 'debian-*', scenario: 's', verdict: 'fail', ...common };
  const file = (...expectations: unknown[]): string => JSON.stringify({ version: 1, expectations });
  t.same(parseExpectations(file(entry), 'e.json'), [entry]);
  t.same(parseExpectations(file(), 'e.json'), []);
  const dir = t.testdir({ 'e.json': file(entry) });
  t.same(readExpectations(join(dir, 'e.json')), [entry]);
  t.throws(() => readExpectations(join(dir, 'none')), {
    message: /^can't read the expectations file .*none: ENOENT/,
  });

  const bad: [string, string][] = [
    [file(entry, { ...entry, owner: undefined }), 'e.json: entry 2: "owner" is missing'],
    [file({ ...entry, owner: ' ' }), 'e.json: entry 1: "owner" must not be empty'],
    [file({ ...entry, verdict: 'pass' }), 'e.json: entry 1: "verdict" must be "fail", "deviates" or "error"'],
    [
      file({ ...entry, expires: '2026-02-30' }),
      'e.json: entry 1: "expires" must be a day that exists, as YYYY-MM-DD',
    ],
    [
      file({ ...entry, expires: '2026-2-3' }),
      'e.json: entry 1: "expires" must be a day that exists, as YYYY-MM-DD',
    ],
    [file({ ...entry, clause: 'REG-1' }), 'e.json: entry 1: must name either a "scenario" or a "clause"'],
    [file({ ...entry, scenario: undefined }), 'e.json: entry 1: must name either a "scenario" or a "clause"'],
    [file({ ...entry, kernl: 'x' }), 'e.json: entry 1: unknown field "kernl"'],
    [file('x'), 'e.json: entry 1: Invalid input: expected object, received string'],
    [JSON.stringify({ version: 2, expectations: [] }), 'e.json: "version" must be 1'],
    [JSON.stringify({ version: 1 }), 'e.json: "expectations" is missing'],
    ['[]', 'e.json: Invalid input: expected object, received array'],
  ];
  for (const [text, message] of bad) t.throws(() => parseExpectations(text, 'e.json'), { message });
  t.throws(() => parseExpectations('{', 'e.json'), { message: /^e\.json: not JSON: / });
  t.throws(() => parseExpectations('{', 'e.json'), UsageError);
  t.throws(() => parseExpectations(file({ ...entry, owner: '' }, { ...entry, reason: '' }), 'e.json'), {
    message: 'e.json: entry 1: "owner" must not be empty',
    details: ['e.json: entry 2: "reason" must not be empty'],
  });
  t.end();
});

void t.test('an entry that names the scenario', (t) => {
  const known = onScenario('s', 'fail');
  t.same(of(known).covering(outcome('fail', { A: 'fail' })), [known]);
  t.equal(of(known).reason(outcome('fail')), 'bug 12');
  t.same(of(known).covering(outcome('fail', {}, { failure: 'panic' })), [known], 'whatever the failure was');
  t.same(of(known).covering(outcome('error')), [], 'another verdict');
  t.same(of(known).covering(outcome('fail', {}, { scenario: 't' })), [], 'another scenario');
  t.same(of({ ...known, kernel: 'debian-*' }).covering(outcome('fail')).length, 1);
  t.same(of({ ...known, kernel: 'debian-5*' }).covering(outcome('fail')), []);
  t.same(of({ ...known, expires: '2026-11-22' }).covering(outcome('fail')).length, 1, 'its last day');
  t.same(of({ ...known, expires: '2026-11-21' }).covering(outcome('fail')), [], 'the day after');
  t.equal(of(known).reason(outcome('pass')), undefined);
  t.end();
});

void t.test('entries that name clauses', (t) => {
  const [a, b, d] = [
    onClause('A', 'fail', { reason: 'one' }),
    onClause('B', 'fail', { reason: 'two' }),
    onClause('D', 'deviates'),
  ];
  t.same(of(a).covering(outcome('fail', { A: 'fail', X: 'pass', Y: 'n/a' })), [a]);
  t.same(of(a).covering(outcome('fail', { A: 'fail', B: 'fail' })), [], 'one of two is not enough');
  t.same(of(a, b).covering(outcome('fail', { A: 'fail', B: 'fail' })), [a, b]);
  t.equal(of(a, b).reason(outcome('fail', { A: 'fail', B: 'fail' })), 'one; two');
  t.same(
    of(a).covering(outcome('fail', { A: 'fail', D: 'deviates' })),
    [],
    'a deviation beside it counts too',
  );
  t.same(of(a, d).covering(outcome('fail', { A: 'fail', D: 'deviates' })), [a, d]);
  t.same(of(d).covering(outcome('deviates', { D: 'deviates' })), [d]);
  t.same(of(d).covering(outcome('fail', { D: 'deviates' })), [], 'the failure comes from elsewhere');
  t.same(of(d).covering(outcome('fail', { D: 'fail' })), [], 'worse than expected');
  t.same(of(a).covering(outcome('fail')), [], 'no clause failed');
  t.same(of(a).covering(outcome('fail', { A: 'fail' }, { failure: 'assertion' })), [a]);
  t.same(of(a).covering(outcome('fail', { A: 'fail' }, { failure: 'panic' })), [], 'a panic on top is news');
  const error = onClause('A', 'error');
  const unreached = outcome(
    'error',
    {},
    { failure: 'infrastructure', clauses: clauseVerdicts(['A'], [], 'error') },
  );
  t.same(of(error).covering(unreached), [error]);
  t.end();
});

void t.test('the clauses of a scenario', (t) => {
  const judged = [{ clause: 'A', verdict: 'pass' }] as const;
  t.same(clauseVerdicts(['A', 'B'], judged, 'pass'), judged, 'B was not judged');
  t.same(clauseVerdicts(['A', 'B'], judged, 'error'), [...judged, { clause: 'B', verdict: 'error' }]);
  t.same(clauseVerdicts(['A'], [], 'n/a'), [{ clause: 'A', verdict: 'n/a' }]);
  t.end();
});

void t.test('entries that no longer hold', (t) => {
  const stale = (entry: Expectation, ...outcomes: ScenarioOutcome[]): [string, string][] =>
    of(entry)
      .stale(outcomes)
      .map((s) => [s.why, s.text]);
  const known = onScenario('s', 'fail');
  t.same(stale(known, outcome('fail')), []);
  t.same(stale(known, outcome('pass')), [['changed', 'scenario s: expected fail: now pass (me)']]);
  t.same(
    stale(known, outcome('pass'), outcome('fail', {}, { kernel: 'other' })),
    [],
    'still needed on one kernel',
  );
  t.same(stale(known, outcome('error')), [], 'nothing was learnt');
  t.same(stale(known, outcome('pass', {}, { scenario: 't' })), [
    ['unmatched', 'scenario s: expected fail: nothing that ran matches (me)'],
  ]);
  t.same(stale({ ...known, kernel: 'x*' }, outcome('fail')), [
    ['unmatched', 'scenario s on x*: expected fail: nothing that ran matches (me)'],
  ]);
  t.same(stale({ ...known, expires: '2026-01-01' }, outcome('fail')), [
    ['expired', 'scenario s: expected fail: expired on 2026-01-01 (me)'],
  ]);
  const clause = onClause('A', 'deviates');
  t.same(stale(clause, outcome('fail', { A: 'deviates', B: 'fail' })), []);
  t.same(stale(clause, outcome('fail', { A: 'fail' }), outcome('pass', { A: 'pass' })), [
    ['changed', 'clause A: expected deviates: now fail, pass (me)'],
  ]);
  t.same(
    stale(clause, outcome('fail', { B: 'fail' })).map(([why]) => why),
    ['unmatched'],
  );
  t.end();
});

void t.test('glob', (t) => {
  t.ok(glob('debian-*-arm64', 'debian-6.1-arm64'));
  t.ok(glob('*', ''));
  t.ok(glob('a?c*', 'abc'));
  t.notOk(glob('debian-6.1', 'debian-6x1'), 'a dot is a dot');
  t.notOk(glob('a*b', 'abc'));
  t.notOk(glob('', 'a'));
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const names = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
  fc.assert(
    fc.property(letters, names, (pattern, name) => {
      const source = pattern.replaceAll('*', '.*').replaceAll('?', '.');
      assert.equal(glob(pattern, name), new RegExp(`^${source}$`).test(name));
    }),
    { numRuns: 1000 },
  );
  t.notOk(glob('*a'.repeat(5000), 'a'.repeat(4999)), 'a long pattern is no trap');
  t.end();
});

void t.test('rules for arbitrary entries and outcomes', (t) => {
  const id = fc.constantFrom('A', 'B', 'C');
  const verdict = fc.constantFrom<Expectation['verdict'][]>('fail', 'deviates', 'error');
  const expires = fc.constantFrom('2026-01-01', '2027-01-01');
  const entry = fc.oneof(
    fc
      .record({ v: verdict, id, expires })
      .map(({ v, id: clause, expires: day }) => onClause(clause, v, { expires: day })),
    fc.record({ v: verdict, expires }).map(({ v, expires: day }) => onScenario('s', v, { expires: day })),
  );
  const any = fc.constantFrom(...verdicts);
  const result = fc
    .record({ verdict: any, clauses: fc.dictionary(id, any) })
    .map((r) => outcome(r.verdict, r.clauses));
  fc.assert(
    fc.property(fc.array(entry), result, entry, (entries, res, extra) => {
      const covering = of(...entries).covering(res);
      if (res.verdict === 'pass' || res.verdict === 'n/a') assert.equal(covering.length, 0);
      for (const e of covering) {
        assert.ok(e.expires >= '2026-11-22', 'an expired entry never counts');
        assert.ok(
          !of(...entries)
            .stale([res])
            .some((s) => s.entry === e),
          'an entry that covers is not stale',
        );
      }
      if (covering.length > 0) {
        assert.ok(covering.some((e) => e.verdict === res.verdict));
        assert.ok(of(...entries, extra).covering(res).length > 0, 'another entry takes nothing away');
      }
      const expired = entries.filter((e) => e.expires < '2026-11-22').length;
      assert.equal(
        of(...entries)
          .stale([res])
          .filter((s) => s.why === 'expired').length,
        expired,
      );
    }),
  );
  t.pass('hold');
  t.end();
});
