// SPDX-License-Identifier: MIT
import t from 'tap';
import { TapReporter } from '../../harness/report/tap.js';
import { ending, finished, judgement, started, stream } from './runs.js';

void t.test('each verdict as a test point', (t) => {
  const tap = new TapReporter();
  const make = stream();
  const events = [
    make('run.started', started(['k'], ['a', 'b', 'c', 'd', 'e', 'f'])),
    make('scenario.finished', finished('k', 'a', 'pass', { flaky: true, attempts: 2 })),
    make('judgement', judgement('k', 'b', 'ENA-5', 'deviates', { note: 'documented' })),
    make('scenario.finished', finished('k', 'b', 'deviates', { reason: 'order' })),
    make('scenario.finished', finished('k', 'c', 'n/a', { reason: 'no callbacks #2' })),
    make('scenario.finished', finished('k', 'd', 'fail', { expected: 'bug #12', log: ['a\x1bb'] })),
    make('kernel.failed', { kernel: 'k', failure: { kind: 'panic', message: 'gone' } }),
    make(
      'scenario.finished',
      finished('k', 'e', 'error', {
        failure: { kind: 'panic', message: 'gone', during: 'enable', details: ['x: - y'] },
      }),
    ),
    make('run.finished', ending([], [], { staleExpectations: ['entry 1'] })),
  ];
  t.equal(
    events.map((event) => tap.event(event)).join('') + tap.end(),
    `TAP version 14
# klp 0.1.0, clause catalogue 3, run r1
ok 1 - k / a: Title of a
# flaky: passed on attempt 2
ok 2 - k / b: Title of b
  ---
  verdict: "deviates"
  reason: "order"
  duration_ms: 1234
  attempts: 1
  judgements:
    - clause: "ENA-5"
      verdict: "deviates"
      what: "write 1 to enabled"
      seen: "0"
      mainline: "-EBUSY"
      mainline_does: true
      documents: "forbid"
      reference: "livepatch.txt:393"
      note: "documented"
  repeat: "npx klp run b --kernel k"
  ...
# deviates: order
ok 3 - k / c: Title of c # SKIP no callbacks \\#2
not ok 4 - k / d: Title of d # TODO bug \\#12
  ---
  verdict: "fail"
  expected: "bug #12"
  duration_ms: 1234
  attempts: 1
  log:
    - "a\\u001bb"
  repeat: "npx klp run d --kernel k"
  ...
# kernel k: panic: gone
not ok 5 - k / e: Title of e
  ---
  verdict: "error"
  duration_ms: 1234
  attempts: 1
  failure:
    kind: "panic"
    message: "gone"
    during: "enable"
    details:
      - "x: - y"
  repeat: "npx klp run e --kernel k"
  ...
# expectation that no longer holds: entry 1
1..5
`,
  );
  t.end();
});

void t.test('a run without a verdict bails out in place of the plan', (t) => {
  const text = (...last: Parameters<typeof ending>): string => {
    const tap = new TapReporter();
    const make = stream();
    tap.event(make('run.started', started(['k'], ['a'])));
    tap.event(make('scenario.finished', finished('k', 'a', 'n/a')));
    tap.event(make('run.finished', ending(...last)));
    return tap.end();
  };
  t.equal(text([], []), 'Bail out! nothing was judged\n');
  t.equal(text([], [], { interrupted: true }), 'Bail out! the run was interrupted\n');
  t.equal(new TapReporter().end(), 'TAP version 14\nBail out! the run did not finish\n');
  t.end();
});

void t.test('points come in the order of the plan, whatever finishes first', (t) => {
  const tap = new TapReporter();
  const make = stream();
  tap.event(make('run.started', started(['k', 'l'], ['a', 'b'])));
  const point = (...args: Parameters<typeof finished>): string => tap.event(make('scenario.finished', finished(...args)));
  t.equal(point('k', 'b', 'pass'), '', 'it waits for a');
  t.equal(point('l', 'b', 'pass'), '');
  t.equal(point('k', 'a', 'pass'), 'ok 1 - k / a: Title of a\nok 2 - k / b: Title of b\n');
  tap.event(make('run.finished', ending([], [])));
  t.equal(tap.end(), 'ok 3 - l / b: Title of b\n1..3\n', 'what waits for something that never came is not lost');
  t.end();
});

void t.test('a mebibyte in one line stays bearable', (t) => {
  const tap = new TapReporter();
  const make = stream();
  const huge = '\x1b'.repeat(1 << 20);
  const text = tap.event(
    make('scenario.finished', finished('k', 'a', 'fail', { reason: huge, log: [huge], expected: huge })),
  );
  t.ok(text.length < 60_000, `${text.length} characters`);
  t.match(text, '… (1048576 characters)');
  t.end();
});
