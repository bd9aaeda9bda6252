// SPDX-License-Identifier: MIT
import t from 'tap';
import type { KlpEvent } from '../../harness/events/schema.js';
import { ListReporter } from '../../harness/report/list.js';
import { condense } from '../../harness/report/summary.js';
import { width } from '../../harness/report/text.js';
import { ending, finished, judgement, started, stream } from './runs.js';

const plain = { colour: false, live: false, columns: 80 };
const live = { colour: false, live: true, columns: 60 };
const erase = '\r\x1b[2K';
const [k, s] = ['debian-6.1', 'trn-sleeper'];

void t.test('a failure says what was done, allowed and seen, and how to repeat it', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  list.event(make('run.started', started([k], [s])));
  const span = { begin: '1', end: '2' };
  t.equal(
    list.event(make('operation', { kernel: k, scenario: s, what: 'enable klp_a', result: '0', span })),
    '',
  );
  list.event(make('judgement', judgement(k, s, 'REG-1', 'pass')));
  list.event(
    make(
      'judgement',
      judgement(k, s, 'TRN-4', 'fail', { seen: '0\nsecond line', note: 'differs from mainline' }),
    ),
  );
  list.event(
    make('splat', { kernel: k, scenario: s, kind: 'WARNING', lines: ['WARNING: at klp_x'], declared: false }),
  );
  list.event(
    make('splat', { kernel: k, scenario: s, kind: 'WARNING', lines: ['declared one'], declared: true }),
  );
  const log = Array.from({ length: 32 }, (_, i) => `[ ${i}] line`);
  const text = list.event(
    make(
      'scenario.finished',
      finished(k, s, 'fail', {
        reason: 'a clause failed',
        failure: {
          kind: 'panic',
          message: 'Fatal exception',
          during: 'enable klp_a',
          hint: 'look at it',
          details: ['RIP: x'],
        },
        log,
      }),
    ),
  );
  t.equal(
    text,
    [
      'FAIL     debian-6.1 trn-sleeper Title of trn-sleeper (1.2 s)',
      '  a clause failed',
      '  done:',
      '    enable klp_a → 0',
      '  TRN-4 fail: differs from mainline',
      '    checked    write 1 to enabled',
      '    mainline   -EBUSY',
      '    documents  forbid, livepatch.txt:393',
      '    seen       0',
      '               second line',
      '  panic during enable klp_a: Fatal exception',
      '    | RIP: x',
      '    hint: look at it',
      '  WARNING that the scenario does not declare:',
      '    | WARNING: at klp_x',
      '  kernel log (last 30 of 32 lines):',
      ...log.slice(2).map((line) => `    | ${line}`),
      '  repeat: npx klp run trn-sleeper --kernel debian-6.1',
      '',
      '',
    ].join('\n'),
  );
  t.end();
});

void t.test('one line for anything that is as it should be', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  t.equal(
    list.event(make('run.started', started([k, 'longer-name'], [s, 'x']))),
    'klp 0.1.0, clause catalogue 3, run r1: 2 scenarios on 2 kernels\n',
  );
  const line = (...args: Parameters<typeof finished>): string =>
    list.event(make('scenario.finished', finished(...args)));
  t.equal(line(k, 'x', 'pass'), 'pass     debian-6.1  x           Title of x (1.2 s)\n');
  t.equal(
    line(k, 'x', 'pass', { flaky: true, attempts: 2 }),
    'pass     debian-6.1  x           Title of x (1.2 s, flaky: attempt 2)\n',
  );
  t.equal(
    line(k, 'x', 'n/a', { reason: 'no callbacks' }),
    'n/a      debian-6.1  x           Title of x - no callbacks (1.2 s)\n',
  );
  t.equal(line(k, 'x', 'deviates'), 'deviates debian-6.1  x           Title of x (1.2 s)\n');
  t.equal(
    line(k, 'x', 'fail', { expected: 'bug 12', reason: 'r', log: ['l'] }),
    'fail     debian-6.1  x           Title of x - expected: bug 12 (1.2 s)\n',
  );
  t.end();
});

void t.test('under --strict a deviation is explained like a failure', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  list.event(make('run.started', started([k], [s], true)));
  t.match(list.event(make('scenario.finished', finished(k, s, 'deviates'))), /^DEVIATES .*\n {2}repeat: /);
  t.end();
});

void t.test('plain progress: when a topic is new, then every 10 s of the run for each topic', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  const at = (mono: number, topic: string, text: string): string =>
    list.event(make('progress', { topic, text }, mono));
  t.equal(at(0, 'build', '1 %'), '         build: 1 %\n');
  t.equal(at(5000, 'build', '2 %'), '');
  t.equal(at(5001, 'fetch', 'a'), '         fetch: a\n');
  t.equal(at(9999, 'build', '3 %'), '');
  t.equal(at(10_000, 'build', '4 %'), '         build: 4 %\n');
  t.equal(at(15_000, 'fetch', 'b'), '');
  t.equal(list.tick(60_000), '', 'no status line to bring up to date');
  t.end();
});

void t.test('a live terminal has one status line, rewritten', (t) => {
  const list = new ListReporter(live);
  const make = stream();
  t.equal(
    list.event(make('run.started', started([k], [s, 'x']), 0)),
    'klp 0.1.0, clause catalogue 3, run r1: 2 scenarios on 1 kernel\n',
  );
  t.equal(list.event(make('progress', { topic: 'build', text: '1 %' }, 10)), '[0/2] build: 1 %');
  t.equal(
    list.event(make('progress', { topic: 'build', text: '1 %' }, 20)),
    '',
    'nothing new, nothing written',
  );
  t.equal(list.event(make('progress', { topic: 'build', text: '2 %' }, 30)), `${erase}[0/2] build: 2 %`);
  const begin = { kernel: k, scenario: s, title: 'T', clauses: [], attempt: 1 };
  t.equal(list.event(make('scenario.started', begin, 1000)), `${erase}[0/2] debian-6.1 trn-sleeper 0 s`);
  t.equal(list.tick(1900), '');
  t.equal(list.tick(3000), `${erase}[0/2] debian-6.1 trn-sleeper 2 s`);
  t.equal(
    list.event(make('scenario.started', { ...begin, scenario: 'x' }, 3001)),
    `${erase}[0/2] debian-6.1 trn-sleeper 2 s, x 0 s`,
  );
  t.equal(
    list.event(make('scenario.finished', finished(k, s, 'pass'), 4001)),
    `${erase}pass     debian-6.1 trn-sleeper T (1.2 s)\n[1/2] debian-6.1 x 1 s`,
  );
  const long = list
    .event(make('progress', { topic: 'build', text: '界'.repeat(500) }, 4002))
    .replace(erase, '');
  t.ok(width(long) <= 59, 'it never wraps');
  t.match(list.end(), /^\r\x1b\[2K\n/); // eslint-disable-line no-control-regex
  t.end();
});

void t.test('a finished line never wraps on a live terminal', (t) => {
  const list = new ListReporter(live);
  const make = stream();
  list.event(make('run.started', started([k], [s])));
  const reason = 'long '.repeat(100);
  const text = list.event(make('scenario.finished', finished(k, s, 'n/a', { reason })));
  t.equal(text, 'n/a      debian-6.1 trn-sleeper Title of trn-sleepe… (1.2 s)\n');
  t.equal(width(text.trimEnd()) <= 60, true);
  t.end();
});

void t.test('the summary', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  const scenarios = ['a', 'b', 'c'];
  const results = [
    finished(k, 'a', 'fail'),
    finished(k, 'b', 'deviates', { expected: 'bug 12' }),
    finished(k, 'c', 'pass', { flaky: true }),
  ];
  const statement = 'A task that sleeps in a patched function holds the transition until it has left it';
  const clause = { kernel: k, statement, scenarios: ['a'] };
  const clauses = [
    { ...clause, clause: 'REG-2', verdict: 'pass', scenarios: ['c'] },
    { ...clause, clause: 'REG-10', verdict: 'pass', scenarios: ['c'] },
    { ...clause, clause: 'REG-1', verdict: 'pass', scenarios: ['c'] },
    { ...clause, clause: 'REG-3', verdict: 'pass', scenarios: ['c'] },
    { ...clause, clause: 'SYS-1', verdict: 'pass', note: 'differs from mainline', scenarios: ['c'] },
    { ...clause, clause: 'TRN-4', verdict: 'fail', note: 'the documents are silent' },
    { ...clause, clause: 'ENA-5', verdict: 'deviates', scenarios: ['b'] },
    { ...clause, clause: 'CBK-1', verdict: 'n/a', note: 'missing: callbacks', scenarios: [] },
    { ...clause, clause: 'CBK-2', verdict: 'n/a', note: 'missing: callbacks', scenarios: [] },
  ] as const;
  const events: KlpEvent[] = [
    make('run.started', started([k], scenarios)),
    ...results.map((r) => make('scenario.finished', r)),
    ...clauses.map((c) => make('clause.judged', { ...c, scenarios: [...c.scenarios] })),
    make(
      'run.finished',
      ending(results, clauses, { exit: 1, staleExpectations: ['clause X-1: expected fail: now pass (me)'] }),
    ),
  ];
  for (const event of events) list.event(event);
  t.equal(
    list.end(),
    `
debian-6.1
  fail      TRN-4 A task that sleeps in a patched function holds the transition
                  until it has left it
                  the documents are silent
                  in a
  expected  ENA-5 deviates: A task that sleeps in a patched function holds the
                  transition until it has left it
                  in b
  noted     SYS-1 A task that sleeps in a patched function holds the transition
                  until it has left it
                  differs from mainline
                  in c
  n/a       CBK-1,2
              missing: callbacks
  pass      REG-1…3,10 SYS-1

To repeat what was not as expected:
  fail      npx klp run a --kernel debian-6.1

Expectations that no longer hold:
  clause X-1: expected fail: now pass (me)

scenarios  1 fail, 1 deviates (1 expected), 1 pass; 1 flaky
clauses    1 fail, 1 deviates (1 expected), 5 pass, 2 n/a
           exit status 1 (1 kernel, profile mainline, 1 min 00 s)
`,
  );
  t.end();
});

void t.test('a kernel on which nothing can run, and a run that was killed', (t) => {
  const list = new ListReporter({ ...plain, colour: true });
  const make = stream();
  list.event(make('run.started', started([k], [s])));
  const failure = {
    kind: 'boot failed',
    message: 'no agent',
    details: Array.from({ length: 22 }, () => '::error::x'),
  } as const;
  const text = list.event(
    make('kernel.failed', { kernel: k, failure: { ...failure, details: [...failure.details] } }),
  );
  t.match(text, 'debian-6.1: no scenario can run on this kernel\n');
  t.match(text, '    | : :error::x\n');
  t.match(text, '    … and 2 more in the journal\n');
  t.match(
    list.end(),
    /no scenario could run: no agent[^]*scenarios {2}none[^]*the run did not finish: these are/,
  );
  t.end();
});

void t.test('identifiers by section', (t) => {
  t.same(condense([]), []);
  t.same(condense(['EF-09', 'EF-10', 'EF-11', 'REG-2', 'REG-1', 'REG-1', 'FRC']), [
    'EF-09…11',
    'FRC',
    'REG-1,2',
  ]);
  t.same(condense(Array.from({ length: 10 }, (_, i) => `A-${i * 2}`)), ['A-0,2,4,6,8,10,12,14', 'A-16,18']);
  t.same(condense(['TRN-4a', 'TRN-4', 'TRN-5']), ['TRN-4,4a,5']);
  t.end();
});
