// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../harness/errors.js';
import type { KlpEvent, Payload } from '../../harness/events/schema.js';
import type { Verdict } from '../../harness/model/verdict.js';
import { resultsSchema, type Results } from '../../harness/report/results-schema.js';
import { type InputRun, combineRuns } from '../../harness/runner/combine.js';
import { settled } from '../../harness/runner/settled.js';
import { report } from '../report/forms.js';
import { ending, finished, host, judgement, runArb, started, stream } from '../report/runs.js';

const head = { command: ['klp', 'report'], host };

function resultsOf(events: readonly KlpEvent[]): Results {
  return resultsSchema.parse(JSON.parse(report('json', events)));
}

/** A whole run whose events are at one hour of a day. */
function runAt(hour: number, kernels: readonly string[], results: readonly Payload<'scenario.finished'>[], more: Partial<Payload<'run.started'>> = {}, end: Partial<Payload<'run.finished'>> = {}): InputRun {
  const make = stream(`r${hour}`);
  const clause = (kernel: string): Payload<'clause.judged'> => ({ kernel, clause: 'REG-1', statement: 'S', verdict: 'pass', scenarios: ['own'] });
  const events = [
    make('run.started', { ...started([...kernels], [...new Set(results.map((r) => r.scenario))]), ...more }),
    ...results.flatMap((r) => [make('judgement', judgement(r.kernel, r.scenario, 'REG-1', r.verdict, { seen: `seen by r${hour}` })), make('scenario.finished', r)]),
    ...kernels.map((kernel) => make('clause.judged', clause(kernel))),
    make('run.finished', ending(results, [], { durationMs: 1000, ...end })),
  ];
  return { file: `run-${hour}`, events: events.map((e) => ({ ...e, wall: `2026-11-22T${String(hour).padStart(2, '0')}:00:00.000Z` })) };
}

/** A result that says what it adds to the clauses. */
function judged(kernel: string, scenario: string, verdict: Verdict, more: Partial<Payload<'scenario.finished'>> = {}): Payload<'scenario.finished'> {
  return finished(kernel, scenario, verdict, { clauseVerdicts: [{ clause: 'REG-1', verdict, note: `by ${scenario}` }], ...more });
}

function refused(test: Pick<typeof t, 'throws'>, runs: readonly InputRun[], message: RegExp): void {
  test.throws(() => combineRuns(runs, head), { message });
  test.throws(() => combineRuns(runs, head), UsageError);
}

void t.test('a run for each kernel, put together, is one run of all', (t) => {
  fc.assert(
    fc.property(runArb, (run) => {
      const [first] = run.events;
      assert.equal(first?.type, 'run.started');
      const parts = first.kernels.map((kernel, i): InputRun => {
        const own = run.events.filter((e) => !('kernel' in e) || e.kernel === kernel);
        const wall = `2026-11-22T10:00:0${i}.000Z`;
        return { file: kernel, events: own.map((e) => ({ ...e, run: kernel, wall, ...(e.type === 'run.started' ? { kernels: [kernel] } : {}) })) };
      });
      if (parts.length < 2) return;
      const { events, notes } = combineRuns([...parts].reverse(), head);
      const [one, many] = [resultsOf(run.events), resultsOf(events)];
      // Titles are arbitrary at each start here, so that which one stays depends on what came between.
      const untitled = ({ scenarios }: Results): unknown => scenarios.map((s) => ({ ...s, title: '', clauses: [] }));
      assert.deepEqual(untitled(many), untitled(one));
      const byKernel = ({ clauses }: Results): unknown => [...clauses].sort((a, b) => (a.kernel < b.kernel ? -1 : a.kernel > b.kernel ? 1 : 0));
      assert.deepEqual(byKernel(many), byKernel(one));
      assert.deepEqual(many.counts, one.counts);
      assert.deepEqual([many.finished, many.interrupted], [one.finished, one.interrupted]);
      assert.deepEqual(notes, []);
      assert.deepEqual(events.map((e) => e.seq), events.map((_e, i) => i));
      assert.ok(events.every((e, i) => e.mono >= (events[i - 1]?.mono ?? 0)));
    }),
    { numRuns: 100 },
  );
  t.pass('for arbitrary runs');
  t.end();
});

void t.test('of the same scenario on the same kernel the later result counts, and it is said', (t) => {
  const early = runAt(1, ['k'], [judged('k', 'a', 'fail'), judged('k', 'b', 'pass')]);
  const late = runAt(2, ['k'], [judged('k', 'a', 'pass')]);
  for (const runs of [[early, late], [late, early]]) {
    const { events, notes } = combineRuns(runs, head);
    t.strictSame(notes, ['results of 1 scenario on k are in run-1 and in run-2; those of run-2 count, which are the later']);
    const results = resultsOf(events);
    t.match(results, { run: 'r2+1', finished: true, exit: 0, durationMs: 2000, scenarios: [{ scenario: 'a', verdict: 'pass' }, { scenario: 'b' }] });
    t.equal(results.scenarios.length, 2);
    t.strictSame(results.scenarios[0]?.judgements.map((j) => j.seen), ['seen by r2'], 'nothing is left of the other');
    t.strictSame(results.combined?.map((r) => [r.run, r.finished]), [['r1', true], ['r2', true]]);
  }
  t.match(report('list', combineRuns([early, late], head).events), /run r2\+1: 2 scenarios on 1 kernel, put together from 2 runs\n/);
  t.end();
});

void t.test('clauses of a kernel that is in several runs are judged anew', (t) => {
  const { events } = combineRuns([runAt(1, ['k'], [judged('k', 'a', 'fail')]), runAt(2, ['k', 'l'], [judged('k', 'b', 'pass'), judged('l', 'b', 'pass')])], head);
  const { clauses, exit } = resultsOf(events);
  t.match(clauses, [
    { kernel: 'k', clause: 'REG-1', verdict: 'fail', statement: 'S', scenarios: ['a', 'b'], note: 'by a' },
    { kernel: 'l', verdict: 'pass', scenarios: ['own'] },
  ]);
  t.equal(exit, 1);
  refused(t, [runAt(1, ['k'], [finished('k', 'a', 'pass')]), runAt(2, ['k'], [judged('k', 'b', 'pass')])], /run r1 has no clause verdicts of k \/ a: it is of an older klp/);
  t.end();
});

void t.test('a part that did not finish', (t) => {
  const whole = runAt(1, ['k'], [judged('k', 'a', 'pass')]);
  const { events } = runAt(2, ['k'], [judged('k', 'b', 'pass'), judged('k', 'c', 'pass')]);
  const cut = { file: 'run-2', events: events.slice(0, 4) };
  const results = resultsOf(combineRuns([whole, cut], head).events);
  t.match(results, { finished: false, scenarios: [{ scenario: 'a' }, { scenario: 'b' }], combined: [{ finished: true }, { finished: false }] });
  t.equal(results.scenarios.length, 2, 'what was under way is no result');
  t.strictSame(results.clauses, [], 'clauses are judged of whole kernels only');
  const interrupted = runAt(2, ['l'], [judged('l', 'b', 'pass')], {}, { interrupted: true, exit: 130 });
  t.match(resultsOf(combineRuns([whole, interrupted], head).events), { finished: true, interrupted: true, exit: 130 });
  t.end();
});

void t.test('what can not stand side by side', (t) => {
  const run = runAt(1, ['k'], [judged('k', 'a', 'pass')]);
  const other = (more: Partial<Payload<'run.started'>>): InputRun => runAt(2, ['l'], [judged('l', 'a', 'pass')], more);
  refused(t, [run, other({ catalogue: 4 })], /clause catalogue 3 in run-1 and 4 in run-2/);
  refused(t, [run, other({ strict: true })], /--strict false in run-1 and true in run-2/);
  refused(t, [run, other({ profile: 'documents' })], /profile mainline in run-1 and documents in run-2/);
  refused(t, [run, other({ shard: { index: 1, count: 2, plan: 'p', executions: [] } })], /run-2: the run is shard 1 of 2/);
  refused(t, [run, { ...run, file: 'copy' }], /run-1 and copy are the same run, r1/);
  refused(t, [run, { file: 'nothing', events: [] }], /nothing: the run was stopped before it began/);
  t.strictSame(combineRuns([run, other({ harness: '0.2.0' })], head).notes, ['the runs are of different versions of klp: 0.1.0, 0.2.0']);
  t.end();
});

void t.test('one name for two kernels', (t) => {
  const acquired = (run: InputRun, fingerprint: string): InputRun => {
    const payload = { kernel: 'k', arch: 'x86_64', origin: 'stock', release: '6.1', version: `version ${fingerprint}`, fingerprint, packages: [], toolchain: 'gcc', config: '' };
    const [first, ...rest] = run.events;
    assert.ok(first);
    const event = { ...first, type: 'kernel.acquired', ...payload } as unknown as KlpEvent;
    return { ...run, events: [first, event, ...rest] };
  };
  const old = acquired(runAt(1, ['k'], [judged('k', 'a', 'pass')]), 'old');
  refused(t, [old, acquired(runAt(2, ['k'], [judged('k', 'b', 'pass')]), 'new')], /kernel k is not the same in all runs/);
  const again = combineRuns([old, acquired(runAt(2, ['k'], [judged('k', 'a', 'pass')]), 'new')], head);
  t.match(resultsOf(again.events).kernels, [{ acquired: { fingerprint: 'new' } }], 'of the older one nothing counts');
  t.end();
});

void t.test('an expectation that no longer holds anywhere', (t) => {
  const a = runAt(1, ['k'], [judged('k', 'a', 'pass')], {}, { staleExpectations: ['expired', 'nothing that ran matches'] });
  const b = runAt(2, ['l'], [judged('l', 'a', 'pass')], {}, { staleExpectations: ['expired'] });
  t.strictSame(resultsOf(combineRuns([a, b], head).events).staleExpectations, ['expired']);
  t.end();
});

void t.test('a resumed run, settled, is what one run would have left', (t) => {
  const make = stream();
  const { harness, catalogue, command } = started([], []);
  const failure = { kind: 'infrastructure', message: 'no mirror' } as const;
  const events = [
    make('run.started', started(['k', 'l'], ['a', 'b', 'c'])),
    make('kernel.failed', { kernel: 'l', failure }),
    make('judgement', judgement('k', 'a', 'REG-1', 'fail')),
    make('scenario.finished', finished('k', 'a', 'fail')),
    make('scenario.finished', finished('k', 'b', 'pass')),
    make('clause.judged', { kernel: 'k', clause: 'REG-1', statement: 's', verdict: 'fail', scenarios: ['a'] }),
    make('judgement', judgement('k', 'c', 'REG-1', 'fail')),
    make('run.finished', ending([], [], { exit: 130, interrupted: true })),
    make('run.resumed', { harness, catalogue, command, host }),
    make('kernel.resumed', { kernel: 'k', kept: ['b'], superseded: [{ scenario: 'a', why: 'changed' }] }),
    make('judgement', judgement('k', 'a', 'REG-1', 'pass')),
    make('scenario.finished', finished('k', 'a', 'pass')),
    make('scenario.finished', finished('k', 'c', 'pass')),
    make('clause.judged', { kernel: 'k', clause: 'REG-1', statement: 's', verdict: 'pass', scenarios: ['a'] }),
    make('run.finished', ending([], [])),
  ];
  const alone = settled(events);
  t.strictSame(alone.map((e) => e.seq), [0, 1, 4, 10, 11, 12, 13, 14]);
  t.strictSame(resultsOf(alone), resultsOf(events), 'the same results');
  t.strictSame(settled(alone), alone);
  const acquired = { kernel: 'l', arch: 'x86_64', origin: 'stock', release: 'r', version: 'v', fingerprint: 'f', toolchain: 'g', config: '' } as const;
  const there = make('kernel.acquired', { ...acquired, packages: [] });
  t.notOk(settled([...events.slice(0, -1), there]).some((e) => e.type === 'kernel.failed'), 'a kernel that is there now');
  t.end();
});

void t.test('a run without a break is settled', (t) => {
  fc.assert(fc.property(runArb, ({ events }) => assert.equal(settled(events), events)), { numRuns: 20 });
  t.pass('for arbitrary runs');
  t.end();
});
