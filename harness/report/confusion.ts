// SPDX-License-Identifier: MIT
import type { Results, ScenarioResult } from './results-schema.js';
import { plural } from './text.js';

/** What the journal's witnesses of a run of `--suite faults` are called. */
export const lintWitness = 'klp lint';
export const kernelWitness = 'the kernel';

/** One module on one kernel. */
export interface Trialled {
  readonly kernel: string;
  readonly id: string;
  readonly title: string;
  /** Rules broken, errors and warnings. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** What the kernel did: `works`, or how it refused the module, misbehaved, or left something out. */
  readonly behaviour: string;
}

/** The lint's verdict and the kernel's, as a confusion table. */
export interface Confusion {
  readonly trials: readonly Trialled[];
  /** The lint reports an error, and the kernel does as the module means. */
  readonly falseAlarms: readonly Trialled[];
  /** The lint reports none, and the kernel does not. */
  readonly misses: readonly Trialled[];
}

/**
 * Collects what runs of `klp run --suite faults` have seen; results of other scenarios, and of modules that could not be judged, are left out.
 * @param runs of a module that a kernel was given several times, the last one counts
 */
export function confusionOf(runs: readonly Pick<Results, 'scenarios'>[]): Confusion {
  const all = runs.flatMap(({ scenarios }) => scenarios.flatMap(trialOf));
  const trials = [...new Map(all.map((t) => [`${t.kernel} ${t.id}`, t])).values()];
  const works = ({ behaviour }: Trialled): boolean => behaviour === 'works';
  return {
    trials,
    falseAlarms: trials.filter((t) => t.errors.length > 0 && works(t)),
    misses: trials.filter((t) => t.errors.length === 0 && !works(t)),
  };
}

function trialOf({ kernel, scenario, title, witnesses }: ScenarioResult): readonly Trialled[] {
  const found = witnesses.findLast(({ situation }) => situation === lintWitness);
  const behaviour = witnesses.findLast(({ situation }) => situation === kernelWitness)?.proof[0];
  if (!found || behaviour === undefined) return [];
  const codes = (severity: string): string[] => [
    ...new Set(found.proof.flatMap((line) => new RegExp(`^${severity} (KLP\\d+):`).exec(line)?.[1] ?? [])),
  ];
  return [{ kernel, id: scenario, title: title.replace(/^Module format: /, ''), errors: codes('error'), warnings: codes('warning'), behaviour }];
}

/**
 * The table in Markdown.
 * @param explained why a false alarm or a miss is none, by the module's identifier
 */
export function confusionPage(confusion: Confusion, explained: Readonly<Record<string, string>>): string {
  const { trials, falseAlarms, misses } = confusion;
  const kernels = [...new Set(trials.map((t) => t.kernel))];
  const of = (kernel: string, error: boolean, bad: boolean): number =>
    trials.filter((t) => t.kernel === kernel && t.errors.length > 0 === error && (t.behaviour !== 'works') === bad).length;
  const counts = kernels.map((k) => `| ${k} | ${of(k, true, true)} | ${of(k, true, false)} | ${of(k, false, true)} | ${of(k, false, false)} |`);
  const odd = [...new Set([...falseAlarms, ...misses].map((t) => t.id))].sort();
  const reasons = odd.map((id) => {
    const where = [...falseAlarms, ...misses].filter((t) => t.id === id).map((t) => t.kernel);
    return `- ${id} (${where.join(', ')}): ${explained[id] ?? 'not explained'}`;
  });
  return [
    '| kernel | error, and the kernel refuses, misbehaves or leaves something out | error, and it works: false alarm | no error, and it does not work: miss | no error, and it works |',
    '|---|---|---|---|---|',
    ...counts,
    '',
    `${plural(trials.length, 'module')} on ${plural(kernels.length, 'kernel')}: ${plural(falseAlarms.length, 'false alarm')}, ${misses.length} missed.`,
    ...(odd.length === 0 ? [] : ['', ...reasons]),
    '',
    `| module | what is wrong with it | lint | ${kernels.join(' | ')} |`,
    `|---|---|---|${kernels.map(() => '---|').join('')}`,
    ...[...new Set(trials.map((t) => t.id))].map((id) => rowOf(id, trials, kernels)),
    '',
  ].join('\n');
}

function rowOf(id: string, trials: readonly Trialled[], kernels: readonly string[]): string {
  const own = trials.filter((t) => t.id === id);
  const errors = new Set(own.flatMap((t) => t.errors));
  const warnings = new Set(own.flatMap((t) => t.warnings).filter((code) => !errors.has(code)));
  const lint = [...[...errors].sort(), ...[...warnings].sort().map((code) => `(${code})`)];
  const cells = kernels.map((kernel) => own.find((t) => t.kernel === kernel)?.behaviour ?? '');
  return `| ${id} | ${own[0]?.title ?? ''} | ${lint.join(' ')} | ${cells.join(' | ')} |`;
}

/** Those that nothing explains. */
export function unexplained({ falseAlarms, misses }: Confusion, explained: Readonly<Record<string, string>>): readonly Trialled[] {
  return [...falseAlarms, ...misses].filter(({ id }) => explained[id] === undefined);
}
