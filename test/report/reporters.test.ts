// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../harness/errors.js';
import { parseEvent } from '../../harness/events/schema.js';
import { verdicts } from '../../harness/model/verdict.js';
import { createReporter, reporterNames } from '../../harness/report/reporters.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { listCounts, plain, report, tally, tapPoints } from './forms.js';
import { ending, finished, judgement, runArb, started, stream } from './runs.js';
import type { GeneratedRun } from './runs.js';


/** As run.started lists them, whatever order they finished in. */
function inOrder(results: GeneratedRun['results']): GeneratedRun['results'] {
  const name = (r: GeneratedRun['results'][number]): string => `${r.kernel} ${r.scenario}`;
  return [...results].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}

// A property needs something that throws, so that fast-check can shrink: node:assert, not tap.
function sameCounts(run: GeneratedRun): void {
  const { verdicts: counts, expected } = tally(run.results);
  const wanted = { verdicts: counts, expected };
  const json = resultsSchema.parse(JSON.parse(report('json', run.events)));
  assert.deepEqual(json.counts.scenarios, wanted.verdicts, 'json');
  assert.deepEqual(json.counts.expected, wanted.expected, 'json expected');
  assert.deepEqual(tally(json.scenarios).verdicts, counts, 'json scenarios');
  const names = (of: readonly { kernel: string; scenario: string }[]): string[] => of.map((s) => `${s.kernel} ${s.scenario}`);
  assert.deepEqual(names(json.scenarios), names(inOrder(run.results)), 'json order');
  assert.deepEqual(json.counts.clauses, tally(run.clauses).verdicts, 'json clauses');

  const list = listCounts(report('list', run.events));
  assert.deepEqual(list.lines, counts, 'list lines');
  assert.deepEqual({ verdicts: list.summary.verdicts, expected: list.summary.expected }, wanted, 'list summary');

  const points = tapPoints(report('tap', run.events));
  assert.equal(points.length, run.results.length, 'tap points');
  for (const [i, { verdict, expected, repeat }] of inOrder(run.results).entries()) {
    const point = points[i];
    assert.ok(point);
    const ok = verdict === 'pass' || verdict === 'n/a' || (verdict === 'deviates' && !run.strict);
    assert.equal(point.ok, ok, 'tap ok');
    assert.equal(Boolean(point.skip), verdict === 'n/a', 'tap skip');
    assert.equal(Boolean(point.todo), !ok && expected !== undefined, 'tap todo');
    if (!ok || verdict === 'deviates')
      assert.deepEqual([point.diag?.verdict, point.diag?.repeat], [verdict, repeat]);
  }
}

void t.test('list, tap and json agree on every count of any run', (t) => {
  fc.assert(fc.property(runArb, sameCounts), { numRuns: 150 });
  t.pass('for arbitrary runs');
  t.end();
});

void t.test('they agree on a run that was killed, too', (t) => {
  fc.assert(
    fc.property(runArb, fc.double({ min: 0, max: 1, noNaN: true }), (run, part) => {
      const events = run.events.slice(0, Math.floor(part * run.events.length));
      const results = events.filter((e) => e.type === 'scenario.finished');
      const clauses = events.filter((e) => e.type === 'clause.judged');
      sameCounts({ events, results, clauses, strict: run.strict && events.length > 0 });
    }),
    { numRuns: 100 },
  );
  t.pass('for arbitrary beginnings of runs');
  t.end();
});

void t.test('a resumed run gives what one run without a break gives', (t) => {
  fc.assert(
    fc.property(runArb, fc.double({ min: 0, max: 1, noNaN: true }), (run, part) => {
      const last = run.events.length - 1;
      const cut = 1 + Math.floor(part * (last - 1));
      const [before, after] = [run.events.slice(0, cut), run.events.slice(cut)];
      const [first] = before;
      assert.equal(first?.type, 'run.started');
      const { harness, catalogue, command, host, kernels } = first;
      const make = stream();
      const resumed = [
        make('run.resumed', { harness, catalogue, command, host }),
        ...kernels.map((kernel) => make('kernel.resumed', { kernel, kept: [], superseded: [] })),
      ];
      // What was under way is begun anew.
      const done = new Set(before.filter((e) => e.type === 'scenario.finished').map((e) => `${e.kernel} ${e.scenario}`));
      const begun = run.events
        .slice(0, cut)
        .filter((e) => 'scenario' in e && e.type !== 'scenario.finished' && !done.has(`${e.kernel} ${e.scenario}`));
      for (const name of ['json', 'tap'] as const) {
        const reporter = createReporter(name, plain);
        for (const event of before) reporter.past?.(event);
        const text = [...resumed, ...begun, ...after].map((e) => reporter.event(e)).join('') + reporter.end();
        const strip = (s: string): string => s.replace(/^# .*\n/gm, '').replace('TAP version 14\n', '');
        assert.equal(strip(text), strip(report(name, run.events)), name);
      }
    }),
    { numRuns: 100 },
  );
  t.pass('for arbitrary runs and breaks');
  t.end();
});

void t.test('of a result that is superseded, nothing is left', (t) => {
  const make = stream();
  const before = [
    make('run.started', started(['k', 'l'], ['a', 'b'])),
    make('judgement', judgement('k', 'a', 'REG-1', 'fail')),
    make('scenario.finished', finished('k', 'a', 'fail')),
    make('scenario.finished', finished('k', 'b', 'pass')),
    make('clause.judged', { kernel: 'k', clause: 'REG-1', statement: 's', verdict: 'fail', scenarios: ['a'] }),
    make('clause.judged', { kernel: 'l', clause: 'REG-1', statement: 's', verdict: 'pass', scenarios: ['a'] }),
    make('run.finished', ending([], [], { exit: 130, interrupted: true })),
  ];
  const { harness, catalogue, command, host } = started([], []);
  const after = [
    make('run.resumed', { harness, catalogue, command, host }),
    make('kernel.resumed', { kernel: 'k', kept: ['b'], superseded: [{ scenario: 'a', why: 'changed' }] }),
    make('scenario.finished', finished('k', 'a', 'pass')),
    make('clause.judged', { kernel: 'k', clause: 'REG-1', statement: 's', verdict: 'pass', scenarios: ['a'] }),
  ];
  const texts = Object.fromEntries(
    reporterNames.map((name) => {
      const reporter = createReporter(name, plain);
      for (const event of before) reporter.past?.(event);
      return [name, after.map((e) => reporter.event(e)).join('') + reporter.end()];
    }),
  );
  const json = resultsSchema.parse(JSON.parse(texts.json ?? ''));
  t.match(json, { finished: false, interrupted: false, counts: { scenarios: { fail: 0, pass: 2 }, clauses: { fail: 0, pass: 2 } } });
  t.same(json.scenarios.map((s) => s.scenario), ['a', 'b']);
  t.equal(json.scenarios[0]?.judgements.length, 0);
  t.equal(
    texts.tap,
    `TAP version 14
# klp 0.1.0, clause catalogue 3, run r1, resumed
# k / a is run again: changed
ok 1 - k / a: Title of a
ok 2 - k / b: Title of b
Bail out! the run did not finish
`,
  );
  t.match(texts.list, /^klp 0\.1\.0, .* run r1 goes on: 2 of 4 results are there: 1 fail, 1 pass\nagain {4}k a changed\npass {5}k a /);
  t.notMatch(texts.list, /k b Title/, 'what was there is not listed again');
  t.end();
});

/** Escape sequences that the reporter itself writes. */
const own = /\r*\x1b\[(?:J|[0-9]{1,2}[mA])\r?|\r$/g; // eslint-disable-line no-control-regex

void t.test('nothing a guest says reaches the terminal raw', (t) => {
  const displays = [
    plain,
    { colour: true, live: true, columns: 80 },
    { colour: false, live: true, columns: 20 },
  ];
  fc.assert(
    fc.property(
      runArb,
      fc.constantFrom(...displays),
      fc.constantFrom(...reporterNames),
      (run, display, name) => {
        const text = report(name, run.events, display).replace(own, '');
        const bad = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(text);
        assert.equal(bad, null, `${name}: ${JSON.stringify(bad?.[0])}`);
        if (name === 'list') assert.doesNotMatch(text, /^\s*::|##\[|##vso\[/m, 'a command to a CI system');
      },
    ),
    { numRuns: 200 },
  );
  t.pass('for arbitrary runs');
  t.end();
});

void t.test('every event of a generated run round-trips', (t) => {
  fc.assert(
    fc.property(runArb, ({ events }) => {
      for (const event of events)
        assert.deepEqual(parseEvent(JSON.stringify(event)), JSON.parse(JSON.stringify(event)));
    }),
    { numRuns: 30 },
  );
  t.pass('for arbitrary runs');
  t.end();
});

void t.test('an unknown reporter', (t) => {
  for (const name of ['lists', '', 'constructor', '__proto__']) {
    t.throws(() => createReporter(name, plain), {
      message: `there is no reporter "${name}"`,
      hint: `use one or more of ${reporterNames.join(', ')}`,
    });
  }
  t.throws(() => createReporter('x', plain), UsageError);
  for (const name of ['list', 'tap', 'ktap', 'json', 'junit', 'markdown', 'html'] as const) t.ok(reporterNames.includes(name), name);
  t.equal(createReporter('md', plain).end(), createReporter('markdown', plain).end(), 'markdown goes by md, too');
  t.equal(verdicts.length, 5);
  t.end();
});
