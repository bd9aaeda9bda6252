// SPDX-License-Identifier: MIT
import { join } from 'node:path';
import t from 'tap';
import { catalogue } from '../../kernels/catalogue.js';
import { promised } from '../../kernels/promised.js';
import type { Capability, Finding } from '../../harness/model/capabilities.js';
import { FailureLimit } from '../../harness/runner/failure-limit.js';
import { Expectations } from '../../harness/runner/expectations.js';
import { Journal } from '../../harness/runner/journal.js';
import { KernelResults } from '../../harness/runner/results.js';
import { scenario } from '../../harness/runner/scenario.js';

const entries = await catalogue();

const s = scenario({
  id: 'asks',
  title: 'Asks for two things',
  clauses: ['TRN-1'],
  needs: ['replace', 'states'],
  modules: [],
  run: () => Promise.resolve(),
});

const findings = new Map<Capability, Finding>([
  ['replace', { has: false, evidence: 'no replace in linux/livepatch.h' }],
  ['states', { has: false, evidence: 'no struct klp_state in linux/livepatch.h' }],
]);

void t.test('a missing capability is n/a, and a failure where the catalogue promises it', (t) => {
  for (const [must, verdict, reason] of [
    [[], 'n/a', /^the kernel lacks: replace \(.*\); states \(/],
    [['states'], 'fail', /^the catalogue says that this kernel has what it lacks: states \(.*; seen: no struct klp_state in/],
  ] as const) {
    const journal = new Journal(join(t.testdir({}), 'journal.ndjson'), 'run', { outputs: [], onBroken: (error) => t.fail(String(error)) });
    const expectations = new Expectations([], '2026-01-01');
    const results = new KernelResults('k', [s], { journal, expectations, limit: new FailureLimit(Infinity, false), harness: '0', must, repeat: () => 'klp run' });
    results.notAsked(s, ['replace', 'states'], findings);
    journal.close();
    const [result] = results.all();
    t.match(result, { verdict, clauses: [{ clause: 'TRN-1', verdict, note: reason }] });
  }
  t.end();
});

void t.test('every kernel of the catalogue promises whether it can livepatch', (t) => {
  for (const { name, livepatch } of entries) {
    t.strictSame(promised(name).filter((c) => c.endsWith('livepatch')), [livepatch ? 'livepatch' : 'no-livepatch'], name);
  }
  t.strictSame(promised('bookworm-x86_64@6.1.0-1'), promised('bookworm-x86_64'), 'a pinned one is the same');
  t.strictSame(promised('image:bzImage'), []);
  t.end();
});
