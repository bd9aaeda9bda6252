// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { gunzipSync, gzipSync } from 'node:zlib';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { EventType, KlpEvent, Payload } from '../../harness/events/schema.js';
import { catalogueVersion } from '../../harness/model/catalogue/index.js';
import { type Verdict, exitStatus, verdicts, worst } from '../../harness/model/verdict.js';
import { Collector } from '../../harness/report/collect.js';
import type { Results } from '../../harness/report/results-schema.js';
import { type Blob, packBlob, shardRecord, unpackBlob } from '../../harness/runner/blob.js';
import type { Expectation } from '../../harness/runner/expectations.js';
import { Journal, readJournal } from '../../harness/runner/journal.js';
import { mergeBlobs, writeMerged } from '../../harness/runner/merge.js';
import { type Plan, makePlan } from '../../harness/runner/plan.js';
import { split } from '../../harness/runner/shard.js';
import { finished, judgement, started } from '../report/runs.js';

const harness = '0.1.0';
const folder = mkdtempSync(join(tmpdir(), 'klp-merge-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let journals = 0;

/** What one execution comes to, wherever it runs. */
interface Outcome {
  readonly verdict: Verdict;
  readonly expected: boolean;
  readonly flaky: boolean;
}
type Outcomes = (kernel: string, scenario: string) => Outcome;
const pass: Outcomes = () => ({ verdict: 'pass', expected: false, flaky: false });
const clausesOf = (scenario: string): string[] => ['REG-1', Number(scenario.slice(1)) % 2 === 0 ? 'ENA-1' : 'DIS-4'];

interface Given {
  readonly outcomes: Outcomes;
  readonly strict?: boolean;
  readonly fingerprint?: (kernel: string, shard: number) => string;
  /** Executions that never got a result. */
  readonly cut?: (kernel: string, scenario: string) => boolean;
  /** Earlier attempts and superseded results stand in the journal, as of a resumed run. */
  readonly resumed?: boolean;
  readonly expectations?: readonly Expectation[];
}

type Emit = <T extends EventType>(type: T, payload: Payload<T>) => void;

function execute(emit: Emit, kernel: string, scenario: string, { outcomes, resumed }: Given): void {
  const { verdict, expected, flaky } = outcomes(kernel, scenario);
  const head = { kernel, scenario, title: `Title of ${scenario}`, clauses: clausesOf(scenario) };
  if (resumed === true) {
    emit('scenario.started', { ...head, attempt: 1, guest: 1 });
    emit('judgement', judgement(kernel, scenario, 'REG-1', 'fail'));
    emit('scenario.finished', finished(kernel, scenario, 'fail', { clauseVerdicts: [{ clause: 'REG-1', verdict: 'fail' }] }));
    emit('kernel.resumed', { kernel, kept: [], superseded: [{ scenario, why: 'a test' }] });
  }
  emit('scenario.started', { ...head, attempt: 1, guest: 1 });
  for (const clause of clausesOf(scenario)) emit('judgement', judgement(kernel, scenario, clause, verdict));
  emit('scenario.finished', {
    ...finished(kernel, scenario, verdict, { flaky, fingerprint: `of ${scenario}`, ...(expected ? { expected: 'known' } : {}) }),
    clauseVerdicts: clausesOf(scenario).map((clause) => ({ clause, verdict })),
  });
}

/** The journal that a shard of a plan would leave; a plan of one shard gives the whole run's. */
function events(plan: Plan, index: number, given: Given): Buffer {
  const lines: string[] = [];
  const emit: Emit = (type, payload) => {
    const head = { v: 1, seq: lines.length, run: `run-${index}`, type, mono: lines.length * 10, wall: `2026-11-22T10:0${index % 10}:00.000Z` };
    lines.push(JSON.stringify({ ...head, ...payload }));
  };
  const shard = { index, count: plan.shards.length, plan };
  emit('run.started', { ...started(plan.kernels, plan.scenarios, given.strict ?? false), harness, catalogue: catalogueVersion, shard: shardRecord(shard) });
  for (const { kernel, scenarios } of plan.shards[index - 1] ?? []) {
    const fingerprint = given.fingerprint?.(kernel, index) ?? kernel;
    emit('progress', { topic: kernel, text: 'at it' });
    emit('kernel.acquired', {
      ...{ kernel, arch: 'x86_64', origin: 'stock', release: '6.1', version: `6.1 of ${fingerprint}`, fingerprint },
      ...{ packages: [], toolchain: 'gcc', config: '' },
    });
    emit('kernel.booted', { kernel, accel: 'tcg', qemu: '7', argv: [], commandLine: '', bootMs: 5, capabilities: ['livepatch'] });
    for (const s of scenarios) if (given.cut?.(kernel, s) !== true) execute(emit, kernel, s, given);
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

async function blobOf(plan: Plan, index: number, given: Given): Promise<Blob> {
  const packed = await packBlob(events(plan, index, given), { index, count: plan.shards.length, plan }, given.expectations ?? []);
  return unpackBlob(packed, `blob-${index}`, harness);
}

function planOf(kernels: readonly string[], scenarios: readonly string[], count: number): Plan {
  const choice = { words: [], kernels: [...kernels], scenarios: [...scenarios] };
  return makePlan(choice, harness, split(kernels, scenarios, () => new Map(), count));
}

function all(plan: Plan, given: Given): Promise<Blob[]> {
  return Promise.all(plan.shards.map((_, i) => blobOf(plan, i + 1, given)));
}

/** Merges, and folds the journal that comes of it. */
async function merge(blobs: readonly Blob[], partial = false): Promise<{ exit: number; results: Results; events: readonly KlpEvent[] }> {
  const merged = mergeBlobs(blobs, partial);
  const clock = { mono: 0, wall: new Date() };
  const path = join(folder, `${(journals += 1)}.ndjson`);
  const journal = new Journal(path, 'merged', { monotonic: () => clock.mono, wall: () => clock.wall });
  const exit = writeMerged(merged, journal, clock, { command: ['klp', 'merge'], host: { system: 'x', cpus: 1, memoryMiB: 1, node: 'v20' } });
  journal.close();
  const { events: written } = await readJournal(path);
  const collector = new Collector();
  for (const event of written) collector.add(event);
  return { exit, results: collector.results(), events: written };
}

const given = fc.record({
  kernels: fc.integer({ min: 1, max: 3 }).map((n) => Array.from({ length: n }, (_, i) => `k${i}`)),
  scenarios: fc.integer({ min: 1, max: 4 }).map((n) => Array.from({ length: n }, (_, i) => `s${i}`)),
  count: fc.integer({ min: 2, max: 6 }),
  strict: fc.boolean(),
  resumed: fc.boolean(),
  outcomes: fc.func(fc.record({ verdict: fc.constantFrom(...verdicts), expected: fc.boolean(), flaky: fc.boolean() })).map(
    (of): Outcomes =>
      (kernel, scenario) => {
        const o = of(kernel, scenario);
        return { ...o, expected: o.expected && o.verdict !== 'pass' && o.verdict !== 'n/a' };
      },
  ),
});

/** Run identifiers and what else tells one run from the other. */
const own = ['run', 'durationMs', 'shard', 'merged', 'command', 'host', 'started'];
const same = (results: Results): object => Object.fromEntries(Object.entries(results).filter(([name]) => !own.includes(name)));

void t.test('any split comes to what one shard comes to, in any order', async () => {
  await fc.assert(
    fc.asyncProperty(given, async ({ kernels, scenarios, count, ...how }) => {
      const one = await merge(await all(planOf(kernels, scenarios, 1), { ...how, resumed: false }));
      const plan = planOf(kernels, scenarios, count);
      const many = await merge((await all(plan, how)).reverse());
      assert.deepEqual(same(many.results), same(one.results));
      assert.equal(many.exit, one.exit);
      const results = kernels.flatMap((k) => scenarios.map((s) => how.outcomes(k, s)));
      assert.equal(many.exit, exitStatus(results, how.strict), 'the status of one run');
      for (const kernel of kernels) {
        const clause = many.results.clauses.find((c) => c.kernel === kernel && c.clause === 'REG-1');
        assert.equal(clause?.verdict, worst(scenarios.map((s) => how.outcomes(kernel, s).verdict)), 'over all shards');
      }
      const ended = many.events.filter((e) => e.type === 'scenario.finished');
      assert.equal(ended.length, results.length, 'superseded results are left out');
      let before = 0;
      for (const { mono } of many.events) {
        assert.ok(mono >= before, 'mono never goes back');
        before = mono;
      }
    }),
    { numRuns: 25 },
  );
});

void t.test('a gap is refused; with --partial it is part of the result', async () => {
  await fc.assert(
    fc.asyncProperty(given, fc.nat(), async ({ kernels, scenarios, count, ...how }, which) => {
      const plan = planOf(kernels, scenarios, count);
      const blobs = await all(plan, how);
      const lost = which % count;
      const rest = blobs.filter((_, i) => i !== lost);
      assert.throws(() => mergeBlobs(rest, false), /something is missing/);
      const { exit, results } = await merge(rest, true);
      assert.match(results.missing?.[0] ?? '', new RegExp(`^shard ${lost + 1} of ${count} has no blob: `));
      assert.ok(exit === 3 || exit === 1);
      if (exit === 1) assert.ok(results.scenarios.some((s) => s.verdict === 'fail' || s.verdict === 'deviates'));
      for (const { kernel } of plan.shards[lost] ?? []) assert.ok(!results.clauses.some((c) => c.kernel === kernel), 'not judged');
    }),
    { numRuns: 15 },
  );
});

const plan = planOf(['k0', 'k1'], ['s0', 's1', 's2'], 3);

void t.test('what does not belong together is refused', async (t) => {
  const blobs = await all(plan, { outcomes: pass });
  const [first] = blobs as [Blob, ...Blob[]];
  const others = await all(planOf(['k0', 'k1'], ['s0', 's1', 's2'], 4), { outcomes: pass });
  t.throws(() => mergeBlobs([first, ...others.slice(1, 2)], true), { message: /blob-2 does not belong to blob-1: its shard is one of another plan/ });
  t.throws(() => mergeBlobs([...blobs, { ...first, file: 'again' }], false), { message: 'shard 1 of 3 is there twice: blob-1 and again' });
  t.throws(() => mergeBlobs([], false), { message: 'there is no blob to merge' });

  const strict = await blobOf(plan, 2, { outcomes: pass, strict: true });
  t.throws(() => mergeBlobs([first, strict], true), { message: /strict is true there and false here/ });
  const expectation: Expectation = { scenario: 's0', verdict: 'fail', reason: 'r', owner: 'o', expires: '2999-01-01' };
  const expecting = await blobOf(plan, 2, { outcomes: pass, expectations: [expectation] });
  t.throws(() => mergeBlobs([first, expecting], true), { message: /another expectations file/ });

  const one = planOf(['k0'], ['s0', 's1', 's2'], 3);
  const moved = await all(one, { outcomes: pass, fingerprint: (k, shard) => (shard === 3 ? 'new' : k) });
  t.throws(() => mergeBlobs(moved, false), {
    message: 'kernel k0 is not the same in all shards',
    details: [/^shard 1: 6\.1 of k0 /, /^shard 3: 6\.1 of new /],
  });
  const cut = await all(one, { outcomes: pass, cut: (_k, s) => s === 's1' });
  t.strictSame(mergeBlobs(cut, true).missing, ['shard 2 of 3 did not finish (blob-2): 1 without a result: k0 / s1']);
  t.throws(() => mergeBlobs(cut, false), { message: /something is missing/ });
});

void t.test('another version, and damage', async (t) => {
  const packed = await packBlob(events(plan, 1, { outcomes: pass }), { index: 1, count: 3, plan }, []);
  await t.rejects(unpackBlob(packed, 'b', '0.2.0'), { message: /^the blob b is of klp 0\.1\.0, .*; this is klp 0\.2\.0, / });
  const text = gunzipSync(packed).toString();
  const again = (change: (text: string) => string): Promise<Blob> => unpackBlob(gzipSync(change(text)), 'b', harness);
  t.match(await again((x) => x), { manifest: { shard: { index: 1 } } });
  await t.rejects(again((x) => x.replace(/"catalogue":\d+/, '"catalogue":99')), { message: /is of klp 0\.1\.0, clause catalogue 99/ });
  await t.rejects(again((x) => x.replace(/"events":\d+/, '"events":99')), { message: /event stream 99/ });
  await t.rejects(again((x) => x.replace('"verdict":"pass"', '"verdict":"fail"')), { message: /checksum/ });
  await t.rejects(again((x) => x.replace('"kernels":["k0","k1"]', '"kernels":["k0"]')), { message: /damaged: k1 \/ s0 is in a shard, but not in the plan's lists|damaged: .* is in a shard/ });
  await t.rejects(again((x) => x.replace(/"plan":"[0-9a-f]+"/, '"plan":"00"')), { message: /digest/ });
  await t.rejects(again(() => '{}\n'), { message: /damaged/ });
  await t.rejects(unpackBlob(Buffer.from('no gzip'), 'b', harness), { message: /the blob b is damaged/ });
  await fc.assert(
    fc.asyncProperty(fc.nat(packed.length - 1), async (length) => {
      await assert.rejects(unpackBlob(packed.subarray(0, length), 'b', harness), /damaged/);
    }),
    { numRuns: 50 },
  );
});
