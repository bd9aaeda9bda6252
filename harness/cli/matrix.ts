// SPDX-License-Identifier: MIT
import type { CatalogueEntry } from '../../kernels/catalogue.js';
import { digest } from '../cache.js';
import { type Plan, planDigest } from '../runner/plan.js';

export const matrixFormats = ['github', 'gitlab', 'json'] as const;
export type MatrixFormat = (typeof matrixFormats)[number];

export type PlannedKernel = Pick<CatalogueEntry, 'name' | 'arch' | 'origin' | 'livepatch'>;

/** One job of the matrix. All values are text: CI systems hand them on as variables. */
interface Row {
  /** What `klp run --shard` takes. */
  readonly shard: string;
  readonly index: string;
  readonly count: string;
  readonly kernels: string;
  /** What the runner must be able to emulate: for `make host-packages HOST_ARCHS=…` and `klp doctor --arch …`. */
  readonly archs: string;
  /** `built` takes minutes more where the cache is empty. */
  readonly origins: string;
  readonly executions: string;
  /** Part of the cache's key: the same for the same kernels, whatever the number of the shard. */
  readonly cache: string;
}

function rows(plan: Plan, kernels: readonly PlannedKernel[]): readonly Row[] {
  const count = plan.shards.length;
  return plan.shards.map((portions, i) => {
    const own = portions.flatMap((p) => kernels.filter((k) => k.name === p.kernel));
    const distinct = (values: readonly string[]): string => [...new Set(values)].join(' ');
    return {
      shard: `${i + 1}/${count}`,
      index: String(i + 1),
      count: String(count),
      kernels: distinct(own.map((k) => k.name)),
      archs: distinct(own.map((k) => k.arch)),
      origins: distinct(own.map((k) => k.origin)),
      executions: String(portions.reduce((sum, p) => sum + p.scenarios.length, 0)),
      cache: digest(...own.map((k) => k.name)).slice(0, 12),
    };
  });
}

/**
 * A plan as a CI system takes it.
 * - `github`: one line of JSON for `strategy.matrix`, through `fromJSON`;
 * - `gitlab`: the job `shard` of a child pipeline, with `parallel: matrix:`; what the job does comes from `.klp-shard`, which
 *   stands in a file kept by hand (docs/ci/gitlab-shard.yml), so that no script is generated;
 * - `json`: everything, for whatever else.
 *
 * A shard without executions is no job of the first two: `klp plan` never makes more shards than executions.
 */
export function matrixText(format: MatrixFormat, plan: Plan, kernels: readonly PlannedKernel[]): string {
  const all = rows(plan, kernels);
  if (format === 'github') return `${JSON.stringify({ include: all })}\n`;
  if (format === 'json') {
    const about = kernels.map(({ name, arch, origin, livepatch }) => ({ name, arch, origin, livepatch }));
    const { harness, scenarios } = plan;
    return `${JSON.stringify({ harness, plan: planDigest(plan), kernels: about, scenarios, matrix: all }, undefined, 2)}\n`;
  }
  // Scalars are JSON strings, which YAML reads with the same meaning.
  const entries = all.flatMap((row) =>
    Object.entries(row).map(([name, value], i) => `      ${i === 0 ? '-' : ' '} ${name.toUpperCase()}: ${JSON.stringify(value)}`),
  );
  return ['shard:', '  extends: .klp-shard', '  parallel:', '    matrix:', ...entries, ''].join('\n');
}
