// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Collector } from '../../harness/report/collect.js';
import { type Known, type Summary, conclude, measure } from '../../harness/report/certificate.js';
import { certificatePage } from '../../harness/report/certificate-page.js';
import { pageMarkdown } from '../../harness/report/page-markdown.js';
import type { Results } from '../../harness/report/results-schema.js';
import { ending, finished, judgement, runArb, started, stream } from './runs.js';

const none = { fail: 0, error: 0, deviates: 0, pass: 0, 'n/a': 0 };
const whole: Summary = { profile: 'mainline', strict: false, clauses: { ...none, pass: 8, 'n/a': 2 }, scenarios: { ...none, pass: 5 }, expected: 0, askable: 10, asked: 8, impossible: 2, missing: 0, defects: [] };

void t.test('the line itself', (t) => {
  const line = (change: Partial<Summary>): string => conclude({ ...whole, ...change }).text;
  t.equal(line({}), 'Conformant to mainline of its generation and the documents: 8 of 10 clauses were asked, 2 can\'t be asked of this kernel, and none fails.');
  t.equal(line({ profile: 'documents', clauses: { ...whole.clauses, deviates: 1 } }), 'Conformant to the documents of its generation: 8 of 10 clauses were asked, 2 can\'t be asked of this kernel, and none fails; 1 clause deviates from the documents as mainline does.');
  t.equal(line({ missing: 3, asked: 4, impossible: 0 }), 'Partial: 4 of 10 clauses were asked; none of them fails.');
  t.equal(line({ clauses: { ...none, fail: 1 }, scenarios: { ...none, fail: 2 }, expected: 1, missing: 3, asked: 4, impossible: 0 }), 'Not conformant: 1 clause and 2 scenarios fail; 1 of the scenarios that fail or end in error are named in the expectations file; partial: 4 of 10 clauses were asked.');
  t.equal(line({ scenarios: { ...none, error: 1, pass: 1 } }), 'Not established: 1 scenario ended in error: 8 of 10 clauses were asked, 2 can\'t be asked of this kernel; none of them fails.');
  t.equal(line({ asked: 0, scenarios: none, clauses: none, impossible: 0 }), 'Not established: nothing was judged: 0 of 10 clauses were asked.');
  t.equal(line({ strict: true, clauses: { ...whole.clauses, deviates: 2 } }), 'Not conformant, with --strict: 2 clauses deviate from the documents as mainline does: 8 of 10 clauses were asked, 2 can\'t be asked of this kernel.');
  t.equal(conclude({ ...whole, defects: ['the run did not finish'] }).standing, 'partial');
  t.end();
});

const counts = fc.record({ fail: fc.nat(2), error: fc.nat(2), deviates: fc.nat(2), pass: fc.nat(9), 'n/a': fc.nat(3) });
const summaries: fc.Arbitrary<Summary> = fc
  .record({
    profile: fc.constantFrom('mainline' as const, 'documents' as const),
    strict: fc.boolean(),
    clauses: counts,
    scenarios: counts,
    expected: fc.nat(2),
    asked: fc.nat(10),
    impossible: fc.nat(3),
    unjudged: fc.nat(2),
    missing: fc.nat(2),
    defects: fc.array(fc.constant('d'), { maxLength: 1 }),
  })
  .map(({ unjudged, ...rest }) => ({ ...rest, askable: rest.asked + rest.impossible + unjudged }));

void t.test('never "Conformant" with a fail, an error, or a question left', (t) => {
  fc.assert(
    fc.property(summaries, (s) => {
      const { standing, text } = conclude(s);
      const flawless = s.clauses.fail + s.clauses.error + s.scenarios.fail + s.scenarios.error === 0 && !(s.strict && s.clauses.deviates + s.scenarios.deviates > 0);
      const complete = s.missing === 0 && s.defects.length === 0 && s.asked + s.impossible === s.askable;
      const judged = s.asked > 0 && s.scenarios.pass + s.scenarios.deviates > 0;
      assert.equal(/\bConformant\b/.test(text), flawless && complete && judged);
      assert.equal(standing === 'conformant', /\bConformant\b/.test(text));
      if (s.clauses.fail + s.scenarios.fail > 0) assert.match(text, /^Not conformant/);
      assert.ok(text.includes(`${s.asked} of ${s.askable} clauses were asked`), 'how much was asked stands in every conclusion');
      assert.deepEqual(conclude({ ...s, expected: s.expected + 1 }).standing, standing, 'expectations change no standing');
    }),
    { numRuns: 2000 },
  );
  t.end();
});

const known: Known = {
  catalogue: 3,
  clauses: ['REG-1', 'REG-2', 'ENA-10', 'EF-01', 'ELF-1'].map((id) => ({ id, statement: `Statement of ${id}.` })),
  scenarios: ['scenario-0', 'scenario-1', 'scenario-2', 'scenario-3'].map((id) => ({ id, clauses: ['REG-1', 'REG-2', 'ENA-10', 'EF-01'] })),
  capabilities: { livepatch: 'livepatch is built in' },
};

function collected(events: Parameters<Collector['add']>[0][]): Results {
  const collector = new Collector();
  for (const event of events) collector.add(event);
  return collector.results();
}

void t.test('over any run: a bad result or a scenario that is missing certifies nothing', (t) => {
  fc.assert(
    fc.property(runArb, ({ events, results }) => {
      const of = collected([...events]);
      const measured = measure(of, 'kernel-0', known);
      const { text } = conclude(measured.summary);
      const own = results.filter((r) => r.kernel === 'kernel-0');
      if (own.length < 4 || own.some((r) => r.verdict === 'fail' || r.verdict === 'error')) assert.doesNotMatch(text, /\bConformant\b/);
    }),
  );
  t.end();
});

function port(verdicts: readonly ('pass' | 'fail' | 'deviates' | 'n/a')[], scenarios = verdicts.length): Results {
  const make = stream();
  const ids = verdicts.map((_, i) => `scenario-${i}`);
  const events = [make('run.started', started(['port'], ids))];
  const acquired = { release: '4.14.67-vendor', version: 'vendor tree', fingerprint: 'f'.repeat(64), packages: [], toolchain: 'gcc 10', config: '/b/.config' };
  events.push(make('kernel.acquired', { kernel: 'port', arch: 'arm64', origin: 'brought', ...acquired }));
  const findings = [{ capability: 'livepatch', has: true, evidence: 'CONFIG_LIVEPATCH=y' }, { capability: 'registration', has: true, evidence: 'klp_register_patch() in linux/livepatch.h' }];
  events.push(make('kernel.probed', { kernel: 'port', findings, promised: [] }));
  verdicts.slice(0, scenarios).forEach((verdict, i) => {
    const [scenario, clause] = [`scenario-${i}`, ['REG-1', 'REG-2', 'ENA-10', 'EF-01'][i] ?? ''];
    events.push(make('scenario.started', { kernel: 'port', scenario, title: 'T', clauses: [clause], attempt: 1 }));
    if (verdict !== 'n/a') events.push(make('judgement', judgement('port', scenario, clause, verdict)));
    events.push(make('scenario.finished', finished('port', scenario, verdict, verdict === 'n/a' ? { reason: 'the kernel lacks: replace' } : {})));
    events.push(make('clause.judged', { kernel: 'port', clause, statement: `Statement of ${clause}.`, verdict, scenarios: [scenario], ...(verdict === 'n/a' && { note: 'the kernel lacks: replace' }) }));
  });
  events.push(make('run.finished', ending([], [])));
  return collected(events);
}

void t.test('a port, as a page', (t) => {
  const page = (results: Results, of = known): string => pageMarkdown(certificatePage(measure(results, undefined, of)));
  const good = page(port(['pass', 'pass', 'deviates', 'n/a']));
  t.match(good, /^\*\*Conformant to mainline of its generation and the documents: 3 of 4 clauses were asked, 1 can't be asked of this kernel, and none fails; 1 clause deviates from the documents as mainline does\.\*\*$/m);
  t.match(good, /\| documents \| those of Linux 4\.14, for kernels where patches are registered \|/);
  t.match(good, /\*\*ENA-10\*\* in scenario-2: forbidden by the documents \\\(livepatch\.txt:393\\\), shared with mainline/);
  t.match(good, /### Could not be asked of this kernel\n\n- the kernel lacks: replace: EF-01\n/);
  t.match(good, /- clauses without a scenario: ELF-1\n/);
  t.match(good, /\| `livepatch` \| yes \| CONFIG\\_LIVEPATCH=y \| livepatch is built in \|/);
  t.match(good, /\| fingerprint \| `f{64}` /);

  const bad = page(port(['pass', 'fail', 'pass', 'pass']));
  t.match(bad, /^\*\*Not conformant: 1 clause and 1 scenario fail: 4 of 4 clauses were asked\.\*\*$/m);
  t.match(bad, /\*\*REG-2\*\* in scenario-1: forbidden by the documents .*, not shared with mainline/);

  t.match(page(port(['pass', 'pass', 'pass', 'pass'], 2)), /^\*\*Partial: 2 of 4 clauses were asked; none of them fails\.\*\*$/m);
  t.match(page(port(['pass', 'pass', 'pass', 'pass']), { ...known, catalogue: 4 }), /^\*\*Partial: [^]*the run is of clause catalogue 3, this klp has 4/m);
  t.end();
});

void t.test('which kernel', (t) => {
  const results = port(['pass']);
  const two: Results = { ...results, kernels: [...results.kernels, { kernel: 'other' }] };
  t.throws(() => measure(two, undefined, known), { message: 'the run has 2 kernels', hint: 'say which: --kernel with one of port, other' });
  t.throws(() => measure(two, 'ohter', known), { message: 'kernel ohter is not in the run', hint: 'it has port, other' });
  t.match(pageMarkdown(certificatePage(measure(two, 'other', known))), /Not established: nothing was judged/);
  t.end();
});
