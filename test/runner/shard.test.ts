// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../harness/errors.js';
import { makePlan, planDigest, planSchema, unsound } from '../../harness/runner/plan.js';
import { type Portion, kernelCost, parseShard, split, weights } from '../../harness/runner/shard.js';

const names = (prefix: string, most: number): fc.Arbitrary<string[]> =>
  fc.integer({ min: 0, max: most }).map((n) => Array.from({ length: n }, (_, i) => `${prefix}${i}`));

const input = fc
  .record({ kernels: names('k', 6), scenarios: names('s', 12), count: fc.integer({ min: 1, max: 9 }) })
  .chain(({ kernels, scenarios, count }) =>
    fc.record({
      kernels: fc.constant(kernels),
      scenarios: fc.constant(scenarios),
      count: fc.constant(count),
      recorded: fc.array(fc.dictionary(fc.constantFrom('', ...scenarios), fc.integer({ min: 0, max: 200_000 })), {
        minLength: kernels.length,
        maxLength: kernels.length,
      }),
    }),
  )
  .map(({ recorded, ...rest }) => {
    const of = new Map(rest.kernels.map((k, i) => [k, new Map(Object.entries(recorded[i] ?? {}))]));
    return { ...rest, durations: (k: string) => of.get(k) ?? new Map<string, number>() };
  });

type Input = typeof input extends fc.Arbitrary<infer T> ? T : never;
const splitOf = (i: Input): readonly (readonly Portion[])[] => split(i.kernels, i.scenarios, i.durations, i.count);

function load(i: Input, portions: readonly Portion[]): number {
  return portions.reduce((sum, { kernel, scenarios }) => {
    const ms = weights(i.scenarios, i.durations(kernel));
    return sum + kernelCost + scenarios.reduce((s, id) => s + (ms[i.scenarios.indexOf(id)] ?? NaN), 0);
  }, 0);
}

void t.test('every execution is in exactly one shard, in order', (t) => {
  fc.assert(
    fc.property(input, (i) => {
      const shards = splitOf(i);
      assert.equal(shards.length, i.count);
      const all = shards.flat().flatMap((p) => p.scenarios.map((s) => `${p.kernel} ${s}`));
      assert.deepEqual(all, i.kernels.flatMap((k) => i.scenarios.map((s) => `${k} ${s}`)));
    }),
  );
  t.end();
});

void t.test('no shard takes longer than its share, one execution and one kernel', (t) => {
  fc.assert(
    fc.property(input, (i) => {
      const shards = splitOf(i);
      const one = load({ ...i, count: 1 }, i.kernels.map((kernel) => ({ kernel, scenarios: i.scenarios })));
      const most = Math.max(0, ...i.kernels.flatMap((k) => weights(i.scenarios, i.durations(k))));
      const bound = (one + (i.count - 1) * kernelCost) / i.count + most + kernelCost;
      for (const portions of shards) assert.ok(load(i, portions) <= bound + 1, `${load(i, portions)} > ${bound}`);
    }),
  );
  t.end();
});

void t.test('at most one kernel fewer than shards is cut, and more shards never take longer', (t) => {
  fc.assert(
    fc.property(input, (i) => {
      const openings = splitOf(i).flat().filter((p) => p.scenarios.length > 0).length;
      assert.ok(openings <= i.kernels.length + i.count - 1);
      const slowest = (count: number): number => Math.max(...splitOf({ ...i, count }).map((p) => load(i, p)));
      assert.ok(slowest(i.count + 1) <= slowest(i.count));
    }),
  );
  t.end();
});

void t.test('the same input gives the same split, whatever was recorded of others', (t) => {
  fc.assert(
    fc.property(input, (i) => {
      assert.deepEqual(splitOf(i), splitOf(i));
      const more = { ...i, durations: (k: string) => new Map([['other', 5], ...i.durations(k)]) };
      assert.deepEqual(splitOf(more), splitOf(i));
    }),
  );
  t.end();
});

void t.test('by duration and not by count', (t) => {
  const recorded = new Map([['long', 90_000], ['a', 10_000], ['b', 10_000], ['c', 10_000]]);
  t.strictSame(split(['k'], ['long', 'a', 'b', 'c'], () => recorded, 2), [
    [{ kernel: 'k', scenarios: ['long'] }],
    [{ kernel: 'k', scenarios: ['a', 'b', 'c'] }],
  ]);
  const few = split(['k', 'l'], ['a', 'b', 'c'], () => recorded, 2);
  t.strictSame(few.map((p) => p.map((x) => x.kernel)), [['k'], ['l']], 'kernels stay together');
  t.strictSame(weights(['x', 'a', 'b', 'long'], recorded), [10_000, 10_000, 10_000, 90_000], 'unknown: the median');
  t.strictSame(weights(['x', 'y'], new Map()), [1, 1]);
  t.end();
});

void t.test('i/n', (t) => {
  t.strictSame(parseShard('2/5'), { index: 2, count: 5 });
  for (const wrong of ['0/2', '3/2', '1', '1/0', 'a/b', '1/2/3', '-1/2', '1/257', '', '1/ 2']) {
    t.throws(() => parseShard(wrong), UsageError, wrong);
  }
  t.end();
});

const choice = { words: [], kernels: ['k', 'l'], scenarios: ['a', 'b'] };
const whole = makePlan(choice, '0.1.0', split(choice.kernels, choice.scenarios, () => new Map(), 2));

void t.test('a plan that lost or doubled an execution is seen', (t) => {
  t.equal(unsound(whole), undefined);
  const [first = [], second = []] = whole.shards;
  t.match(unsound({ ...whole, shards: [first] }), /^l \/ a is in no shard$/);
  t.match(unsound({ ...whole, shards: [first, second, second] }), /^l \/ a is in 2 shards$/);
  t.match(unsound({ ...whole, shards: [...whole.shards, [{ kernel: 'm', scenarios: ['a'] }]] }), /^m \/ a is in a shard, but not in the plan/);
  t.end();
});

void t.test('the digest of a plan covers all of it', (t) => {
  const digest = planDigest(whole);
  t.equal(planDigest(planSchema.parse(JSON.parse(JSON.stringify(whole)))), digest);
  const others = [
    { ...whole, harness: '0.2.0' },
    { ...whole, catalogue: 99 },
    { ...whole, events: 99 },
    { ...whole, words: ['x.ts'] },
    { ...whole, grep: 'x' },
    { ...whole, kernels: ['l', 'k'] },
    { ...whole, scenarios: ['b', 'a'] },
    { ...whole, shards: [...whole.shards].reverse() },
  ];
  for (const other of others) t.not(planDigest(other), digest);
  t.end();
});
