// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import type { Durations } from './durations.js';
import { nominalDurations } from './nominal.js';

/** `--shard 2/5`: the second of five. */
export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly count: number;
}

/** Scenarios of one kernel that stand together in a shard. */
export interface Portion {
  readonly kernel: string;
  readonly scenarios: readonly string[];
}

/** What a shard's kernel costs beside its scenarios, in milliseconds: it is acquired, booted or restored, modules are built. */
export const kernelCost = 30_000;

/** More would be a matrix that no CI system takes. */
export const mostShards = 256;

/** @throws UsageError when `text` is not `i/n` with 1 ≤ i ≤ n */
export function parseShard(text: string): Shard {
  const [, i, n] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? [];
  const [index, count] = [Number(i), Number(n)];
  if (i === undefined || index < 1 || index > count || count > mostShards) {
    throw new UsageError(`--shard ${text}: give which of how many, as 2/5 (${mostShards} at most)`);
  }
  return { index, count };
}

/** Fills the gaps: what is recorded counts, else what is nominal, else the median of those known; whole milliseconds, from 1. */
export function weights(scenarios: readonly string[], recorded: Durations): readonly number[] {
  const known = scenarios.map((id) => recorded.get(id) ?? nominalDurations.get(id));
  const sorted = known.filter((ms) => ms !== undefined).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 1;
  return known.map((ms) => Math.max(1, Math.round(ms ?? median)));
}

/**
 * Splits scenarios on kernels into `count` shards so that the slowest is as fast as it can be with everything left in its
 * order: executions stand in one row, kernel by kernel, and the row is cut. So a kernel is in as few shards as its share
 * of the whole asks for, and at most `count - 1` kernels are cut at all. No shard takes longer than the mean, with
 * `count - 1` further kernels' costs in it, plus one execution and one kernel's cost. Pure: the same input gives the same split.
 *
 * @param scenarios on every kernel
 * @param durations of each kernel, as they were recorded; empty for none
 * @returns one list for each shard, in their order; each execution is in exactly one. The last may be empty
 */
export function split(
  kernels: readonly string[],
  scenarios: readonly string[],
  durations: (kernel: string) => Durations,
  count: number,
): readonly (readonly Portion[])[] {
  const rows = kernels.map((kernel) => ({ kernel, ms: weights(scenarios, durations(kernel)) }));
  const row = rows.flatMap(({ kernel, ms }) => scenarios.map((scenario, i): Execution => ({ kernel, scenario, ms: ms[i] ?? 1 })));
  let least = kernelCost;
  let enough = 1 + row.reduce((sum, e) => sum + e.ms, kernelCost * kernels.length);
  // The smallest capacity with which the row fits into so many shards.
  while (least < enough) {
    const middle = Math.floor((least + enough) / 2);
    if ((fill(row, middle)?.length ?? Infinity) <= count) enough = middle;
    else least = middle + 1;
  }
  const filled = fill(row, enough) ?? [];
  return Array.from({ length: count }, (_, i) => portions(filled[i] ?? []));
}

interface Execution {
  readonly kernel: string;
  readonly scenario: string;
  readonly ms: number;
}

/** The row cut wherever the next one would not fit any more; undefined when one does not fit alone. */
function fill(row: readonly Execution[], capacity: number): readonly (readonly Execution[])[] | undefined {
  const shards: Execution[][] = [];
  let load = Infinity;
  for (const e of row) {
    const last = shards.at(-1);
    const cost = e.ms + (last?.at(-1)?.kernel === e.kernel ? 0 : kernelCost);
    if (e.ms + kernelCost > capacity) return undefined;
    if (last && load + cost <= capacity) {
      last.push(e);
      load += cost;
    } else {
      shards.push([e]);
      load = e.ms + kernelCost;
    }
  }
  return shards;
}

function portions(executions: readonly Execution[]): readonly Portion[] {
  const kernels = [...new Set(executions.map((e) => e.kernel))];
  return kernels.map((kernel) => ({ kernel, scenarios: executions.filter((e) => e.kernel === kernel).map((e) => e.scenario) }));
}
