// SPDX-License-Identifier: MIT
import t from 'tap';
import type { LogRecord } from '../../harness/guest/guest.js';
import { caseLogs, caseResults, casesOf, missingOptions } from '../../harness/runner/selftests-text.js';

const titles = ['basic', 'basic, and more', 'last'];

function verdicts(stdout: string, code: number, stderr = ''): Record<string, string> {
  const results = caseResults(titles, { stdout, stderr, code });
  return Object.fromEntries(titles.map((title) => [title, results.get(title)?.verdict ?? 'missing']));
}

void t.test('the cases of a script', (t) => {
  const script = 'function start_test {\nstart_test "one (first)"\nif x; then\n\tstart_test "two"\nfi\n# start_test "none"\necho start_test "none"\n';
  t.strictSame(casesOf(script), ['one (first)', 'two']);
  t.end();
});

void t.test('all went well', (t) => {
  const all = 'TEST: basic ... ok\nTEST: basic, and more ... ok\nTEST: last ... ok\n';
  t.strictSame(verdicts(all, 0), { basic: 'pass', 'basic, and more': 'pass', last: 'pass' });
  t.end();
});

void t.test('a difference between the logs ends the script: what follows is not known', (t) => {
  const diff = '--- expected\n+++ result\n@@ -1 +1 @@\n-a\n+b';
  const end = { stdout: `TEST: basic ... ok\nTEST: basic, and more ... not ok\n\n${diff}\n\n`, stderr: 'ERROR: livepatch kselftest(s) failed\n', code: 1 };
  const results = caseResults(titles, end);
  t.match(results.get('basic'), { verdict: 'pass' });
  t.match(results.get('basic, and more'), { verdict: 'fail', reason: 'the kernel log is not what the script expects', details: diff.split('\n') });
  t.match(results.get('last'), { verdict: 'error', reason: 'not run: the script ended in "basic, and more"' });
  t.end();
});

void t.test('a script that dies says why', (t) => {
  const end = { stdout: 'TEST: basic ... ', stderr: 'ERROR: failed to complete transition\n', code: 1 };
  t.match(caseResults(titles, end).get('basic'), { verdict: 'fail', reason: 'failed to complete transition' });
  const early = caseResults(titles, { stdout: '', stderr: './x.sh: line 3: sysctl: command not found\n', code: 127 });
  t.match(early.get('last'), { verdict: 'error', reason: 'not run: the script ended before its first case: status 127', details: [/sysctl/] });
  t.end();
});

void t.test('a script that dies after an ok has not passed', (t) => {
  t.strictSame(verdicts('TEST: basic ... ok\n', 1, 'ERROR: late\n'), { basic: 'fail', 'basic, and more': 'error', last: 'error' });
  t.end();
});

void t.test('time that is up, words that are missing', (t) => {
  t.strictSame(verdicts('TEST: basic ... ok\nTEST: last ... ', 124), { basic: 'pass', 'basic, and more': 'error', last: 'error' });
  t.strictSame(verdicts('TEST: basic ... \n', 0), { basic: 'error', 'basic, and more': 'n/a', last: 'n/a' });
  t.end();
});

void t.test('what is skipped, and what a script leaves out', (t) => {
  const skip = caseResults(titles, { stdout: 'TEST: basic ... ', stderr: 'SKIP: failed to set kernel.ftrace_enabled = 0\n', code: 4 });
  for (const title of titles) t.match(skip.get(title), { verdict: 'n/a', reason: 'the script skips it: failed to set kernel.ftrace_enabled = 0' });
  t.match(caseResults(titles, { stdout: '', stderr: 'skip all tests: must be run as root\n', code: 4 }).get('last'), { reason: /must be run as root/ });
  t.strictSame(verdicts('TEST: basic ... ok\n', 0), { basic: 'pass', 'basic, and more': 'n/a', last: 'n/a' });
  t.end();
});

void t.test('the log is cut where cases begin', (t) => {
  const record = (text: string, milliseconds: number): LogRecord => ({
    level: 4,
    facility: 1,
    sequence: BigInt(milliseconds),
    microseconds: BigInt(milliseconds * 1000),
    text,
    dictionary: {},
  });
  const records = [record('before', 1), record('===== TEST: a =====', 2), record('x', 3), record('===== TEST: b =====', 10), record('y', 14)];
  const logs = caseLogs(records);
  t.strictSame([...logs].map(([title, log]) => [title, log.milliseconds, log.records.map((r) => r.text)]), [
    ['a', 8, ['===== TEST: a =====', 'x']],
    ['b', 4, ['===== TEST: b =====', 'y']],
  ]);
  t.equal(caseLogs([]).size, 0);
  t.end();
});

void t.test('options that are missing; the test modules are built apart', (t) => {
  const config = 'CONFIG_LIVEPATCH=y\nCONFIG_DYNAMIC_DEBUG=y\nCONFIG_TEST_LIVEPATCH=m\n';
  t.strictSame(missingOptions(config, new Map([['CONFIG_LIVEPATCH', 'y']])), ['CONFIG_DYNAMIC_DEBUG=y']);
  t.end();
});
