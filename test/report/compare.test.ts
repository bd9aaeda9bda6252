// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { KlpEvent } from '../../harness/events/schema.js';
import { type Verdict, verdicts } from '../../harness/model/verdict.js';
import { Collector } from '../../harness/report/collect.js';
import { type Comparison, type Move, compare, differences, move } from '../../harness/report/compare.js';
import { comparePage } from '../../harness/report/compare-page.js';
import { pageText } from '../../harness/report/page-text.js';
import { painter } from '../../harness/report/paint.js';
import type { Results } from '../../harness/report/results-schema.js';
import { ending, finished, judgement, runArb, started, stream } from './runs.js';

export function resultsOf(events: readonly KlpEvent[]): Results {
  const collector = new Collector();
  for (const event of events) collector.add(event);
  return collector.results();
}

type Row = readonly [scenario: string, verdict: Verdict, more?: Parameters<typeof finished>[3]];

/** A run with these results; each scenario judges the clause of its own name, in capitals. */
function run(name: string, kernels: Readonly<Record<string, readonly Row[]>>): Results {
  const make = stream(name);
  const ids = [...new Set(Object.values(kernels).flatMap((rows) => rows.map(([id]) => id)))];
  const events = [make('run.started', started(Object.keys(kernels), ids))];
  for (const [kernel, rows] of Object.entries(kernels)) {
    for (const [id, verdict, more] of rows) {
      const clause = `${id.toUpperCase()}-1`;
      events.push(make('scenario.started', { kernel, scenario: id, title: `Title of ${id}`, clauses: [clause], attempt: 1 }));
      if (verdict !== 'n/a') events.push(make('judgement', judgement(kernel, id, clause, verdict)));
      events.push(make('scenario.finished', finished(kernel, id, verdict, more)));
    }
    for (const [id, verdict] of rows) events.push(make('clause.judged', { kernel, clause: `${id.toUpperCase()}-1`, statement: `Statement of ${id}.`, verdict, scenarios: [id] }));
  }
  events.push(make('run.finished', ending([], [])));
  return resultsOf(events);
}

const sides = (a: Results, b: Results): Comparison => compare({ name: 'A', results: a }, { name: 'B', results: b });
const shown = (c: Comparison): string => pageText(comparePage(c), { columns: 200 }, painter(false));

const pairsOfVerdicts: fc.Arbitrary<[Verdict | undefined, Verdict | undefined]> = fc.tuple(
  fc.constantFrom(...verdicts, undefined),
  fc.constantFrom(...verdicts, undefined),
);

void t.test('what worse means', (t) => {
  const table: readonly [Verdict | undefined, Verdict | undefined, Move][] = [
    ['pass', 'deviates', 'worse'],
    ['pass', 'n/a', 'worse'],
    ['pass', undefined, 'worse'],
    ['deviates', 'pass', 'better'],
    ['deviates', undefined, 'worse'],
    ['n/a', 'error', 'worse'],
    ['n/a', undefined, 'same'],
    ['error', 'fail', 'worse'],
    ['error', 'n/a', 'better'],
    ['error', undefined, 'open'],
    ['fail', 'pass', 'better'],
    ['fail', 'deviates', 'better'],
    ['fail', 'error', 'open'],
    ['fail', 'n/a', 'open'],
    ['fail', undefined, 'open'],
    [undefined, 'fail', 'worse'],
    [undefined, 'pass', 'better'],
    [undefined, 'n/a', 'same'],
  ];
  for (const [from, to, expected] of table) t.equal(move(from, to), expected, `${from ?? 'nothing'} → ${to ?? 'nothing'}`);
  fc.assert(
    fc.property(pairsOfVerdicts, ([from, to]) => {
      assert.equal(move(from, from), 'same');
      assert.equal(move(from, to) === 'worse', ['better', 'open'].includes(move(to, from)));
      assert.ok(to !== 'fail' || from === 'fail' || move(from, to) === 'worse', 'what fails now and did not is worse');
    }),
  );
  t.end();
});

void t.test('a run compared with itself differs in nothing', (t) => {
  fc.assert(
    fc.property(runArb, ({ events }) => {
      const results = resultsOf(events);
      const c = sides(results, results);
      assert.deepEqual([c.scenarios, c.clauses, c.otherwise, c.unjudged, differences(c)], [[], [], [], [], []]);
      assert.equal(c.worse, false);
      assert.match(shown(c), /^No verdict changed\./m);
    }),
  );
  t.end();
});

void t.test('B against A is A against B turned round', (t) => {
  const names = (all: readonly { pair: object; id: string }[]): string[] => all.map((c) => c.id).sort();
  fc.assert(
    fc.property(runArb, runArb, (one, other) => {
      const [a, b] = [resultsOf(one.events), resultsOf(other.events)];
      const [there, back] = [sides(a, b), sides(b, a)];
      for (const which of ['scenarios', 'clauses'] as const) {
        assert.deepEqual(names(there[which]), names(back[which]));
        for (const change of there[which]) {
          const turned = back[which].find((c) => c.id === change.id && (c.pair.a ?? '') === (change.pair.b ?? '') && (c.pair.b ?? '') === (change.pair.a ?? ''));
          assert.ok(turned);
          assert.deepEqual([turned.from?.verdict, turned.to?.verdict], [change.to?.verdict, change.from?.verdict]);
          assert.equal(change.move === 'worse', ['better', 'open'].includes(turned.move));
        }
      }
      assert.deepEqual(differences(there).map(([what, x, y]) => [what, y, x]), differences(back).map((row) => [...row]));
      const bad = [...there.scenarios, ...there.clauses].some((c) => c.move === 'worse');
      assert.equal(there.worse, bad, 'the status says whether anything got worse');
      assert.equal(comparePage(there).mood === 'bad', bad, 'and so does the page');
    }),
  );
  t.end();
});

void t.test('kernels are paired by name, or when each side has one, or as told', (t) => {
  const [a, b] = [run('a', { old: [['x', 'pass']] }), run('b', { new: [['x', 'fail', { reason: 'X-1: 0' }]] })];
  const c = sides(a, b);
  t.same(c.pairs, [{ a: 'old', b: 'new' }]);
  t.ok(c.worse);
  t.match(shown(c), /pass → fail x: Title of x\n {6}\| X-1: 0\n {6}\| X-1 fail: write 1 to enabled: seen 0; mainline: -EBUSY; documents: forbid \(livepatch\.txt:393\)/);
  t.match(shown(c), /repeat: npx klp run x --kernel new/);

  const two = run('two', { old: [['x', 'pass']], new: [['x', 'deviates']] });
  const inOne = compare({ name: 'r', results: two }, { name: 'r', results: two }, [{ a: 'old', b: 'new' }]);
  t.same(inOne.scenarios.map((s) => [s.id, s.from?.verdict, s.to?.verdict]), [['x', 'pass', 'deviates']]);

  const lost = sides(two, a);
  t.same(lost.pairs, [{ a: 'old', b: 'old' }, { a: 'new' }]);
  t.ok(lost.worse, 'what a kernel that vanished had shown is lost');
  t.match(shown(lost), /Kernels that vanished\n {2}new: 1 scenario, 1 deviates/);

  t.throws(() => sides(run('c', { p: [['x', 'pass']], q: [] }), b), { message: 'the runs have no kernel in common', hint: 'say which are to be compared: --kernel A=B' });
  t.throws(() => compare({ name: 'A', results: a }, { name: 'B', results: b }, [{ a: 'old', b: 'nwe' }]), { message: 'kernel nwe is not in B', hint: 'it has new' });
  t.end();
});

void t.test('each kind of change has its place', (t) => {
  const a = run('a', { k: [['b', 'fail'], ['c', 'fail'], ['g', 'pass'], ['s', 'fail', { failure: { kind: 'assertion', message: 'm' } }], ['f', 'pass', { flaky: true }], ['d', 'pass', { durationMs: 1000 }]] });
  const b = run('b', { k: [['b', 'pass'], ['c', 'error'], ['n', 'fail', { expected: 'bug 7' }], ['s', 'fail', { failure: { kind: 'panic', message: 'p' } }], ['f', 'pass'], ['d', 'pass', { durationMs: 9000 }]] });
  const text = shown(sides(a, { ...b, catalogue: 4 }));
  const part = (title: string): string => text.split('\n\n').find((p) => p.startsWith(title)) ?? '';
  t.match(part('Better'), /fail → pass b/);
  t.match(part('Failed before, and no longer judged'), /fail → error c/);
  t.match(part('Vanished'), /pass → nothing g\n/);
  t.match(part('Appeared'), /nothing → fail n: Title of n \(expected: bug 7\)/);
  t.match(part('Bad as before, for another reason'), /fail → fail s: Title of s\n {6}\| panic: p/);
  t.match(part('Flaky'), /f, in A/);
  t.match(part('Durations'), /d +1\.0 s +9\.0 s +× 9\.0/);
  t.match(text, /clause catalogues 3 and 4: a clause may have changed its meaning between them/);
  t.match(text, /^Vanished: 1 scenario, 1 clause \(worse: 1 scenario, 1 clause\)\. Failed before/m, 'each is counted once');
  t.end();
});

void t.test('a run that ended before its clauses were judged is compared by scenarios', (t) => {
  const a = run('a', { k: [['x', 'pass'], ['y', 'pass']] });
  const cut: Results = { ...a, finished: false, clauses: [], scenarios: a.scenarios.slice(0, 1) };
  const c = sides(a, cut);
  t.same(c.clauses, []);
  t.match(shown(c), /B: the run did not finish/);
  t.match(shown(c), /k: one side ended before its clauses were judged/);
  t.ok(c.worse, 'y has no result any more');
  t.end();
});
