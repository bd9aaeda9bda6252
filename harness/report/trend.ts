// SPDX-License-Identifier: MIT
import type { Results, ScenarioResult, Verdict } from './results-schema.js';
import { notWhole } from './summary.js';
import { shortly } from './why.js';

/** What is kept of a run: little, so that hundreds of them can be looked at together. */
export interface Night {
  /** As the person finds it. */
  readonly name: string;
  readonly run: string;
  /** Time of day, ISO 8601, UTC: runs are ordered by it. */
  readonly started: string;
  readonly harness: string;
  readonly catalogue: number;
  /** Why it is no whole result. */
  readonly notWhole?: string;
  readonly kernels: readonly NightKernel[];
}

interface NightKernel {
  readonly kernel: string;
  readonly version?: string;
  readonly fingerprint?: string;
  readonly accel?: string;
  /** No (further) scenario could run on it: what is an error there is none of the scenario's own. */
  readonly failed: boolean;
  readonly results: readonly NightResult[];
}

interface NightResult {
  readonly scenario: string;
  readonly verdict: Verdict;
  readonly flaky: boolean;
  readonly durationMs: number;
  /** Why, of a bad one. */
  readonly reason?: string;
}

/** Reasons are shown in a line each. */
const reasonKept = 400;

export function nightOf(name: string, results: Results): Night {
  const { run, started, harness, catalogue, shard } = results;
  const not = shard ? `shard ${shard.index} of ${shard.count}` : notWhole(results);
  const own = new Map<string, NightResult[]>();
  for (const result of results.scenarios) {
    const of = own.get(result.kernel) ?? [];
    of.push(nightResult(result));
    own.set(result.kernel, of);
  }
  const kernels = results.kernels.map(({ kernel, acquired, booted, failure }) => ({
    kernel,
    failed: failure !== undefined,
    ...(acquired && { version: acquired.version, fingerprint: acquired.fingerprint }),
    ...(booted && { accel: booted.accel }),
    results: own.get(kernel) ?? [],
  }));
  return { name, run, started, harness, catalogue, ...(not === undefined ? {} : { notWhole: not }), kernels };
}

function nightResult(result: ScenarioResult): NightResult {
  const { scenario, verdict, flaky, durationMs } = result;
  return { scenario, verdict, flaky, durationMs, ...(isBad(verdict) && { reason: shortly(result).slice(0, reasonKept) }) };
}

/** Where something was seen. */
export interface Sight {
  readonly run: string;
  readonly name: string;
  readonly started: string;
  readonly harness: string;
  readonly catalogue: number;
  readonly version?: string;
  readonly fingerprint?: string;
}

/** A scenario that is bad in the last run that judged it. */
export interface BadNow {
  readonly kernel: string;
  readonly scenario: string;
  readonly verdict: Verdict;
  readonly reason: string;
  /** The first of the unbroken row of bad results that ends with the last. */
  readonly firstBad: Sight;
  /** Why it was bad then. */
  readonly firstReason: string;
  /** Bad results in that row. */
  readonly count: number;
  /** The last good result before; undefined when there is none in these runs. */
  readonly lastGood?: Sight;
}

export interface Unsteady {
  readonly kernel: string;
  readonly scenario: string;
  /** Results, apart from n/a and errors of a kernel that could not be had at all. */
  readonly runs: number;
  /** Of these, passed only when tried again. */
  readonly flaky: number;
  /** How often it went from good to bad or back though kernel and klp were the same. */
  readonly flips: number;
}

export interface Duration {
  readonly kernel: string;
  readonly scenario: string;
  readonly runs: number;
  /** Milliseconds; of the runs before the last. */
  readonly median: number;
  readonly last: number;
}

export interface Gone {
  readonly kernel: string;
  readonly last: Sight;
  /** Runs since. */
  readonly since: number;
}

export interface Trend {
  /** Oldest first. */
  readonly nights: readonly Night[];
  readonly bad: readonly BadNow[];
  readonly unsteady: readonly Unsteady[];
  readonly durations: readonly Duration[];
  /** Kernels that the last run has not, but an earlier one has. */
  readonly gone: readonly Gone[];
}

type Seen = NightResult & { readonly at: Sight; readonly accel: string | undefined; readonly kernelFailed: boolean };

/** What many runs show together that none shows alone. @param all in any order */
export function trendOf(all: readonly Night[]): Trend {
  const nights = [...all].sort((x, y) => compareText(x.started, y.started) || compareText(x.run, y.run));
  const rows = new Map<string, { kernel: string; scenario: string; seen: Seen[] }>();
  for (const night of nights) {
    for (const kernel of night.kernels) {
      const at = sight(night, kernel);
      for (const result of kernel.results) {
        const key = `${kernel.kernel}\0${result.scenario}`;
        const row = rows.get(key) ?? { kernel: kernel.kernel, scenario: result.scenario, seen: [] };
        row.seen.push({ ...result, at, accel: kernel.accel, kernelFailed: kernel.failed });
        rows.set(key, row);
      }
    }
  }
  const each = [...rows.values()];
  const of = <T extends object>(make: (seen: readonly Seen[]) => T | undefined): (T & { kernel: string; scenario: string })[] =>
    each.flatMap(({ kernel, scenario, seen }) => {
      const made = make(seen);
      return made ? [{ kernel, scenario, ...made }] : [];
    });
  return {
    nights,
    bad: of(badNow).sort((x, y) => compareText(y.firstBad.started, x.firstBad.started)),
    unsteady: of(unsteady).sort((x, y) => y.flips + y.flaky - (x.flips + x.flaky)),
    durations: of(lasting).sort((x, y) => Math.abs(y.last - y.median) - Math.abs(x.last - x.median)),
    gone: gone(nights),
  };
}

function isBad(verdict: Verdict): boolean {
  return verdict === 'fail' || verdict === 'error';
}

/** The first bad run of what is bad now. What a run did not ask, or could not, is passed over. */
function badNow(seen: readonly Seen[]): Omit<BadNow, 'kernel' | 'scenario'> | undefined {
  const judged = seen.filter((s) => s.verdict !== 'n/a');
  const last = judged.at(-1);
  if (!last || !isBad(last.verdict)) return undefined;
  const good = judged.findLastIndex((s) => !isBad(s.verdict));
  const first = judged[good + 1] ?? last;
  const lastGood = judged[good];
  return {
    verdict: last.verdict,
    reason: last.reason ?? '',
    firstBad: first.at,
    firstReason: first.reason ?? '',
    count: judged.length - good - 1,
    ...(lastGood && { lastGood: lastGood.at }),
  };
}

function unsteady(seen: readonly Seen[]): Omit<Unsteady, 'kernel' | 'scenario'> | undefined {
  const judged = seen.filter((s) => s.verdict !== 'n/a' && !(s.kernelFailed && s.verdict === 'error'));
  const flaky = judged.filter((s) => s.flaky).length;
  const flips = judged.filter((now, i) => {
    const before = judged[i - 1];
    return before !== undefined && isBad(before.verdict) !== isBad(now.verdict) && sameGround(before.at, now.at);
  }).length;
  return flaky + flips > 0 ? { runs: judged.length, flaky, flips } : undefined;
}

/** Nothing that is known to have changed can be why a result did. */
export function sameGround(x: Sight, y: Sight): boolean {
  return x.fingerprint !== undefined && x.fingerprint === y.fingerprint && x.harness === y.harness && x.catalogue === y.catalogue;
}

/** Of what came to a result at once, under the accelerator of the last run: others are no measure. */
function lasting(seen: readonly Seen[]): Omit<Duration, 'kernel' | 'scenario'> | undefined {
  const settled = seen.filter((s) => (s.verdict === 'pass' || s.verdict === 'deviates') && !s.flaky);
  const last = settled.at(-1);
  const earlier = settled.slice(0, -1).filter((s) => s.accel === last?.accel).map((s) => s.durationMs);
  if (!last || earlier.length === 0) return undefined;
  return { runs: earlier.length + 1, median: median(earlier), last: last.durationMs };
}

function median(of: readonly number[]): number {
  const sorted = [...of].sort((x, y) => x - y);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function gone(nights: readonly Night[]): Gone[] {
  const lasts = new Map<string, { last: Sight; index: number }>();
  nights.forEach((night, index) => {
    for (const kernel of night.kernels) if (kernel.results.length > 0) lasts.set(kernel.kernel, { last: sight(night, kernel), index });
  });
  return [...lasts].flatMap(([kernel, { last, index }]) => (index < nights.length - 1 ? [{ kernel, last, since: nights.length - 1 - index }] : []));
}

function sight({ run, name, started, harness, catalogue }: Night, { version, fingerprint }: NightKernel): Sight {
  return { run, name, started, harness, catalogue, ...(version !== undefined && { version }), ...(fingerprint !== undefined && { fingerprint }) };
}

function compareText(x: string, y: string): number {
  return x < y ? -1 : x > y ? 1 : 0;
}

/** A run that is not part of a trend, and why. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

/** What `--format json` prints. */
export function trendJson({ nights, ...rest }: Trend, leftOut: readonly LeftOut[]): object {
  const runs = nights.map(({ name, run, started, harness, catalogue, notWhole: not, kernels }) => ({
    name,
    run,
    started,
    harness,
    catalogue,
    ...(not !== undefined && { notWhole: not }),
    kernels: kernels.map(({ kernel, version, fingerprint, results }) => ({ kernel, version, fingerprint, results: results.length, bad: results.filter((r) => isBad(r.verdict)).length })),
  }));
  return { v: 1, runs, leftOut, ...rest };
}
