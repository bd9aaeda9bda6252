// SPDX-License-Identifier: MIT
import { type Conclusion, type Deviation, type Measured, conclude, deviations, generationOf } from './certificate.js';
import { type Block, type Inline, type Item, type Line, type Page, facts, items, listed, prose, section, table, text } from './page.js';
import type { ClauseResult } from './results-schema.js';
import { condense } from './summary.js';
import { duration, naturally, plural } from './text.js';
import { judgementText, why } from './why.js';

const moods: Readonly<Record<Conclusion['standing'], Page['mood']>> = { conformant: 'good', 'not conformant': 'bad', 'not established': 'bad', partial: 'open' };

/** A certificate: the conclusion, what it rests on, and what was not asked. */
export function certificatePage(measured: Measured): Page {
  const { kernel, clauses, summary } = measured;
  const conclusion = conclude(summary);
  const { shared, own, allowed } = deviations(measured);
  return {
    title: `Livepatch conformance of ${kernel.kernel}${kernel.acquired ? ` (${kernel.acquired.release}, ${kernel.acquired.arch})` : ''}`,
    conclusion: [conclusion.text],
    mood: moods[conclusion.standing],
    sections: [
      ...section('Measured against', against(measured)),
      ...section('What limits this certificate', items(limits(measured))),
      ...section('Fails', items(clauseItems(clauses, 'fail')), items(scenarioItems(measured, 'fail')), items(own.map(deviationItem))),
      ...section('Ended in error: neither pass nor fail', items(clauseItems(clauses, 'error')), items(scenarioItems(measured, 'error'))),
      ...section('Deviates from the documents, as mainline of its generation does', items(clauseItems(clauses, 'deviates')), items(shared.map(deviationItem))),
      ...section('Does otherwise than mainline, and passes: the documents allow it or are silent', items(allowed.map(deviationItem))),
      ...section('Passes', ...condensed(clauses.filter((c) => c.verdict === 'pass').map((c) => c.clause))),
      ...section('Could not be asked of this kernel', items(impossible(clauses))),
      ...section('Was not asked', items(unasked(measured))),
      ...section('What the kernel claims, and what shows it', ...claims(measured)),
      ...section('Identity of the kernel', identity(measured)),
      ...section('Identity of the measurement', measurement(measured)),
      ...section('Clauses one by one', oneByOne(clauses)),
    ],
  };
}

function against({ kernel, results, summary }: Measured): Block {
  const { documents, mainline } = generationOf(kernel);
  const last = results.profile === 'mainline' ? 'mainline has the last word where the documents are silent' : 'what the documents do not speak of is allowed';
  return facts(
    ['profile', [`${results.profile}${results.strict ? ', strict: a deviation counts as a failure' : ''}: ${last}`]],
    ['documents', [documents]],
    ['mainline', [mainline]],
    ['clauses', verdictCounts(summary.clauses)],
    ['scenarios', verdictCounts(summary.scenarios)],
  );
}

function verdictCounts(counts: Readonly<Record<ClauseResult['verdict'], number>>): Line {
  const some = (['fail', 'error', 'deviates', 'pass', 'n/a'] as const).filter((verdict) => counts[verdict] > 0);
  return some.length === 0 ? ['none'] : some.flatMap((verdict, i): Inline[] => [`${i === 0 ? '' : ', '}${counts[verdict]} `, { verdict }]);
}

function limits({ summary, scenarios, missing, unasked }: Measured): Item[] {
  const expected = scenarios.filter((s) => s.expected !== undefined);
  const flaky = scenarios.filter((s) => s.flaky);
  return [
    ...summary.defects.map((defect) => ({ head: [defect] })),
    ...(missing.length > 0 ? [{ head: [`${plural(missing.length, 'scenario')} of klp without a result`] }] : []),
    ...(unasked.length > 0 ? [{ head: [`${plural(unasked.length, 'clause')} of the catalogue for which klp has no scenario`] }] : []),
    ...(expected.length > 0 ? [{ head: ['the expectations file names results of this run; they count here all the same'], details: expected.map((s) => `${s.scenario}, ${s.verdict}: ${s.expected ?? ''}`) }] : []),
    ...(flaky.length > 0 ? [{ head: ['passed only when tried again: ', ...listed(flaky.map((s) => s.scenario))] }] : []),
  ];
}

function clauseItems(clauses: readonly ClauseResult[], verdict: ClauseResult['verdict']): Item[] {
  const own = clauses.filter((c) => c.verdict === verdict).sort((x, y) => naturally(x.clause, y.clause));
  return own.map(({ clause, statement, note, scenarios }) => ({
    head: [{ verdict }, ' ', { strong: clause }, ': ', ...prose(statement)],
    details: [...(note === undefined ? [] : [note]), `in ${scenarios.join(', ')}`],
  }));
}

function scenarioItems({ scenarios }: Measured, verdict: 'fail' | 'error'): Item[] {
  return scenarios.filter((s) => s.verdict === verdict).map((s) => ({ head: [{ verdict }, ` ${s.scenario}: ${s.title}`], details: why(s), command: s.repeat }));
}

function deviationItem({ scenario, judgement, times }: Deviation): Item {
  const { documents, mainline } = judgement;
  const reference = documents.reference === undefined ? '' : ` (${documents.reference})`;
  const stance = { allow: `allowed by the documents${reference}`, forbid: `forbidden by the documents${reference}`, silent: 'not in the documents' }[documents.stance];
  const shared = mainline.does ? 'shared with mainline' : 'not shared with mainline';
  return { head: [{ strong: judgement.clause }, ` in ${scenario}: ${stance}, ${shared}${times > 1 ? `; ${times} times` : ''}`], details: [judgementText(judgement)] };
}

function condensed(ids: readonly string[]): Block[] {
  return ids.length === 0 ? [] : [text(...listed(condense(ids), ' '))];
}

/** By what keeps them from being asked. */
function impossible(clauses: readonly ClauseResult[]): Item[] {
  const by = new Map<string, string[]>();
  for (const { verdict, note = 'no reason is given', clause } of clauses) if (verdict === 'n/a') by.set(note, [...(by.get(note) ?? []), clause]);
  return [...by].map(([note, ids]) => ({ head: [`${note}: `, ...listed(condense(ids), ' ')] }));
}

function unasked({ missing, unasked: without, clauses, askable }: Measured): Item[] {
  const judged = new Set(clauses.map((c) => c.clause));
  const left = askable.filter((id) => !judged.has(id));
  return [
    ...(left.length > 0 ? [{ head: ['clauses that klp has scenarios for: ', ...listed(condense(left), ' ')] }] : []),
    ...(missing.length > 0 ? [{ head: ['scenarios: ', ...listed(missing)] }] : []),
    ...(without.length > 0 ? [{ head: ['clauses without a scenario: ', ...listed(condense(without), ' ')] }] : []),
  ];
}

function claims({ kernel, known }: Measured): Block[] {
  const { findings = [], promised = [] } = kernel.probed ?? {};
  if (findings.length === 0) return [text('Not known: the run did not come to ask it.')];
  const meaning = (capability: string): string => (Object.hasOwn(known.capabilities, capability) ? (known.capabilities[capability] ?? '') : '');
  const sorted = [...findings.filter((f) => f.has), ...findings.filter((f) => !f.has)];
  return [
    table(
      [{ title: 'capability' }, { title: 'there' }, { title: 'what shows it' }, { title: 'what it means' }],
      sorted.map(({ capability, has, evidence }) => [[{ code: capability }], [has ? (promised.includes(capability) ? 'yes, as promised' : 'yes') : promised.includes(capability) ? 'no, though promised' : 'no'], [evidence], [meaning(capability)]]),
    ),
  ];
}

function identity({ kernel: { kernel, acquired, booted } }: Measured): Block {
  const origins = { stock: 'a distribution\'s own', built: 'built by klp', brought: 'brought along' };
  if (!acquired) return facts(['name', [kernel]], ['all else', ['not known: it could not be had']]);
  return facts(
    ['name', [kernel]],
    ['release', [acquired.release]],
    ['version', [acquired.version]],
    ['architecture', [acquired.arch]],
    ['origin', [origins[acquired.origin]]],
    ['fingerprint', [{ code: acquired.fingerprint }, ' (SHA-256 over image, .config, Module.symvers, release, toolchain and packages)']],
    ['configuration', [{ code: acquired.config }]],
    ['toolchain', [acquired.toolchain]],
    ...(booted ? [['command line', [{ code: booted.commandLine }]] as const] : []),
    ...[...acquired.packages, ...(acquired.toolchainPackages ?? [])].map((p) => ['package', [`${p.name} ${p.version} ${p.arch} `, { code: p.sha256 }]] as const),
  );
}

function measurement({ results, kernel: { booted } }: Measured): Block {
  const { host, run, harness, catalogue, started, durationMs, command, merged, combined } = results;
  const parts = [...(merged ?? []), ...(combined ?? [])];
  return facts(
    ['run', [run]],
    ['begun', [started]],
    ['took', [duration(durationMs)]],
    ['klp', [harness]],
    ['clause catalogue', [String(catalogue)]],
    ['command', [{ code: command.join(' ') }]],
    ['host', [host ? `${host.system}, ${host.cpus} CPUs, ${host.memoryMiB} MiB, Node ${host.node}` : 'unknown']],
    ...parts.map((p) => ['put together from', [`${p.run}, begun ${p.wall}, on ${p.host.system}, ${p.host.cpus} CPUs`]] as const),
    ...(booted ? [
      ['QEMU', [booted.qemu]] as const,
      ['accelerator', [booted.accel]] as const,
      ['machine', [booted.machine ?? 'unknown']] as const,
      ['QEMU\'s command line', [{ code: booted.argv.join(' ') }]] as const,
    ] : []),
    ['seeds', ['none: scenarios choose nothing at random']],
  );
}

function oneByOne(clauses: readonly ClauseResult[]): Block {
  const sorted = [...clauses].sort((x, y) => naturally(x.clause, y.clause));
  return table(
    [{ title: 'clause' }, { title: 'verdict' }, { title: 'statement' }, { title: 'asked in' }],
    sorted.map(({ clause, verdict, statement, scenarios }) => [[clause], [{ verdict }], prose(statement), [scenarios.join(', ')]]),
  );
}
