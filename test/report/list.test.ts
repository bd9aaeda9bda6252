// SPDX-License-Identifier: MIT
import t from 'tap';
import type { KlpEvent } from '../../harness/events/schema.js';
import { ListReporter } from '../../harness/report/list.js';
import { condense } from '../../harness/report/summary.js';
import { ending, finished, judgement, started, stream } from './runs.js';

const plain = { colour: false, live: false, columns: 80 };
const live = { colour: false, live: true, columns: 60, rows: 24 };
const erase = '\r\x1b[J';
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
      '    journal    line 4',
      '  panic during enable klp_a: Fatal exception',
      '    | RIP: x',
      '    hint: look at it',
      '  WARNING that the scenario does not declare:',
      '    | WARNING: at klp_x',
      '  kernel log (last 30 of 32 lines):',
      ...log.slice(2).map((line) => `    | ${line}`),
      '  journal: lines 2 to 7 of journal.ndjson',
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
  t.match(list.event(make('scenario.finished', finished(k, s, 'deviates'))), /^DEVIATES .*\n {2}journal: .*\n {2}repeat: /);
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
  t.equal(list.tick(59_000), '', 'no live lines to bring up to date');
  t.end();
});

void t.test('a live terminal has lines that say what is under way, rewritten', (t) => {
  const list = new ListReporter(live);
  const make = stream();
  t.equal(
    list.event(make('run.started', started([k], [s, 'x']), 0)),
    'klp 0.1.0, clause catalogue 3, run r1: 2 scenarios on 1\n  kernel\n',
  );
  const up = (lines: number): string => `\x1b[${lines}A\r`;
  t.equal(list.event(make('progress', { topic: 'build', text: '1 %' }, 10)), ` 0/2 done\n build: 1 %${up(1)}`);
  t.equal(list.event(make('progress', { topic: 'build', text: '1 %' }, 20)), '', 'nothing new, nothing written');
  t.equal(list.event(make('progress', { topic: 'build', text: '2 %' }, 30)), `${erase} 0/2 done\n build: 2 %${up(1)}`);
  const begin = { kernel: k, scenario: s, title: 'T', clauses: [], attempt: 1 };
  t.equal(list.event(make('scenario.started', begin, 1000)), `${erase} 0/2 done\n  0:00 ${k} ${s} T${up(1)}`);
  t.equal(list.tick(1900), '');
  t.equal(list.tick(3000), `${erase} 0/2 done\n  0:02 ${k} ${s} T${up(1)}`);
  t.equal(
    list.event(make('scenario.started', { ...begin, scenario: 'x' }, 3001)),
    `${erase} 0/2 done\n  0:02 ${k} ${s} T\n  0:00 ${k} x           T${up(2)}`,
  );
  t.equal(list.event(make('operation', { kernel: k, scenario: 'x', what: 'w', result: 'OK' }, 60_000)), '', "a scenario's own");
  t.equal(
    list.event(make('scenario.finished', finished(k, s, 'pass'), 60_001)),
    `${erase}pass     debian-6.1 trn-sleeper T (1.2 s)\n 1/2 done\n  0:57 ${k} x T${up(1)}`,
  );
  t.equal(list.hide(), erase);
  t.equal(list.hide(), '', 'nothing is left to take away');
  t.equal(list.tick(61_000), '', 'and nothing comes');
  list.show();
  t.match(list.tick(62_000), /^ 1\/2 done\n {2}0:58 /, 'until it shall');
  t.equal(list.end().startsWith(`${erase}\n`), true);
  t.end();
});

void t.test('more guests than rows, and a terminal that is too narrow for the kernel', (t) => {
  const display = { colour: false, live: true, columns: 40, rows: 5 };
  const list = new ListReporter(display);
  const make = stream();
  const ids = ['a', 'b', 'c', 'd'];
  list.event(make('run.started', started([k], ids), 0));
  const texts = ids.map((scenario) => list.event(make('scenario.started', { kernel: k, scenario, title: 'T', clauses: [], attempt: 1 }, 0)));
  t.equal(texts.at(-1), `${erase} 0/4 done\n  0:00 a\n … and 3 more\x1b[2A\r`);
  const long = 'a-scenario-with-a-long-identifier';
  const line = (scenario: string): string => list.event(make('scenario.finished', finished(k, scenario, 'pass'), 1)).replace(erase, '');
  t.match(line('a'), /^pass {5}debian-6.1 a T \(1.2 s\)\n 1\/4 done\n/);
  const other = new ListReporter(display);
  other.event(make('run.started', started([k], [long, 'b']), 0));
  const named = other.event(make('scenario.finished', finished(k, long, 'pass'), 1));
  t.equal(named, 'kernel   debian-6.1\npass     a-scenario-with-a-long… (1.2 s)\n');
  t.equal(other.event(make('scenario.finished', finished(k, 'b', 'pass'), 1)), 'pass     b (1.2 s)\n', 'once');
  t.end();
});

void t.test('a line that stays is broken where it is too wide, but not what is to be pasted', (t) => {
  const list = new ListReporter({ ...live, columns: 40 });
  const make = stream();
  list.event(make('run.started', started([k], [s])));
  const repeat = `npx klp run /a/file/of/mine.ts --grep '^${s}$' --kernel ${k}`;
  const failure = { kind: 'oops', message: 'the kernel warned: WARNING: CPU: 0 PID: 1 at made/up.c:1', details: ['console: one two three four five six seven'] } as const;
  const text = list.event(make('scenario.finished', finished(k, s, 'fail', { repeat, failure: { ...failure, details: [...failure.details] } })));
  t.equal(
    text,
    `kernel   debian-6.1
FAIL     trn-sleeper (1.2 s)
  oops: the kernel warned: WARNING: CPU:
    0 PID: 1 at made/up.c:1
    | console: one two three four five
    | six seven
  journal: lines 2 to 2 of
    journal.ndjson
  repeat: ${repeat}

`,
  );
  t.end();
});

void t.test('how long it will take, by what earlier runs took', (t) => {
  const list = new ListReporter(live);
  const make = stream();
  list.event(make('run.started', { ...started([k, 'l'], ['a', 'b', 'c']), jobs: 2 }, 0));
  const head = (text: string): string => /(\d+\/6 done.*?)(?:\n|$)/.exec(text)?.[1] ?? '';
  const begin = (scenario: string, mono: number): string =>
    list.event(make('scenario.started', { kernel: k, scenario, title: 'T', clauses: [], attempt: 1 }, mono));
  t.equal(head(begin('a', 0)), '0/6 done', 'unknown');
  // 10 min; of b, c and all of the other kernel nothing is known: 50 min more, by two guests.
  t.equal(head(list.event(make('kernel.estimated', { kernel: k, milliseconds: { a: 600_000 } }, 1))), '0/6 done, ~30 min left');
  list.event(make('kernel.estimated', { kernel: 'l', milliseconds: { a: 60_000, b: 60_000, c: 60_000 } }, 3));
  t.equal(head(list.tick(300_003)), '0/6 done, ~14 min left', '25 min + 3 min, by two');
  list.event(make('scenario.finished', finished(k, 'a', 'fail'), 300_004));
  t.equal(head(begin('b', 300_005)), '1/6 done, 1 failed, ~12 min left', 'what failed is counted');
  t.equal(head(list.tick(100_000_000)), '1/6 done, 1 failed, ~10 min left', 'no less than the longest that is left');
  t.end();
});

void t.test('a log gets a sign of life within a minute', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  list.event(make('run.started', started([k], ['a', 'b']), 0));
  list.event(make('scenario.started', { kernel: k, scenario: 'a', title: 'T', clauses: [], attempt: 1 }, 1000));
  const said: number[] = [];
  for (let mono = 1000; mono <= 200_000; mono += 1000) {
    const text = list.tick(mono);
    if (text === '') continue;
    said.push(mono);
    if (said.length === 2) t.equal(text, '         0/2 done; now: a 1:39\n');
  }
  t.ok([0, ...said].every((at, i, all) => i === 0 || at - (all[i - 1] ?? 0) <= 60_000), String(said));
  t.equal(said.length, 4);
  list.event(make('scenario.finished', finished(k, 'a', 'pass'), 230_000));
  t.equal(list.tick(240_000), '', 'any line is one');
  t.end();
});

void t.test('quiet: failures and the summary', (t) => {
  for (const on of [plain, live]) {
    const list = new ListReporter({ ...on, quiet: true });
    const make = stream();
    const silent = [
      make('run.started', started([k], [s, 'x']), 0),
      make('progress', { topic: 'build', text: '1 %' }, 10),
      make('scenario.started', { kernel: k, scenario: s, title: 'T', clauses: [], attempt: 1 }, 20),
      make('scenario.finished', finished(k, s, 'pass'), 30),
      make('scenario.finished', finished(k, s, 'fail', { expected: 'bug 12' }), 30),
    ];
    t.equal(silent.map((event) => list.event(event)).join(''), '');
    t.equal(list.tick(1_000_000), '');
    t.match(list.event(make('scenario.finished', finished(k, 'x', 'fail'), 40)), /^FAIL {5}debian-6.1 x .*\n(?:.*\n)+ {2}repeat: /);
    t.match(list.end(), /^\nTo repeat[^]*scenarios {2}2 fail \(1 expected\)\n/);
  }
  t.end();
});

void t.test('what was not run is one line, and no failure to repeat', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  const reason = 'not run: --max-failures 1 was reached';
  list.event(make('run.started', started([k], ['a', 'b', 'c', 'd'])));
  list.event(make('scenario.finished', finished(k, 'a', 'fail')));
  const left = ['b', 'c', 'd'].map((id) => finished(k, id, 'error', { reason, notRun: true, attempts: 0, durationMs: 0 }));
  t.equal(left.map((r) => list.event(make('scenario.finished', r))).join(''), '');
  const clause = { kernel: k, statement: 'S', verdict: 'error' as const };
  const text = ['REG-1', 'REG-2', 'REG-3'].map((id) => list.event(make('clause.judged', { ...clause, clause: id, scenarios: ['b'], note: reason }))).join('');
  t.equal(text, `not run  debian-6.1 3 scenarios: --max-failures 1 was reached\n`);
  t.equal(
    list.end(),
    `
debian-6.1
  not run   REG-1…3
              not run: --max-failures 1 was reached

To repeat what was not as expected:
  fail      npx klp run a --kernel debian-6.1

scenarios  1 fail, 3 error; 3 not run
clauses    3 error
           the run did not finish: these are the results up to its end (1 kernel, profile mainline, 700 ms)
`,
  );
  t.end();
});

void t.test('where in the log it was judged', (t) => {
  const list = new ListReporter(plain);
  const make = stream();
  list.event(make('run.started', started([k], [s])));
  const operation = (what: string, result: string): string => list.event(make('operation', { kernel: k, scenario: s, what, result }));
  const log = ['[1] early', '[2] klp-harness: insmod a: OK', '[3] livepatch: patching', '[4] klp-harness: write 1: EINVAL', '[5] late'];
  operation('insmod a', 'OK');
  operation('write 1', 'EINVAL');
  list.event(make('judgement', judgement(k, s, 'TRN-4', 'fail', { what: 'write 1' })));
  const lines = (text: string): string[] => text.split('\n').filter((line) => /^ {4}(?:[>|]|log) /.test(line));
  const bar = (from: number, to: number): string[] => log.map((line, i) => `    ${i >= from && i < to ? '>' : '|'} ${line}`);
  const one = list.event(make('scenario.finished', finished(k, s, 'fail', { log })));
  t.same(lines(one), ['    log        2 lines, at > below', ...bar(2, 4)], 'during the operation');
  operation('insmod a', 'OK');
  list.event(make('judgement', judgement(k, s, 'TRN-4', 'fail', { what: 'threads' })));
  operation('write 1', 'EINVAL');
  const two = list.event(make('scenario.finished', finished(k, s, 'fail', { log })));
  t.same(lines(two), ['    log        2 lines, at > below', ...bar(2, 4)], 'what was seen between two operations');
  // Far before the end: the log is shown from there.
  operation('insmod a', 'OK');
  list.event(make('judgement', judgement(k, s, 'TRN-4', 'fail', { what: 'insmod a' })));
  const long = [...log.slice(0, 2), ...Array.from({ length: 50 }, (_, i) => `more ${i}`)];
  const three = list.event(make('scenario.finished', finished(k, s, 'fail', { log: long })));
  t.match(three, /kernel log \(lines 1 to 30 of 52\):\n {4}> \[1\] early\n {4}> \[2\] klp-harness: insmod a: OK\n {4}\| more 0\n/);
  t.end();
});

void t.test('a finished line never wraps on a live terminal', (t) => {
  const list = new ListReporter(live);
  const make = stream();
  list.event(make('run.started', started([k], [s])));
  const reason = 'long '.repeat(100);
  const text = list.event(make('scenario.finished', finished(k, s, 'n/a', { reason })));
  t.equal(text, 'n/a      debian-6.1 trn-sleeper Title of trn-sleepe… (1.2 s)\n');
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
