// SPDX-License-Identifier: MIT
import t from 'tap';
import { JsonReporter } from '../../harness/report/json.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { ending, finished, host, judgement, started, stream } from './runs.js';

void t.test('one document of a whole run', (t) => {
  const json = new JsonReporter();
  const make = stream('2026-11-22-a');
  const acquired = {
    arch: 'arm64',
    origin: 'stock',
    release: '6.1.0-28-arm64',
    version: '#1 SMP',
    fingerprint: 'f',
    packages: [{ name: 'linux-image', version: '6.1', arch: 'arm64', sha256: 'aa' }],
    toolchain: 'gcc 12',
    config: 'CONFIG_LIVEPATCH=y\n',
  } as const;
  const booted = {
    accel: 'tcg',
    qemu: '8.2',
    argv: ['-M', 'virt'],
    commandLine: 'quiet',
    bootMs: 2000,
    capabilities: ['replace'],
  };
  const begin = { kernel: 'k', scenario: 'a', title: 'Better title', clauses: ['REG-1', 'REG-2'] };
  const retried = finished('k', 'a', 'pass', { attempts: 2, flaky: true });
  const known = finished('k', 'b', 'fail', { expected: 'bug 12', reason: 'r', log: ['l'] });
  const clauses = [
    { kernel: 'k', clause: 'REG-1', statement: 'S', verdict: 'fail', scenarios: ['a', 'b'], note: 'n' },
    { kernel: 'k', clause: 'REG-2', statement: 'S', verdict: 'pass', scenarios: ['a'] },
  ] as const;
  const witness = { situation: 'asleep', proof: ['schedule+0x1'], span: { begin: '1', end: '2' } };
  const events = [
    make('run.started', started(['k', 'gone'], ['a', 'b'])),
    make('kernel.acquired', { kernel: 'k', ...acquired, packages: [...acquired.packages] }),
    make('kernel.booted', { kernel: 'k', ...booted }),
    make('kernel.failed', { kernel: 'gone', failure: { kind: 'boot failed', message: 'm' } }),
    make('scenario.started', { ...begin, attempt: 1 }),
    make('judgement', judgement('k', 'a', 'REG-1', 'error')),
    make('scenario.started', { ...begin, attempt: 2 }),
    make('operation', { kernel: 'k', scenario: 'a', what: 'w', result: '0' }),
    make('observation', { kernel: 'k', scenario: 'a', what: 'w', seen: '0' }),
    make('witness', { kernel: 'k', scenario: 'a', ...witness }),
    make('splat', { kernel: 'k', scenario: 'a', kind: 'WARNING', lines: ['x'], declared: true }),
    make('judgement', judgement('k', 'a', 'REG-1', 'pass')),
    make('scenario.finished', retried),
    make('judgement', judgement('k', 'b', 'REG-1', 'fail')),
    make('scenario.finished', known),
    ...clauses.map((c) => make('clause.judged', { ...c, scenarios: [...c.scenarios] })),
    make('run.finished', ending([retried, known], clauses, { staleExpectations: ['s'] })),
  ];
  t.equal(events.map((event) => json.event(event)).join(''), '', 'nothing before the end');
  const text = json.end();
  const bare = (...of: Parameters<typeof judgement>): unknown =>
    Object.fromEntries(
      Object.entries(judgement(...of)).filter(([name]) => name !== 'kernel' && name !== 'scenario'),
    );
  const passed = bare('k', 'a', 'REG-1', 'pass');
  const failed = bare('k', 'b', 'REG-1', 'fail');
  const wanted = {
    v: 1,
    run: '2026-11-22-a',
    harness: '0.1.0',
    catalogue: 3,
    command: ['klp', 'run'],
    profile: 'mainline',
    strict: false,
    host,
    started: '2026-11-22T10:00:00.000Z',
    finished: true,
    exit: 0,
    interrupted: false,
    durationMs: 60_000,
    kernels: [
      { kernel: 'k', acquired, booted },
      { kernel: 'gone', failure: { kind: 'boot failed', message: 'm' } },
    ],
    scenarios: [
      {
        ...retried,
        title: 'Better title',
        clauses: ['REG-1', 'REG-2'],
        judgements: [passed],
        witnesses: [witness],
        splats: [{ kind: 'WARNING', lines: ['x'], declared: true }],
      },
      { ...known, title: 'Title of b', clauses: ['REG-1'], judgements: [failed], witnesses: [], splats: [] },
    ],
    clauses: [
      { ...clauses[0], expected: true },
      { ...clauses[1], expected: false },
    ],
    counts: {
      scenarios: { fail: 1, error: 0, deviates: 0, pass: 1, 'n/a': 0 },
      clauses: { fail: 1, error: 0, deviates: 0, pass: 1, 'n/a': 0 },
      expected: 1,
      flaky: 1,
    },
    staleExpectations: ['s'],
  };
  t.strictSame(JSON.parse(text), wanted);
  t.strictSame(resultsSchema.parse(JSON.parse(text)), wanted, 'the schema knows every field');
  t.end();
});

void t.test('a journal without a single event', (t) => {
  const results = resultsSchema.parse(JSON.parse(new JsonReporter().end()));
  t.match(results, { run: '', finished: false, scenarios: [], counts: { expected: 0 } });
  t.end();
});
