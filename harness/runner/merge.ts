// SPDX-License-Identifier: MIT
import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../errors.js';
import type { KlpEvent, Payload } from '../events/schema.js';
import { exitStatus } from '../model/verdict.js';
import type { Verdict } from '../model/verdict.js';
import type { Arch } from '../arch.js';
import type { Blob } from './blob.js';
import { judgeClauses } from './clauses.js';
import type { Durations } from './durations.js';
import { Expectations } from './expectations.js';
import type { Journal } from './journal.js';
import type { Plan } from './plan.js';
import { pastKernel } from './resume.js';
import type { ScenarioResult } from './results.js';
import { countVerdicts } from './run.js';

/** Blobs that belong together, and what they hold. */
export interface Merged {
  readonly plan: Plan;
  /** By shard. */
  readonly blobs: readonly Blob[];
  readonly kernels: readonly MergedKernel[];
  /** What no shard has a result of, for a person. */
  readonly missing: readonly string[];
}

export interface MergedKernel {
  readonly name: string;
  readonly arch: Arch | undefined;
  /** Those that count, shard after shard. */
  readonly events: readonly KlpEvent[];
  /** In the order of the plan. */
  readonly results: readonly ScenarioResult[];
  /** Milliseconds of scenarios that passed at once. */
  readonly durations: Durations;
}

/**
 * Puts shards' results together: every execution of the plan once.
 *
 * @param partial take what there is; else whatever is missing is an error
 * @throws UsageError when blobs do not belong together (another plan, other options, another kernel or scenario under the same
 *   name), a shard is there twice, or something is missing
 */
export function mergeBlobs(blobs: readonly Blob[], partial: boolean): Merged {
  const [first] = blobs;
  if (!first) throw new UsageError('there is no blob to merge');
  for (const blob of blobs) sameRun(first, blob);
  const by = new Map<number, Blob>();
  for (const blob of blobs) {
    const { index, count } = blob.manifest.shard;
    const other = by.get(index);
    if (other) throw new UsageError(`shard ${index} of ${count} is there twice: ${other.file} and ${blob.file}`, { hint: 'which of them counts? Leave out the other' });
    by.set(index, blob);
  }
  const sorted = [...by].sort(([a], [b]) => a - b).map(([, blob]) => blob);
  sameKernels(sorted);
  sameScenarios(sorted);
  const plan = first.manifest.planned;
  const missing: string[] = [];
  plan.shards.forEach((portions, i) => {
    const blob = by.get(i + 1);
    const left = portions.flatMap(({ kernel, scenarios }) => {
      const there = blob ? pastKernel(blob.events, kernel).finished : new Map<string, unknown>();
      return scenarios.filter((s) => !there.has(s)).map((s) => `${kernel} / ${s}`);
    });
    // A shard with nothing to do may be left out by nobody either: that it ran is part of the result.
    if (blob && left.length === 0) return;
    const why = blob ? `did not finish (${blob.file})` : 'has no blob';
    missing.push(`shard ${i + 1} of ${plan.shards.length} ${why}: ${left.length} without a result${some(left)}`);
  });
  if (missing.length > 0 && !partial) {
    throw new UsageError('something is missing, so that the result would not be whole', {
      details: missing,
      hint: 'run these shards (again), or take what there is with --partial',
    });
  }
  return { plan, blobs: sorted, kernels: plan.kernels.map((name) => mergeKernel(name, plan, sorted)), missing };
}

function some(names: readonly string[]): string {
  if (names.length === 0) return '';
  return `: ${names.slice(0, 6).join(', ')}${names.length > 6 ? ', …' : ''}`;
}

function sameRun(a: Blob, b: Blob): void {
  const differ = (what: string, hint: string): never => {
    throw new UsageError(`${b.file} does not belong to ${a.file}: ${what}`, { hint });
  };
  if (a.manifest.plan !== b.manifest.plan) {
    const digests = `plan ${b.manifest.plan.slice(0, 12)} and not ${a.manifest.plan.slice(0, 12)}`;
    differ(`its shard is one of another plan (${digests})`, 'give every shard the same plan: klp plan --output plan.json, klp run --plan plan.json --shard i/n');
  }
  for (const option of ['profile', 'strict'] as const) {
    if (a.started[option] === b.started[option]) continue;
    differ(`${option} is ${String(b.started[option])} there and ${String(a.started[option])} here`, `run all shards with the same --${option}`);
  }
  if (!isDeepStrictEqual(a.expectations, b.expectations)) differ('its shard had another expectations file', 'run all shards with the same one');
}

/** A suite may move, or a tree be built anew, while the shards run: then one name stands for two kernels. */
function sameKernels(blobs: readonly Blob[]): void {
  const known = new Map<string, { readonly blob: Blob; readonly version: string; readonly fingerprint: string }>();
  for (const blob of blobs) {
    for (const { kernel, version, fingerprint } of blob.manifest.kernels) {
      const other = known.get(kernel);
      if (!other) known.set(kernel, { blob, version, fingerprint });
      else if (other.fingerprint !== fingerprint) {
        const of = (b: Blob, v: string): string => `shard ${b.manifest.shard.index}: ${v} (${b.file})`;
        throw new UsageError(`kernel ${kernel} is not the same in all shards`, {
          details: [`${of(other.blob, other.version)}, fingerprint ${other.fingerprint.slice(0, 12)}`, `${of(blob, version)}, fingerprint ${fingerprint.slice(0, 12)}`],
          hint: 'it changed while the shards ran: run the older ones again',
        });
      }
    }
  }
}

function sameScenarios(blobs: readonly Blob[]): void {
  const known = new Map<string, { readonly blob: Blob; readonly fingerprint: string | undefined }>();
  for (const blob of blobs) {
    for (const kernel of blob.manifest.planned.kernels) {
      for (const [id, { fingerprint }] of pastKernel(blob.events, kernel).finished) {
        const other = known.get(id);
        if (!other) known.set(id, { blob, fingerprint });
        else if (other.fingerprint !== fingerprint) {
          throw new UsageError(`scenario ${id} is not the same in ${other.blob.file} and ${blob.file}`, { hint: 'run all shards with the same scenarios' });
        }
      }
    }
  }
}

function mergeKernel(name: string, plan: Plan, blobs: readonly Blob[]): MergedKernel {
  const parts = blobs.map((blob) => ({ blob, finished: pastKernel(blob.events, name).finished }));
  const found = new Map<string, ScenarioResult>();
  for (const { blob, finished } of parts) {
    for (const [id, { result }] of finished) {
      const portion = blob.manifest.planned.shards[blob.manifest.shard.index - 1]?.find((p) => p.kernel === name);
      if (portion?.scenarios.includes(id) !== true) throw new UsageError(`the blob ${blob.file} has a result of ${name} / ${id}, which the plan gives to another shard`);
      found.set(id, result);
    }
  }
  const events = parts.map(({ blob, finished }) => counting(blob.events, name, new Set(finished.keys())));
  const all = events.flat();
  const acquired = all.find((e) => e.type === 'kernel.acquired');
  const booted = all.find((e) => e.type === 'kernel.booted');
  // A shard that needed no guest has asked none: another's probes may have seen more.
  const [probed] = all.filter((e) => e.type === 'kernel.probed').sort((a, b) => b.findings.length - a.findings.length);
  const heads = [acquired, booted, probed].filter((e) => e !== undefined);
  const others = all.filter((e) => e.type !== 'kernel.acquired' && e.type !== 'kernel.booted' && e.type !== 'kernel.probed');
  const passed = others.filter((e) => e.type === 'scenario.finished' && e.attempts === 1 && (e.verdict === 'pass' || e.verdict === 'deviates'));
  return {
    name,
    arch: acquired?.arch,
    events: [...heads, ...others],
    results: plan.scenarios.flatMap((id) => found.get(id) ?? []),
    durations: new Map(passed.flatMap((e) => (e.type === 'scenario.finished' ? [[e.scenario, e.durationMs] as const] : []))),
  };
}

/**
 * Of one shard's journal what counts for a kernel: of a resumed run not what was superseded or cut short. Clauses are judged
 * anew, over all shards.
 */
function counting(events: readonly KlpEvent[], kernel: string, finished: ReadonlySet<string>): readonly KlpEvent[] {
  const own = events.filter((e): e is Extract<KlpEvent, { kernel: string }> => 'kernel' in e && e.kernel === kernel);
  const acquired = own.findLastIndex((e) => e.type === 'kernel.acquired');
  const booted = own.findLastIndex((e) => e.type === 'kernel.booted');
  const probed = own.findLastIndex((e) => e.type === 'kernel.probed');
  // Where each scenario's last result begins and ends.
  const spans = new Map<string, readonly [number, number]>();
  own.forEach((e, i) => {
    if (e.type === 'scenario.finished') spans.set(e.scenario, [(spans.get(e.scenario)?.[1] ?? -1) + 1, i]);
  });
  return own.filter((e, i) => {
    if ('scenario' in e) {
      const [from, to] = spans.get(e.scenario) ?? [0, -1];
      return finished.has(e.scenario) && i >= from && i <= to;
    }
    if (e.type === 'kernel.acquired') return i === acquired;
    if (e.type === 'kernel.booted') return i === booted;
    if (e.type === 'kernel.probed') return i === probed;
    return e.type === 'kernel.failed' && i > acquired;
  });
}

/** A clock that the merged journal's events take their times from. */
export interface MergeClock {
  mono: number;
  wall: Date;
}

/**
 * Writes the merged run's journal: as one run would have left it that took one kernel after the other. Events keep the time of
 * day at which they were; `mono` runs as if the shards had been one after the other, too.
 *
 * @param journal new, with `clock` for its clocks
 * @returns the exit status, as one run would have had it; 3 at least where something is missing
 */
export function writeMerged(merged: Merged, journal: Journal, clock: MergeClock, head: Pick<Payload<'run.started'>, 'command' | 'host'>): number {
  const { plan, blobs, missing } = merged;
  const scenarios = new Map(blobs.flatMap((b) => b.started.scenarios.map((s) => [s.id, s] as const)));
  const [first] = blobs;
  if (!first) throw new Error('nothing was merged');
  const { profile, strict, harness, catalogue } = first.started;
  journal.emit('run.started', {
    harness,
    catalogue,
    ...head,
    profile,
    strict,
    kernels: plan.kernels,
    scenarios: plan.scenarios.flatMap((id) => scenarios.get(id) ?? []),
    merged: blobs.map(({ manifest, started, events }) => {
      const { run, wall, host } = started;
      return { shard: manifest.shard.index, run, wall, durationMs: Math.round(events.at(-1)?.mono ?? 0), host };
    }),
  });
  const results: ScenarioResult[] = [];
  const judged: Verdict[] = [];
  for (const kernel of merged.kernels) {
    let last: number | undefined;
    for (const event of kernel.events) {
      // Between two shards' events no time passes.
      clock.mono += Math.max(0, event.mono - (last ?? event.mono));
      clock.wall = new Date(event.wall);
      last = event.mono;
      copy(journal, event);
    }
    clock.wall = new Date();
    results.push(...kernel.results);
    if (kernel.results.length === plan.scenarios.length) judged.push(...judgeClauses(journal, kernel.name, kernel.results));
  }
  const status = exitStatus(results, strict);
  const exit = missing.length > 0 && status === 0 ? 3 : status;
  const entries = new Expectations(first.expectations, clock.wall.toISOString().slice(0, 10));
  journal.emit('run.finished', {
    exit,
    interrupted: false,
    // The longest shard's: what one waits for.
    durationMs: Math.max(...blobs.map((b) => Math.round(b.events.at(-1)?.mono ?? 0))),
    counts: countVerdicts(results.map((r) => r.verdict)),
    clauses: countVerdicts(judged),
    expected: results.filter((r) => r.expected).length,
    staleExpectations: entries.stale(results).map((s) => s.text),
    ...(missing.length > 0 ? { missing: [...missing] } : {}),
  });
  return exit;
}

/** What a journal gives each event itself. */
const envelope = ['v', 'seq', 'run', 'type', 'mono', 'wall'];

function copy(journal: Journal, event: KlpEvent): void {
  const payload = Object.fromEntries(Object.entries(event).filter(([name]) => !envelope.includes(name)));
  journal.emit(event.type, payload as never);
}
