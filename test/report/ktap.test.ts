// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isBad } from '../../harness/report/summary.js';
import { report } from './forms.js';
import { type Parsed, kunitParser } from './kunit.js';
import { ending, finished, runArb, started, stream } from './runs.js';

void t.test('a run of each kind', (t) => {
  const make = stream();
  const results = [
    finished('k', 'a', 'pass', { flaky: true, attempts: 2 }),
    finished('k', 'b', 'fail', { reason: 'REG-1: it #1 failed' }),
    finished('k', 'c', 'fail', { reason: 'known', expected: 'bug 12' }),
    finished('k', 'd', 'deviates', { reason: 'as mainline does' }),
    finished('l', 'a', 'n/a', { reason: 'the kernel lacks: livepatch' }),
    finished('l', 'b', 'error'),
  ];
  const events = [
    make('run.started', started(['k', 'l'], ['a', 'b', 'c', 'd'])),
    ...results.map((r) => make('scenario.finished', r)),
    make('run.finished', ending(results, [], { exit: 1, staleExpectations: ['an old one'] })),
  ];
  t.equal(
    report('ktap', events).replace(/^ {2}#(?! {2}(?:Title|flaky)| Subtest).*\n/gm, ''),
    `KTAP version 1
#  klp 0.1.0, clause catalogue 3, run r1
1..2
  KTAP version 1
  # Subtest: k
  1..4
  #  Title of a
  #  flaky: passed on attempt 2
  ok 1 a
  #  Title of b
  not ok 2 b # fail: REG-1: it #1 failed
  #  Title of c
  ok 3 c # XFAIL fail, expected: bug 12
  #  Title of d
  ok 4 d # deviates: as mainline does
not ok 1 k
  KTAP version 1
  # Subtest: l
  1..2
  #  Title of a
  ok 1 a # SKIP the kernel lacks: livepatch
  #  Title of b
  not ok 2 b # ERROR
not ok 2 l
#  expectation that no longer holds: an old one
`,
  );
  t.end();
});

void t.test('what is no whole result fails', (t) => {
  const make = stream();
  const begun = [make('run.started', started(['k'], ['a']))];
  t.equal(report('ktap', []), 'KTAP version 1\n#  klp , clause catalogue 0, run\n1..1\nnot ok 1 the run as a whole # ERROR the run did not finish\n');
  t.match(report('ktap', begun), /^ok 1 k # SKIP no scenario has a result\nnot ok 2 the run as a whole # ERROR the run did not finish$/m);
  const judged = [...begun, make('scenario.finished', finished('k', 'a', 'pass')), make('run.finished', ending([], [], { missing: ['shard 2'] }))];
  t.match(report('ktap', judged), /^# {2}missing: shard 2\nnot ok 2 the run as a whole # ERROR shards are missing$/m);
  t.end();
});

void t.test("the kernel's own parser finds the same", { timeout: 900_000 }, async (t) => {
  await using parser = await kunitParser();
  const property = fc.asyncProperty(runArb, async ({ events, strict, results }) => {
    const { counts, tests } = (await parser.ask(report('ktap', events))) as Parsed;
    const kernels = [...new Set(events.flatMap((e) => (e.type === 'run.started' ? e.kernels : [])))];
    const expected = kernels.map((kernel) => {
      const own = results.filter((r) => r.kernel === kernel);
      return { name: kernel, subtests: own.map((r) => ({ name: r.scenario, status: statusOf(r, strict) })) };
    });
    const found = tests.filter((test) => test.name !== 'the run as a whole').map(({ name, subtests }) => ({ name, subtests }));
    assert.deepEqual(found, expected);
    const red = results.filter((r) => statusOf(r, strict) === 'FAILURE').length;
    assert.equal(counts.crashed, 0);
    assert.equal(counts.failed, red + (tests.length - found.length));
  });
  await fc.assert(property, { numRuns: 100 });
  t.pass('for arbitrary runs');
});

void t.test('words of a log that it takes for the end, or for a crash', { timeout: 900_000 }, async (t) => {
  await using parser = await kunitParser();
  const make = stream();
  const log = ['reboot: System halted', 'Kernel panic - not syncing: VFS: Unable to mount root', 'x: kunit test case crashed!', '# Subtest: y', 'KTAP version 1', '1..7'];
  const results = [finished('k', 'a', 'fail', { log, reason: 'a # SKIP b # # SKIP c' }), finished('k', 'b', 'pass')];
  const events = [make('run.started', started(['k'], ['a', 'b'])), ...results.map((r) => make('scenario.finished', r)), make('run.finished', ending(results, []))];
  t.strictSame(await parser.ask(report('ktap', events)), {
    counts: { passed: 1, failed: 1, crashed: 0, skipped: 0, errors: 0 },
    tests: [{ name: 'k', status: 'FAILURE', subtests: [{ name: 'a', status: 'FAILURE' }, { name: 'b', status: 'SUCCESS' }] }],
  });
});

function statusOf({ verdict, expected }: { readonly verdict: 'fail' | 'error' | 'deviates' | 'pass' | 'n/a'; readonly expected?: string | undefined }, strict: boolean): string {
  if (verdict === 'n/a') return 'SKIPPED';
  return isBad(verdict, strict) && expected === undefined ? 'FAILURE' : 'SUCCESS';
}
