// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { digest } from '../cache.js';
import { UsageError, messageOf } from '../errors.js';
import { eventVersion } from '../events/schema.js';
import { catalogueVersion } from '../model/catalogue/index.js';
import { type Portion, mostShards, type Shard } from './shard.js';

const portion = z.object({ kernel: z.string(), scenarios: z.array(z.string()) });

/**
 * Who runs what: made once by `klp plan`, obeyed by every shard, and checked by `klp merge`. A shard that worked out its part
 * from what its own cache recorded could disagree with the others, and an execution would be in none of them.
 */
export const planSchema = z.object({
  plan: z.literal(1),
  /** Versions of klp, of the clause catalogue and of the event stream. */
  harness: z.string(),
  catalogue: z.number(),
  events: z.number(),
  /** Words that choose the scenarios again, files of one's own among them. */
  words: z.array(z.string()),
  grep: z.string().optional(),
  /** In the order in which results are reported. */
  kernels: z.array(z.string()),
  scenarios: z.array(z.string()),
  /** One for each shard. */
  shards: z.array(z.array(portion)).min(1).max(mostShards),
});
export type Plan = z.infer<typeof planSchema>;

/** What a plan is about, versions and split apart. */
export type PlanChoice = Pick<Plan, 'words' | 'grep' | 'kernels' | 'scenarios'>;

export function makePlan(choice: PlanChoice, harness: string, shards: readonly (readonly Portion[])[]): Plan {
  const split = shards.map((portions) => portions.map((p) => ({ kernel: p.kernel, scenarios: [...p.scenarios] })));
  return planSchema.parse({ plan: 1, harness, catalogue: catalogueVersion, events: eventVersion, ...choice, shards: split });
}

/** Two shards belong together only if this is the same: everything in the plan counts. */
export function planDigest(plan: Plan): string {
  const { harness, catalogue, events, words, grep, kernels, scenarios, shards } = plan;
  const split = shards.map((portions) => portions.map((p) => [p.kernel, p.scenarios]));
  return digest('1', JSON.stringify([harness, catalogue, events, words, grep ?? null, kernels, scenarios, split]));
}

/** @throws UsageError when the file is no plan, one of another klp, or does not hold each execution once */
export async function readPlan(file: string, harness: string): Promise<Plan> {
  let raw: unknown;
  try {
    raw = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new UsageError(`can't read the plan ${file}: ${messageOf(cause)}`, { cause });
  }
  const parsed = planSchema.safeParse(raw);
  if (!parsed.success) {
    throw new UsageError(`${file} is no plan of klp plan`, { details: z.prettifyError(parsed.error).split('\n') });
  }
  const plan = parsed.data;
  const then = `klp ${plan.harness}, clause catalogue ${plan.catalogue}, event stream ${plan.events}`;
  const now = `klp ${harness}, clause catalogue ${catalogueVersion}, event stream ${eventVersion}`;
  if (then !== now) throw new UsageError(`the plan ${file} was made by ${then}; this is ${now}`, { hint: 'make the plan anew' });
  const problem = unsound(plan);
  if (problem !== undefined) throw new UsageError(`the plan ${file} is damaged: ${problem}`, { hint: 'make the plan anew' });
  return plan;
}

/** What is wrong with a plan's split: each of kernels × scenarios must be in exactly one shard. */
export function unsound(plan: Plan): string | undefined {
  const seen = new Map<string, number>();
  for (const portions of plan.shards) {
    for (const { kernel, scenarios } of portions) for (const s of scenarios) seen.set(`${kernel} / ${s}`, (seen.get(`${kernel} / ${s}`) ?? 0) + 1);
  }
  for (const kernel of plan.kernels) {
    for (const s of plan.scenarios) {
      const name = `${kernel} / ${s}`;
      const times = seen.get(name) ?? 0;
      if (times !== 1) return `${name} is in ${times === 0 ? 'no shard' : `${times} shards`}`;
      seen.delete(name);
    }
  }
  const [extra] = seen.keys();
  return extra === undefined ? undefined : `${extra} is in a shard, but not in the plan's lists`;
}

/** What a plan gives one shard. @throws UsageError when the plan has another number of shards */
export function portionsOf(plan: Plan, shard: Shard): readonly Portion[] {
  if (plan.shards.length !== shard.count) {
    throw new UsageError(`--shard ${shard.index}/${shard.count}: the plan has ${plan.shards.length} shards`);
  }
  return plan.shards[shard.index - 1] ?? [];
}
