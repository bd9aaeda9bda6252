// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Results, resultsSchema } from '../../harness/report/results-schema.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const minutes = 60_000;
await stockKernel();

function results(cwd: string): Results {
  return resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
}

const run = ['run', 'patch-vmlinux-function', '--kernel', stockName, '--append', 'module.sig_enforce=1', '--retries', '0'];

void t.test('a kernel that enforces signatures, without a key: why nothing can be loaded', { timeout: 10 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const { status, stdout } = await klp(run, { cwd, timeout: 9 * minutes });
  t.equal(status, 3);
  t.match(stdout, /takes signed modules only \(\/sys\/module\/module\/parameters\/sig_enforce: Y\), and there is no key: nothing can be loaded/);
  const [kernel] = results(cwd).kernels;
  t.match(kernel?.booted?.commandLine, /module\.sig_enforce=1$/);
  const enforced = kernel?.probed?.findings.find((f) => f.capability === 'signatures-enforced');
  t.match(enforced, { has: true, evidence: /sig_enforce: Y$/ });
});

void t.test('a key that the kernel does not trust is said to be that, and no failure of the kernel', { timeout: 10 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const file = join(cwd, 'key.pem');
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=klp test', '-keyout', file, '-out', join(cwd, 'cert.pem')];
  execFileSync('openssl', words, { stdio: 'ignore' });
  const { status } = await klp([...run, '--sign-key', file, '--sign-cert', join(cwd, 'cert.pem')], { cwd, timeout: 9 * minutes });
  t.equal(status, 3);
  const [scenario] = results(cwd).scenarios;
  t.match(scenario, {
    verdict: 'error',
    failure: { kind: 'infrastructure', message: /^the kernel does not trust the key that klp_\w+ is signed with: insmod ends with E(NOKEY|KEYREJECTED)$/ },
  });
});
