// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import type { ClauseResult, KernelResult, Results, ScenarioResult, Verdict } from './results-schema.js';
import { badKind } from './why.js';

/** One of the two runs. */
export interface Side {
  /** As the person named it. */
  readonly name: string;
  readonly results: Results;
}

/** Kernels that are compared, by their names in A and in B; one of them is missing where the other side has no such kernel. */
export interface Pair {
  readonly a?: string;
  readonly b?: string;
}

/** `open`: a failure of which B says no more, so that nobody knows whether it is mended. */
export type Move = 'worse' | 'better' | 'open' | 'same';

/** What has another verdict, or a verdict on one side only. */
export interface Change<T> {
  readonly pair: Pair;
  readonly id: string;
  readonly from?: T;
  readonly to?: T;
  readonly move: Move;
}

export interface Slower {
  readonly pair: Pair;
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

export interface Comparison {
  readonly a: Side;
  readonly b: Side;
  readonly pairs: readonly Pair[];
  readonly scenarios: readonly Change<ScenarioResult>[];
  readonly clauses: readonly Change<ClauseResult>[];
  /** Bad on both sides, by another kind of failure or other clauses. */
  readonly otherwise: readonly Change<ScenarioResult>[];
  /** How many scenarios, and how many clauses, have a verdict on both sides. */
  readonly common: { readonly scenarios: number; readonly clauses: number };
  /** Pairs of which one side did not judge clauses, though scenarios have results on both. */
  readonly unjudged: readonly Pair[];
  readonly flaky: readonly { readonly pair: Pair; readonly id: string; readonly a: boolean; readonly b: boolean }[];
  readonly durations: { readonly a: number; readonly b: number; readonly slower: readonly Slower[] };
  /** Something got worse. */
  readonly worse: boolean;
}

const rank: Readonly<Record<Verdict | 'none', number>> = { fail: 0, error: 1, 'n/a': 2, none: 2, deviates: 3, pass: 4 };

/**
 * What it means that a verdict became another (docs/compare.md). The order is pass, deviates, n/a, error, fail; no result
 * counts as n/a. What leaves `fail` without a verdict on the kernel, or `error` without any, is not better but open.
 *
 * @param from undefined when A has no result; `to` when B has none
 */
export function move(from: Verdict | undefined, to: Verdict | undefined): Move {
  const [before, after] = [rank[from ?? 'none'], rank[to ?? 'none']];
  if (before === after) return 'same';
  if (after < before) return 'worse';
  const learnt = from === 'fail' ? after > rank['n/a'] : from !== 'error' || to !== undefined;
  return learnt ? 'better' : 'open';
}

/**
 * Compares two runs, or two kernels.
 *
 * @param wanted pairs of kernels to compare, and no others; by default those of the same name, and where each side has exactly
 *   one kernel, these
 * @throws UsageError when a kernel is not in its run, or none is in both
 */
export function compare(a: Side, b: Side, wanted: readonly Required<Pair>[] = []): Comparison {
  const pairs = pairKernels(a, b, wanted);
  const both = pairs.map((pair) => ({ pair, a: ofKernel(a.results, pair.a), b: ofKernel(b.results, pair.b) }));
  const scenarios = both.flatMap((p) => changes(p.pair, p.a.scenarios, p.b.scenarios));
  const judged = both.filter((p) => !unjudged(p.a, p.b));
  const clauses = judged.flatMap((p) => changes(p.pair, p.a.clauses, p.b.clauses));
  const shared = both.flatMap((p) => [...p.a.scenarios].flatMap(([id, from]) => {
    const to = p.b.scenarios.get(id);
    return to ? [{ pair: p.pair, id, from, to }] : [];
  }));
  return {
    a,
    b,
    pairs,
    scenarios: scenarios.filter(changed),
    clauses: clauses.filter(changed),
    otherwise: shared.filter(({ from, to }) => from.verdict === to.verdict && badKind(from) !== badKind(to)).map((s) => ({ ...s, move: 'same' as const })),
    common: { scenarios: shared.length, clauses: clauses.filter((c) => c.from && c.to).length },
    unjudged: both.filter((p) => !judged.includes(p)).map((p) => p.pair),
    flaky: shared.filter(({ from, to }) => from.flaky || to.flaky).map(({ pair, id, from, to }) => ({ pair, id, a: from.flaky, b: to.flaky })),
    durations: durations(shared),
    worse: [...scenarios, ...clauses].some((c) => c.move === 'worse'),
  };
}

function pairKernels(a: Side, b: Side, wanted: readonly Required<Pair>[]): readonly Pair[] {
  const [inA, inB] = [a, b].map((side) => side.results.kernels.map((k) => k.kernel)) as [string[], string[]];
  for (const pair of wanted) {
    known(pair.a, inA, a);
    known(pair.b, inB, b);
  }
  if (wanted.length > 0) return wanted;
  const [onlyA, onlyB] = [inA[0], inB[0]];
  if (inA.length === 1 && inB.length === 1 && onlyA !== undefined && onlyB !== undefined) return [{ a: onlyA, b: onlyB }];
  if (!inA.some((name) => inB.includes(name))) {
    throw new UsageError('the runs have no kernel in common', {
      details: [`${a.name}: ${inA.join(', ') || 'no kernel'}`, `${b.name}: ${inB.join(', ') || 'no kernel'}`],
      hint: 'say which are to be compared: --kernel A=B',
    });
  }
  return [
    ...inA.map((name) => (inB.includes(name) ? { a: name, b: name } : { a: name })),
    ...inB.filter((name) => !inA.includes(name)).map((name) => ({ b: name })),
  ];
}

function known(name: string, names: readonly string[], { name: run }: Side): void {
  if (!names.includes(name)) throw new UsageError(`kernel ${name} is not in ${run}`, { hint: `it has ${names.join(', ') || 'none'}` });
}

interface OfKernel {
  readonly scenarios: ReadonlyMap<string, ScenarioResult>;
  readonly clauses: ReadonlyMap<string, ClauseResult>;
}

function ofKernel(results: Results, kernel: string | undefined): OfKernel {
  return {
    scenarios: new Map(results.scenarios.filter((s) => s.kernel === kernel).map((s) => [s.scenario, s])),
    clauses: new Map(results.clauses.filter((c) => c.kernel === kernel).map((c) => [c.clause, c])),
  };
}

/** Clauses are judged when a kernel's last scenario is done: a run that was cut short before has none to compare. */
function unjudged(a: OfKernel, b: OfKernel): boolean {
  const none = (side: OfKernel): boolean => side.scenarios.size > 0 && side.clauses.size === 0;
  return none(a) !== none(b) && a.scenarios.size > 0 && b.scenarios.size > 0;
}

/** Every identifier of either side, in the order of A, then what only B has. */
function changes<T extends { readonly verdict: Verdict }>(pair: Pair, a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): Change<T>[] {
  return [...new Set([...a.keys(), ...b.keys()])].map((id) => {
    const [from, to] = [a.get(id), b.get(id)];
    return { pair, id, ...(from && { from }), ...(to && { to }), move: move(from?.verdict, to?.verdict) };
  });
}

function changed(change: Change<{ readonly verdict: Verdict }>): boolean {
  return change.from?.verdict !== change.to?.verdict;
}

interface Shared {
  readonly pair: Pair;
  readonly id: string;
  readonly from: ScenarioResult;
  readonly to: ScenarioResult;
}

/** Of what came to a result at once on both sides: a failure or a second attempt takes what time it likes. */
function durations(shared: readonly Shared[]): Comparison['durations'] {
  const settled = ({ verdict, flaky }: ScenarioResult): boolean => (verdict === 'pass' || verdict === 'deviates') && !flaky;
  const some = shared.filter(({ from, to }) => settled(from) && settled(to)).map(({ pair, id, from, to }) => ({ pair, id, from: from.durationMs, to: to.durationMs }));
  const sum = (all: readonly number[]): number => all.reduce((total, ms) => total + ms, 0);
  const slower = some.filter(({ from, to }) => to >= 1.5 * from && to - from >= 1000).sort((x, y) => y.to - y.from - (x.to - x.from));
  return { a: sum(some.map((s) => s.from)), b: sum(some.map((s) => s.to)), slower };
}

/** What of two runs or kernels differs beside the results: rows of what, A's and B's. */
export function differences({ a, b, pairs }: Comparison): readonly (readonly [what: string, a: string, b: string])[] {
  const rows: (readonly [string, string, string])[] = [
    ['klp', a.results.harness, b.results.harness],
    ['clause catalogue', String(a.results.catalogue), String(b.results.catalogue)],
    ['profile', profile(a.results), profile(b.results)],
    ['host', host(a.results), host(b.results)],
  ];
  for (const pair of pairs) {
    const [of, is] = [kernelOf(a.results, pair.a), kernelOf(b.results, pair.b)];
    if (!of || !is) continue;
    for (const [what, value] of kernelFacts) rows.push([pairs.length > 1 ? `${of.kernel}: ${what}` : what, value(of) ?? 'unknown', value(is) ?? 'unknown']);
  }
  return rows.filter(([, before, after]) => before !== after);
}

const kernelFacts: readonly (readonly [string, (kernel: KernelResult) => string | undefined])[] = [
  ['kernel', (k) => k.kernel],
  ['release', (k) => k.acquired?.release],
  ['version', (k) => k.acquired?.version],
  ['fingerprint', (k) => k.acquired?.fingerprint],
  ['architecture', (k) => k.acquired?.arch],
  ['toolchain', (k) => k.acquired?.toolchain],
  ['accelerator', (k) => k.booted?.accel],
  ['QEMU', (k) => k.booted?.qemu],
  ['machine', (k) => k.booted?.machine],
  ['command line', (k) => k.booted?.commandLine],
  ['could not be had', (k) => k.failure?.message ?? 'no'],
];

/** Capabilities that only one kernel of a pair has; undefined where one was not asked. */
export function capabilityChanges({ a, b }: Comparison, pair: Pair): { readonly gone: readonly string[]; readonly come: readonly string[] } | undefined {
  const [of, is] = [kernelOf(a.results, pair.a)?.booted?.capabilities, kernelOf(b.results, pair.b)?.booted?.capabilities];
  if (!of || !is) return undefined;
  return { gone: of.filter((c) => !is.includes(c)), come: is.filter((c) => !of.includes(c)) };
}

function kernelOf(results: Results, name: string | undefined): KernelResult | undefined {
  return results.kernels.find((k) => k.kernel === name);
}

function profile({ profile: name, strict }: Results): string {
  return strict ? `${name}, strict` : name;
}

function host({ host: of }: Results): string {
  return of ? `${of.system}, ${of.cpus} CPUs, ${of.memoryMiB} MiB` : 'unknown';
}
