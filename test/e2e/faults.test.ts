// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { findKernel } from '../../kernels/catalogue.js';
import { packagePath } from '../../harness/package-root.js';
import { type Results, resultsSchema } from '../../harness/report/results-schema.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const faults = packagePath('test/e2e/fixtures/faults.ts');
const arm = 'built-7-arm64';
const minutes = 60_000;

type Scenario = Results['scenarios'][number];

// Fetched before the first run, so that no run's time goes into it.
await stockKernel();
const built = await (await findKernel(arm)).cached();

async function run(t: Test, kernel: string, grep: string): Promise<{ by: (id: string) => Scenario | undefined; stdout: string }> {
  const cwd = t.testdir({});
  const { status, stdout, stderr } = await klp(['run', faults, '--grep', grep, '--kernel', kernel, '--jobs', '1'], { cwd, timeout: 19 * minutes });
  t.equal(status, 3, `errors, and nothing worse: ${stderr}`);
  const results = resultsSchema.parse(JSON.parse(readFileSync(join(cwd, 'klp-results/latest/results.json'), 'utf8')));
  t.equal(results.finished, true);
  return { stdout, by: (id) => results.scenarios.find((s) => s.scenario === id) };
}

function details(s: Scenario | undefined): string {
  return (s?.failure?.details ?? []).join('\n');
}

function spinning(s: Scenario | undefined): number {
  return (s?.failure?.registers ?? []).filter((line) => /^CPU \d+: at \w+, 0\.5 s later at \w+, interrupts off, busy$/.test(line)).length;
}

/** What holds on every kernel. */
function panicAndSpins(t: Test, by: (id: string) => Scenario | undefined): void {
  const panic = by('fault-a-panic');
  t.match(panic?.failure, { kind: 'panic', during: 'write /proc/sysrq-trigger', message: /sysrq triggered crash$/ });
  t.match(details(panic), /console: .*Kernel panic - not syncing[^]*console: .*Call trace/i, "the kernel's words");
  t.match(details(panic), /^command: \S*qemu-system-/m);
  t.match(panic?.failure?.registers?.[0], /^CPU 0: at [0-9a-f]{16}/, 'registers, though QEMU ends with the panic');
  t.match(panic?.splats, [{ kind: 'panic', declared: false, during: 'write /proc/sysrq-trigger' }]);

  const one = by('fault-c-spin');
  t.match(one?.failure, { kind: 'hang', during: 'insmod klp_spin', message: /^waited .* for scenario fault-c-spin to end; CPU \d spins/ });
  t.equal(spinning(one), 1, 'one CPU spins');
  const all = by('fault-d-spin-all');
  t.match(all?.failure, { kind: 'hang', during: 'insmod klp_spin_all' });
  t.equal(spinning(all), 2, 'both CPUs spin');
  t.equal(by('fault-h-healthy')?.verdict, 'pass', 'the guest after that is a pristine one');
}

void t.test('a guest broken in each way: named, put down to the operation, and the run goes on', { timeout: 20 * minutes }, async (t) => {
  const { by, stdout } = await run(t, stockName, 'fault-');
  panicAndSpins(t, by);

  const oops = by('fault-b-oops');
  t.match(oops?.failure, { kind: 'oops', during: 'insmod klp_oops', message: /NULL pointer dereference/ });
  t.match(details(oops), /fault_init\+0x/, 'where it was');
  t.match(oops?.splats, [{ kind: 'oops', declared: false, during: 'insmod klp_oops' }]);

  t.match(by('fault-e-agent')?.failure, { kind: 'connection lost', during: 'readText /proc/version', message: /agent/ });
  t.match(by('fault-e-agent')?.failure?.registers?.[0], /^CPU 0: at \w+, 0\.5 s later/);
  t.match(by('fault-f-sshd')?.failure, { kind: 'connection lost', during: 'run true', message: /SSH/ });
  t.match(by('fault-g-qemu'), { verdict: 'pass', attempts: 2, flaky: true }, "QEMU's death is nobody's finding");

  t.match(stdout, /panic during write \/proc\/sysrq-trigger: /);
  t.match(stdout, / {4}\| CPU 0: at /, 'the short form of the registers');
  t.notMatch(stdout, /RFL=/, 'and only that');
  t.match(stdout, / {4}\| command: \S*qemu-system-x86_64 .*fdset/, "QEMU's whole command line");
  t.match(stdout, /flaky: attempt 2/);
});

const skip = built === undefined ? `${arm} is not in the cache` : false;
void t.test('panic and spins on arm64', { timeout: 20 * minutes, skip }, async (t) => {
  const { by } = await run(t, arm, 'fault-[acdh]-');
  panicAndSpins(t, by);
});
