// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import type { ClauseResult, Judgement, KernelResult, Results, ScenarioResult } from './results-schema.js';

/** What the klp that writes a certificate knows beside the run: what there is to be asked. Data, since no reporter reads the model. */
export interface Known {
  /** Version of its clause catalogue. */
  readonly catalogue: number;
  readonly clauses: readonly { readonly id: string; readonly statement: string }[];
  /** Its own scenarios, with the clauses they ask. */
  readonly scenarios: readonly { readonly id: string; readonly clauses: readonly string[] }[];
  /** What each capability means, for a person. */
  readonly capabilities: Readonly<Record<string, string>>;
}

/** A kernel as a run has shown it, held against all that could have been asked. */
export interface Measured {
  readonly results: Results;
  readonly kernel: KernelResult;
  readonly known: Known;
  /** Of this kernel. */
  readonly scenarios: readonly ScenarioResult[];
  readonly clauses: readonly ClauseResult[];
  /** Scenarios of klp that this run has no result of on this kernel. */
  readonly missing: readonly string[];
  /** Clauses that at least one of klp's scenarios asks. */
  readonly askable: readonly string[];
  /** Clauses of the catalogue that none asks. */
  readonly unasked: readonly string[];
  readonly summary: Summary;
}

/** What decides on the conclusion. */
export interface Summary {
  readonly profile: Results['profile'];
  readonly strict: boolean;
  /** Clauses by verdict, and the expected ones among the bad. */
  readonly clauses: Readonly<Record<ClauseResult['verdict'], number>>;
  readonly scenarios: Readonly<Record<ScenarioResult['verdict'], number>>;
  /** Scenarios that fail or end in error, and are named in the expectations file. */
  readonly expected: number;
  /** Clauses that klp has a scenario for. */
  readonly askable: number;
  /** Of them, how many the run judged: pass, deviates or fail. */
  readonly asked: number;
  /** Of them, how many can't be asked of this kernel. */
  readonly impossible: number;
  /** klp's scenarios without a result. */
  readonly missing: number;
  /** Why the run is no whole result of this kernel, or can't be held against this klp. */
  readonly defects: readonly string[];
}

/**
 * @param name of the kernel; may be left out when the run has only one
 * @throws UsageError when the run has no such kernel, or several and none is named
 */
export function measure(results: Results, name: string | undefined, known: Known): Measured {
  const kernel = chooseKernel(results, name);
  const scenarios = results.scenarios.filter((s) => s.kernel === kernel.kernel);
  const clauses = results.clauses.filter((c) => c.kernel === kernel.kernel);
  const done = new Set(scenarios.map((s) => s.scenario));
  const missing = known.scenarios.map((s) => s.id).filter((id) => !done.has(id));
  const asks = new Set(known.scenarios.flatMap((s) => s.clauses));
  const askable = known.clauses.map((c) => c.id).filter((id) => asks.has(id));
  const verdictOf = new Map(clauses.map((c) => [c.clause, c.verdict]));
  const judged = (verdicts: readonly string[]): number => askable.filter((id) => verdicts.includes(verdictOf.get(id) ?? '')).length;
  const summary: Summary = {
    profile: results.profile,
    strict: results.strict,
    clauses: count(clauses),
    scenarios: count(scenarios),
    expected: scenarios.filter((s) => (s.verdict === 'fail' || s.verdict === 'error') && s.expected !== undefined).length,
    askable: askable.length,
    asked: judged(['pass', 'deviates', 'fail']),
    impossible: judged(['n/a']),
    missing: missing.length,
    defects: defects(results, kernel, known),
  };
  return { results, kernel, known, scenarios, clauses, missing, askable, unasked: known.clauses.map((c) => c.id).filter((id) => !asks.has(id)), summary };
}

function chooseKernel({ kernels }: Results, name: string | undefined): KernelResult {
  const names = kernels.map((k) => k.kernel).join(', ');
  if (name === undefined && kernels.length > 1) throw new UsageError(`the run has ${kernels.length} kernels`, { hint: `say which: --kernel with one of ${names}` });
  const found = name === undefined ? kernels[0] : kernels.find((k) => k.kernel === name);
  if (!found) throw new UsageError(name === undefined ? 'the run has no kernel' : `kernel ${name} is not in the run`, { hint: `it has ${names || 'none'}` });
  return found;
}

function count(of: readonly Pick<ClauseResult, 'verdict'>[]): Record<ClauseResult['verdict'], number> {
  const counts = { fail: 0, error: 0, deviates: 0, pass: 0, 'n/a': 0 };
  for (const { verdict } of of) counts[verdict] += 1;
  return counts;
}

function defects(results: Results, kernel: KernelResult, known: Known): string[] {
  return [
    ...(results.finished ? [] : ['the run did not finish']),
    ...(results.interrupted ? ['the run was interrupted'] : []),
    ...(results.shard ? [`the run is shard ${results.shard.index} of ${results.shard.count}`] : []),
    ...(results.missing ?? []).map((what) => `missing: ${what}`),
    ...(results.combined?.some((r) => !r.finished) === true ? ['a run that it was put together from did not finish'] : []),
    ...(kernel.failure ? [`the kernel could not be used to the end: ${kernel.failure.message}`] : []),
    ...(kernel.acquired ? [] : ['nothing says which kernel it was']),
    ...(results.catalogue === known.catalogue ? [] : [`the run is of clause catalogue ${results.catalogue}, this klp has ${known.catalogue}: what could have been asked is not known`]),
  ];
}

export type Standing = 'conformant' | 'not conformant' | 'not established' | 'partial';

export interface Conclusion {
  readonly standing: Standing;
  readonly text: string;
}

/**
 * The one line. `Conformant` only where nothing fails, nothing ended in error, and every scenario of klp has a result, over a
 * run that is whole; an expectations file changes nothing about that (docs/compare.md).
 */
export function conclude(summary: Summary): Conclusion {
  const { clauses, scenarios, askable, asked, impossible, missing } = summary;
  const shown = `${asked} of ${askable} clauses were asked${impossible > 0 ? `, ${impossible} can't be asked of this kernel` : ''}`;
  const whole = missing === 0 && summary.defects.length === 0;
  const part = whole ? '' : '; partial';
  const known = summary.expected > 0 ? `; ${summary.expected} of the scenarios that fail or end in error are named in the expectations file` : '';
  const deviating = clauses.deviates > 0 ? `${some(clauses.deviates, 'clause')} deviate${clauses.deviates === 1 ? 's' : ''} from the documents as mainline does` : '';
  if (clauses.fail + scenarios.fail > 0) {
    return { standing: 'not conformant', text: `Not conformant: ${some(clauses.fail, 'clause')} and ${some(scenarios.fail, 'scenario')} fail${known}${part}: ${shown}.` };
  }
  if (summary.strict && clauses.deviates + scenarios.deviates > 0) {
    return { standing: 'not conformant', text: `Not conformant, with --strict: ${deviating || `${some(scenarios.deviates, 'scenario')} deviate`}${part}: ${shown}.` };
  }
  if (clauses.error + scenarios.error > 0) {
    return { standing: 'not established', text: `Not established: ${some(scenarios.error, 'scenario')} ended in error${known}${part}: ${shown}; none of them fails.` };
  }
  if (asked === 0 || scenarios.pass + scenarios.deviates === 0) return { standing: 'not established', text: `Not established: nothing was judged: ${shown}.` };
  const also = deviating === '' ? '' : `; ${deviating}`;
  if (!whole || asked + impossible < askable) return { standing: 'partial', text: `Partial: ${shown}; none of them fails${also}.` };
  const against = summary.profile === 'mainline' ? 'mainline of its generation and the documents' : 'the documents of its generation';
  return { standing: 'conformant', text: `Conformant to ${against}: ${shown}, and none fails${also}.` };
}

function some(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Which documents, and whose mainline, a kernel was held against: by its interface, as the model tells generations apart. */
export function generationOf(kernel: KernelResult): { readonly documents: string; readonly mainline: string } {
  const has = (capability: string): boolean | undefined =>
    kernel.booted?.capabilities.includes(capability) ?? kernel.probed?.findings.find((f) => f.capability === capability)?.has;
  const [livepatch, registration] = [has('livepatch'), has('registration')];
  if (livepatch === undefined) return { documents: 'unknown: the kernel was not asked', mainline: 'unknown: the kernel was not asked' };
  if (!livepatch) return { documents: 'those of Linux 4.14', mainline: 'a kernel without livepatch' };
  return registration === true
    ? { documents: 'those of Linux 4.14, for kernels where patches are registered', mainline: '4.12 to 5.0, where patches are registered, with the capabilities below' }
    : { documents: 'those of Linux 5.1 and later', mainline: '5.1 and later, where enabling is all, with the capabilities below' };
}

/** Judgements by what the two oracles say, of those that are not simply right. */
export interface Deviations {
  /** The documents forbid it, mainline does it. */
  readonly shared: readonly Deviation[];
  /** The documents forbid it, mainline does otherwise; or they are silent and the profile goes by mainline: fails. */
  readonly own: readonly Deviation[];
  /** Mainline does otherwise, and it passes. */
  readonly allowed: readonly Deviation[];
}

export interface Deviation {
  readonly scenario: string;
  readonly judgement: Judgement;
  /** How often the same was seen in that scenario. */
  readonly times: number;
}

export function deviations({ scenarios }: Pick<Measured, 'scenarios'>): Deviations {
  const all = new Map<string, { scenario: string; judgement: Judgement; times: number }>();
  for (const { scenario, judgements } of scenarios) {
    for (const judgement of judgements) {
      const key = [scenario, judgement.clause, judgement.verdict, judgement.what, judgement.seen].join('\0');
      const known = all.get(key);
      if (known) known.times += 1;
      else all.set(key, { scenario, judgement, times: 1 });
    }
  }
  const each = [...all.values()];
  return {
    shared: each.filter(({ judgement: j }) => j.verdict === 'deviates'),
    own: each.filter(({ judgement: j }) => j.verdict === 'fail'),
    allowed: each.filter(({ judgement: j }) => j.verdict === 'pass' && !j.mainline.does),
  };
}
