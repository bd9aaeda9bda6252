// SPDX-License-Identifier: MIT
import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../errors.js';
import { type PlannedShard, shardRecord } from '../runner/blob.js';
import { makePlan, portionsOf, readPlan } from '../runner/plan.js';
import type { PastRun } from '../runner/resume.js';
import type { KernelChoice } from '../runner/run.js';
import { type Shard, split } from '../runner/shard.js';
import { chosenThen } from './resume.js';
import { type Chosen, type KernelOptions, chooseKernels, chooseScenarios } from './select.js';

/** Words of `klp run` that say what is to be run. */
export interface WhatToRun extends KernelOptions {
  readonly grep?: string;
  readonly plan?: string;
  readonly shard?: Shard;
}

/** What a command line chooses, and the shard of it that is to be run. */
export interface ChosenRun {
  readonly scenarios: readonly Chosen[];
  readonly kernels: () => Promise<readonly KernelChoice[]>;
  readonly shard: (kernels: readonly KernelChoice[]) => PlannedShard | undefined;
}

/**
 * Scenarios and kernels of a run. With `--plan` both are the plan's. `--shard` alone splits by figures that are the same
 * wherever this klp runs, and not by what this host's cache recorded: shards on other hosts, or run here one after the other,
 * must come to the same split.
 *
 * @throws UsageError for words that contradict each other or the plan
 */
export async function chooseRun(words: readonly string[], options: WhatToRun, harness: string): Promise<ChosenRun> {
  const { grep, shard } = options;
  if (options.plan === undefined) {
    const scenarios = await chooseScenarios(words, grep);
    return {
      scenarios,
      kernels: () => chooseKernels(options),
      shard: (kernels) => {
        if (!shard) return undefined;
        const names = kernels.map((k) => k.name);
        const ids = scenarios.map((c) => c.scenario.id);
        const choice = { words: [...words], ...(grep === undefined ? {} : { grep }), kernels: names, scenarios: ids };
        return { ...shard, plan: makePlan(choice, harness, split(names, ids, () => new Map(), shard.count)) };
      },
    };
  }
  if (!shard) throw new UsageError('--plan needs --shard: which part of it is to be run?');
  const said = Object.entries({ '--kernel': options.kernel, '--arch': options.arch, '--image': options.image, '--build-dir': options.buildDir, '--grep': grep });
  const wrong = said.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (words.length > 0) wrong.unshift(...words);
  if (wrong.length > 0) throw new UsageError(`--plan says which kernels and scenarios there are: leave out ${wrong.join(', ')}`);
  const plan = await readPlan(options.plan, harness);
  portionsOf(plan, shard);
  const every = await chooseScenarios(plan.words, plan.grep);
  return {
    scenarios: chosenThen('scenario', plan.scenarios, every, (c) => c.scenario.id, 'plan'),
    kernels: () => chooseKernels({ ...options, kernel: plan.kernels }),
    shard: () => ({ ...shard, plan }),
  };
}

/** @throws UsageError when a shard is to be gone on with, and the split is another one now */
export function sameShard(past: PastRun, shard: PlannedShard | undefined): void {
  if (isDeepStrictEqual(past.started.shard, shard && shardRecord(shard))) return;
  throw new UsageError(`the run in ${past.directory} is a shard of another plan than there is now`, { hint: 'run the shard anew' });
}
