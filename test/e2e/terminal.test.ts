// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema, type Results } from '../../harness/report/results-schema.js';
import { width } from '../../harness/report/text.js';
import { klp } from '../cli/klp.js';
import { klpInPty } from '../cli/pty.js';
import { Screen } from '../report/screen.js';
import { stockKernel, stockName } from './kernel.js';
import { isAlive, processesWith, until } from './processes.js';

const own = packagePath('test/e2e/fixtures/own.ts');
const minutes = 60_000;
const two = ['patch-vmlinux-function', 'missing-symbol'];

// Fetched before the first run, so that no run's time goes into it.
await stockKernel();

/** What a terminal shows in the end. The terminal driver adds a carriage return to each line feed. */
function shown(text: string, columns: number): Screen {
  const screen = new Screen(columns, width);
  screen.write(text);
  return screen;
}

function results(cwd: string): Results {
  return resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
}

for (const columns of [80, 40]) {
  void t.test(`a run in a terminal of ${columns} columns`, { timeout: 15 * minutes }, async (t) => {
    const cwd = t.testdir({});
    const { status, text } = await klpInPty(['run', ...two, '--kernel', stockName, '--jobs', '1'], { cwd, columns, timeout: 14 * minutes });
    t.equal(status, 0, text);
    t.match(text, /\r\x1b\[J/, 'there were live lines'); // eslint-disable-line no-control-regex
    t.match(text, / 1\/2 done[^\n]*\r\n +0:00 /, 'with what is done and what is under way');
    t.match(text, /\x1b\[32mpass/, 'in colours'); // eslint-disable-line no-control-regex
    const screen = shown(text, columns);
    // The run's folder is named on standard error, in one piece.
    const lines = screen.lines.filter((line) => !/^results: |latest\)$/.test(line));
    for (const line of lines) t.ok(width(line) <= columns, line);
    const named = columns === 80 ? 'pass +\\S+ ' : 'pass +';
    t.match(lines.join('\n'), new RegExp(`\\n${named}patch-vmlinux-funct.*\\)\\n${named}missing-symbol .*\\)\\n\\n`));
    t.match(lines.join('\n'), /\nscenarios {2}2 pass\n/);
    t.notMatch(lines.join('\n'), /\d\/2 done/, 'of the live lines nothing is left');
    const whole = lines.filter((line) => !/restoring|booting/.test(line)).length;
    t.ok(whole > 8, `${whole} lines`);
  });
}

void t.test('resized, stopped, continued, and interrupted', { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  let step = 0;
  let all = '';
  let resized: readonly string[] = [];
  const { status, text } = await klpInPty(['run', ...two, '--kernel', stockName, '--jobs', '1'], {
    cwd,
    columns: 80,
    timeout: 14 * minutes,
    onOutput: (sofar, script) => {
      all = sofar;
      if (step > 0 || !/ 0\/2 done[^\n]*\r\n +0:0\d /.test(sofar)) return;
      step = 1;
      const [klp = 0] = processesWith('dist/harness/cli/main.js', cwd);
      void (async () => {
        const terminal = readlinkSync(`/proc/${klp}/fd/1`);
        execFileSync('stty', ['-F', terminal, 'cols', '40']);
        // Too narrow for the kernel.
        await until(() => /\r\x1b\[J 0\/2 done[^\n]*\r\n +0:\d\d patch-/.test(all), 60_000); // eslint-disable-line no-control-regex
        resized = all.split(/\r\n?/).filter((line) => /^ +\d:\d\d patch-/.test(line)).map((line) => line.replace(/\x1b.*$/, '')); // eslint-disable-line no-control-regex
        step = 2;
        process.kill(klp, 'SIGTSTP');
        await until(() => /^\d+ \(.*\) T /.test(readFileSync(`/proc/${klp}/stat`, 'utf8')), 60_000);
        step = 3;
        process.kill(klp, 'SIGCONT');
        await until(() => isAlive(klp) && !/^\d+ \(.*\) T /.test(readFileSync(`/proc/${klp}/stat`, 'utf8')), 60_000);
        step = 4;
        script.stdin?.write('\x03');
      })();
    },
  });
  t.equal(step, 4, 'it was made narrower, stopped, and went on');
  t.ok(width(resized.at(-1) ?? 'x'.repeat(80)) < 40, 'live lines of the new width');
  t.equal(status, 130, text);
  const screen = shown(text.replaceAll('^C', ''), 80);
  t.notMatch(screen.lines.join('\n'), /\d\/2 done/, 'of the live lines nothing is left');
  t.match(screen.lines.join('\n'), /\n +interrupted \(1 kernel/);
  t.equal(screen.cursor[1], 0, 'the cursor is where a shell expects it');
  t.notMatch(text, /\x1b\[\?/, 'no mode of the terminal was changed'); // eslint-disable-line no-control-regex
});

void t.test('--max-failures, then --last-failed', { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const none = await klp(['run', '--last-failed'], { cwd });
  t.match(none, { status: 2, stderr: /there is no run in klp-results\/latest/ });

  const grep = 'own-(fails|passes|warns|unreached)';
  const first = await klp(['run', own, '--grep', grep, '--kernel', stockName, '--jobs', '1', '--max-failures', '1', '--retries', '0'], { cwd, timeout: 14 * minutes });
  t.equal(first.status, 1, first.stderr);
  t.match(first.stdout, /^not run +\S+ +3 scenarios: --max-failures 1 was reached$/m);
  t.match(first.stdout, /^scenarios {2}1 fail, 3 error; 3 not run$/m);
  const found = results(cwd);
  t.same(found.scenarios.map((s) => [s.scenario, s.verdict, s.notRun ?? false]), [
    ['own-fails', 'fail', false],
    ['own-passes', 'error', true],
    ['own-unreached', 'error', true],
    ['own-warns', 'error', true],
  ]);
  t.equal(found.scenarios[1]?.reason, 'not run: --max-failures 1 was reached');

  // Only what failed; the words are the last run's.
  const second = await klp(['run', '--last-failed', '--quiet'], { cwd, timeout: 14 * minutes });
  t.equal(second.status, 1, second.stderr);
  t.same(results(cwd).scenarios.map((s) => [s.scenario, s.verdict]), [['own-fails', 'fail']]);
  t.match(second.stdout, /^FAIL +\S+ +own-fails /, 'quiet: nothing before');
  // Again, of a run that was of failures itself.
  const third = await klp(['run', '--last-failed', '--list'], { cwd });
  t.match(third, { status: 0, stdout: /^own-fails\n/ });
  const other = await klp(['run', two[0] ?? '', '--kernel', stockName, '--last-failed'], { cwd });
  t.match(other, { status: 2, stderr: /nothing of what is chosen failed in klp-results\/[^]*failed: \S+ own-fails/ });

  const good = await klp(['run', own, '--grep', 'own-passes', '--kernel', stockName], { cwd, timeout: 14 * minutes });
  t.equal(good.status, 0, good.stderr);
  const nothing = await klp(['run', '--last-failed'], { cwd });
  t.match(nothing, { status: 0, stdout: /^nothing failed in klp-results\/\S+: nothing to run again\n$/ });
});
