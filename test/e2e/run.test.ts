// SPDX-License-Identifier: MIT
import { mkdirSync, readFileSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { type Results, resultsSchema } from '../../harness/report/results-schema.js';
import { readJournal } from '../../harness/runner/journal.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';
import { isAlive, qemusOf } from './processes.js';

const own = packagePath('test/e2e/fixtures/own.ts');
const minutes = 60_000;

// Fetched before the first run, so that no run's time goes into it.
await stockKernel();

function results(cwd: string): Results {
  return resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
}

void t.test("a run of a user's own scenarios, one for each way to end", { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const run = await klp(['run', own, '--kernel', stockName, '--retries', '0'], { cwd, timeout: 14 * minutes });
  t.equal(run.status, 1, 'a failure outweighs errors');
  t.notOk(run.stdout.includes('\u001b'), 'plain when it is not a terminal');

  const found = results(cwd);
  const by = new Map(found.scenarios.map((s) => [s.scenario, s]));
  const verdicts = Object.fromEntries(found.scenarios.map((s) => [s.scenario, s.verdict]));
  t.strictSame(verdicts, {
    'own-endless': 'error',
    'own-fails': 'fail',
    'own-panics': 'error',
    'own-passes': 'pass',
    'own-silent': 'error',
    'own-unreached': 'error',
    'own-warns': 'fail',
  });
  t.match(by.get('own-endless')?.failure, { kind: 'hang', during: 'patch_state of every thread' });
  t.match(by.get('own-panics')?.failure, { kind: 'panic', message: /sysrq triggered crash/, during: /./ });
  t.match(by.get('own-fails')?.reason, /DIS-4: call of vmlinux:cmdline_proc_show: klp_own; allowed: original/);
  t.match(by.get('own-unreached')?.reason, /^situation not reached: .*no longer sleeps in original of klp_target_alpha/);
  t.match(by.get('own-silent')?.reason, /nothing judged TRN-6/);
  t.match(by.get('own-warns')?.failure, { kind: 'oops', message: /the kernel warned: WARNING: .*made\/up\.c:1/ });
  t.match(by.get('own-warns')?.repeat, /^npx klp run \S+own\.ts --grep '\^own-warns\$' --kernel \S+$/);

  t.match(run.stdout, /seen +klp_own/, 'what was seen');
  t.match(run.stdout, /mainline +original/, 'what was allowed');
  t.match(run.stdout, /repeat: npx klp run .*own-fails/, 'how to repeat it');
  const tap = readFileSync(join(cwd, 'klp-results/latest/results.tap'), 'utf8');
  t.match(tap, /^TAP version 14\n/);
  t.match(await klp(['report', '--format', 'tap'], { cwd }), { status: 0, stdout: tap, stderr: '' }, 'the journal says it again');
  const journal = await readJournal(join(cwd, 'klp-results/latest/journal.ndjson'));
  t.equal(journal.finished, true);
  t.equal(journal.events.filter((e) => e.type === 'scenario.finished').length, 7);
  t.ok(journal.events.some((e) => e.type === 'witness' && e.proof.some((line) => line.includes('klp_target_alpha'))));
  t.match(readlinkSync(join(cwd, 'klp-results/latest')), /^\d{8}-\d{6}-[0-9a-f]{4}$/);
});

void t.test('expected failures, and strictness', { timeout: 15 * minutes }, async (t) => {
  const expectation = { scenario: 'own-warns', verdict: 'fail', reason: 'known', owner: 'us', expires: '2999-01-01' };
  const cwd = t.testdir({ 'known.json': JSON.stringify({ version: 1, expectations: [expectation] }) });
  const args = ['run', own, '--grep', 'own-(warns|passes)', '--kernel', stockName, '--expectations', 'known.json'];
  const run = await klp(args, { cwd, timeout: 14 * minutes });
  t.equal(run.status, 0, 'only what was expected failed');
  t.match(results(cwd).scenarios.find((s) => s.scenario === 'own-warns'), { verdict: 'fail', expected: 'known' });
});

void t.test('a kernel that panics at boot', { timeout: 10 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const args = ['run', own, '--grep', 'own-passes', '--kernel', stockName, '--rdinit', '/nonexistent'];
  const run = await klp(args, { cwd, timeout: 9 * minutes });
  t.equal(run.status, 3);
  t.match(run.stdout, /panic/);
  t.match(results(cwd).scenarios, [{ verdict: 'error', failure: { kind: 'panic', message: /panicked while booting/ } }]);
});

void t.test('a guest that never answers', { timeout: 10 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const args = ['run', own, '--grep', 'own-passes', '--kernel', stockName, '--fresh', '--boot-deadline', '300'];
  const run = await klp(args, { cwd, timeout: 9 * minutes });
  t.equal(run.status, 3);
  t.match(results(cwd).scenarios, [{ verdict: 'error', failure: { message: /waited 0\.3 s for the x86_64 guest to print/ } }]);
});

void t.test('Ctrl-C in the middle', { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  let qemu: number[] = [];
  let pid = 0;
  const run = await klp(['run', '--kernel', stockName], {
    cwd,
    timeout: 14 * minutes,
    onStart: (child) => (pid = child.pid ?? 0),
    onOutput: (text) => {
      if (qemu.length > 0 || !/^(pass|deviates) /m.test(text)) return;
      qemu = qemusOf(pid);
      process.kill(pid, 'SIGINT');
    },
  });
  t.equal(run.status, 130, run.stderr);
  t.ok(qemu.length > 0, 'there was a QEMU');
  t.notOk(qemu.some(isAlive), 'and none is left');
  const journal = await readJournal(join(cwd, 'klp-results/latest/journal.ndjson'));
  t.match(journal.events.at(-1), { type: 'run.finished', interrupted: true, exit: 130 });
  t.match(run.stdout, /interrupted/);
  t.notMatch(run.stderr, /kept from ending/, 'nothing was left open');
});

void t.test('QEMU is missing', { timeout: 5 * minutes }, async (t) => {
  const cwd = t.testdir({});
  // Every program of the host but QEMU.
  mkdirSync(join(cwd, 'bin'));
  for (const directory of ['/bin', '/usr/bin', '/usr/local/bin', '/usr/sbin']) {
    for (const name of readdirSync(directory)) {
      if (name.startsWith('qemu-system')) continue;
      try {
        symlinkSync(join(directory, name), join(cwd, 'bin', name));
      } catch {
        // The first folder's is the one the shell would take.
      }
    }
  }
  const args = ['run', own, '--grep', 'own-passes', '--kernel', stockName];
  const run = await klp(args, { cwd, timeout: 4 * minutes, env: { PATH: join(cwd, 'bin') } });
  t.equal(run.status, 3);
  t.match(run.stdout, /qemu-system-x86_64/);
  t.match(run.stdout, /qemu-system-x86\b/, 'the package that has it');
});

void t.test('the mirror cannot be reached, and the cache is empty', { timeout: 5 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const env = { KLP_CACHE: join(cwd, 'cache'), KLP_DEBIAN_MIRROR: 'http://127.0.0.1:9/debian' };
  const run = await klp(['run', own, '--grep', 'own-passes', '--kernel', stockName], { cwd, env, timeout: 4 * minutes });
  t.equal(run.status, 3);
  t.match(run.stdout, /mirror/);
  t.match(run.stdout, /KLP_DEBIAN_MIRROR/, 'what to do about it');
});
