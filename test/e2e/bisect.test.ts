// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const own = packagePath('test/e2e/fixtures/own.ts');
const minutes = 60_000;
await stockKernel();

const stock = ['--kernel', stockName, '--retries', '0'];
const cases: [string, string[], number, RegExp][] = [
  ['a pass', ['--build', 'true', '--', 'no-livepatch-field', ...stock], 0, /klp bisect: good \(0\)/],
  ['a fail', ['--', own, '--grep', 'own-fails', ...stock], 1, /klp bisect: bad \(1\): a scenario failed/],
  ['a panic in a scenario', ['--', own, '--grep', 'own-panics', ...stock], 1, /klp bisect: bad \(1\): own-panics: .*panic/],
  ['a kernel that panics at boot', ['--', 'no-livepatch-field', '--rdinit', '/nonexistent', ...stock], 125, /skip \(125\): the kernel does not boot/],
  ['a scenario that this kernel cannot be asked', ['--', 'kernel-without-livepatch', ...stock], 125, /skip \(125\): nothing could be judged/],
  ['a tree that does not build', ['--build', 'exit 2', '--', 'no-livepatch-field', ...stock], 125, /skip \(125\): the build failed/],
  ['a build command that is not there', ['--build', 'no-such-command', '--', 'x', ...stock], 130, /abort \(130\): .*no such command/],
  ['a build that is killed', ['--build', 'kill -9 $$', '--', 'x', ...stock], 131, /abort \(131\): the build was killed/],
  ['a scenario that is not there', ['--', 'no-such-scenario', ...stock], 130, /abort \(130\)/],
  ['an option that is not there', ['--bild', 'true', '--', 'x'], 130, /unknown option '--bild'/],
  ['an output in the wrong place', ['--', 'x', '--output', 'y'], 130, /--output belongs before the --/],
  ['a host without QEMU', ['--', 'no-livepatch-field', ...stock], 131, /abort \(131\)/],
];

for (const [name, words, status, message] of cases) {
  void t.test(name, { timeout: 5 * minutes }, async (t) => {
    const cwd = t.testdir({});
    const env = name === 'a host without QEMU' ? { PATH: '/nonexistent' } : {};
    const run = await klp(['bisect-step', ...words], { cwd, env, timeout: 4 * minutes });
    t.equal(run.status, status, run.stdout + run.stderr);
    t.match(run.stderr, message);
  });
}

void t.test('git bisect run finds the commit, past one that does not build', { timeout: 10 * minutes }, (t) => {
  const cwd = t.testdir({ 'case.ts': '', build: '' });
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const scenario = /export const fails = scenario\(\{[^]*?\n\}\);/.exec(readFileSync(own, 'utf8'))?.[0] ?? '';
  const head = readFileSync(own, 'utf8').split('\n').filter((l) => /^(import|const)/.test(l)).join('\n');
  // What the model knows nothing of is done from the fourth revision on.
  const revisions = [1, 2, 3, 4, 5].map((n) => ({ n, builds: n !== 3, bad: n >= 4 }));
  git('init', '-q');
  for (const { n, builds, bad } of revisions) {
    const text = bad ? scenario : scenario.replace(/await guest\.insmod[^]*?awaitContent.*\n/, '');
    writeFileSync(join(cwd, 'case.ts'), `// ${n}\n${head}\n${text}\n`);
    writeFileSync(join(cwd, 'build'), `#!/bin/sh\nexit ${builds ? 0 : 2}\n`);
    chmodSync(join(cwd, 'build'), 0o755);
    git('add', 'case.ts', 'build');
    git('commit', '-q', '-m', `revision ${n}`);
  }
  git('bisect', 'start', 'HEAD', 'HEAD~4');
  const main = packagePath('dist/harness/cli/main.js');
  let said: string;
  try {
    said = git('bisect', 'run', process.execPath, main, 'bisect-step', '--build', './build', '--', 'case.ts', ...stock);
  } catch (error) {
    // git ends with 2 where skipped commits leave it open which one it is.
    said = String((error as { stdout?: string }).stdout);
  }
  const log = git('bisect', 'log');
  t.match(log, /^# bad: \[[0-9a-f]+\] revision 4$/m, said);
  t.match(log, /^# good: \[[0-9a-f]+\] revision 2$/m);
  t.match(log, /^# skip: \[[0-9a-f]+\] revision 3$/m);
  t.match(log, /possible first bad commit: \[[0-9a-f]+\] revision 4/);
  t.end();
});
