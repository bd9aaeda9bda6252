// SPDX-License-Identifier: MIT
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { type Results, resultsSchema } from '../../harness/report/results-schema.js';
import { readJournal } from '../../harness/runner/journal.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const own = packagePath('test/e2e/fixtures/own.ts');
const minutes = 60_000;
const expectation = { scenario: 'own-warns', verdict: 'fail', reason: 'known', owner: 'us', expires: '2999-01-01' };
const stale = { ...expectation, scenario: 'own-passes' };
const files = { 'klp.expectations.json': JSON.stringify({ version: 1, expectations: [expectation, stale] }) };
const what = [own, 'no-livepatch-field', 'kernel-without-livepatch', '--grep', 'own-(fails|passes|warns)|no-livepatch|without-livepatch'];

await stockKernel();

function read(cwd: string, name: string): string {
  return readFileSync(join(cwd, 'klp-results/latest', name), 'utf8');
}

function without(item: object, ...names: string[]): object {
  return Object.fromEntries(Object.entries(item).filter(([name]) => !names.includes(name)));
}

/** A result without what differs between two runs of the same. */
function comparable(results: Results): object {
  return {
    ...without(results, 'run', 'command', 'host', 'started', 'durationMs', 'merged'),
    kernels: results.kernels.map((k) => ({ ...k, booted: undefined, capabilities: k.booted?.capabilities, commandLine: k.booted?.commandLine })),
    scenarios: results.scenarios.map((s) => ({
      ...without(s, 'durationMs', 'log'),
      logged: s.log !== undefined,
      // Kernel workers come and go: two guests differ in their number.
      judgements: s.judgements.map((j) => ({ ...j, what: j.what.replace(/\d+ threads/, 'threads'), seen: j.seen.replace(/^\d+ × /, '') })),
      witnesses: s.witnesses.map((w) => w.situation),
      splats: s.splats.map((x) => x.kind),
      failure: s.failure && { kind: s.failure.kind, message: s.failure.message },
    })),
  };
}

/** TAP without run, times and kernel logs. */
function points(tap: string): string[] {
  return tap.split('\n').filter((line) => /^(ok|not ok|1\.\.|Bail|# (expectation|missing))/.test(line));
}

/** Number of events of each type and scenario. */
async function tally(cwd: string): Promise<Record<string, number>> {
  const { events, finished } = await readJournal(join(cwd, 'klp-results/latest/journal.ndjson'));
  if (!finished) throw new Error('not finished');
  const counts: Record<string, number> = {};
  for (const e of events) {
    // What is under way, and what is known of earlier runs, is each run's own.
    if (e.type === 'progress' || e.type === 'kernel.estimated') continue;
    const name = `${e.type} ${'scenario' in e ? e.scenario : ''} ${'clause' in e ? e.clause : ''}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

void t.test('three shards come to what one run comes to', { timeout: 20 * minutes }, async (t) => {
  const whole = t.testdir({ ...files, shards: files });
  const sharded = join(whole, 'shards');
  const one = await klp(['run', ...what, '--kernel', stockName], { cwd: whole, timeout: 8 * minutes });
  t.equal(one.status, 1, one.stderr);

  const plan = await klp(['plan', ...what, '--kernels', stockName, '--shards', '3', '--format', 'github', '--output', 'plan.json'], { cwd: sharded });
  t.equal(plan.status, 0, plan.stderr);
  const { include } = JSON.parse(plan.stdout) as { include: { shard: string; executions: string }[] };
  t.equal(include.length, 3);
  t.equal(include.reduce((sum, row) => sum + Number(row.executions), 0), 5);
  for (const { shard } of include) {
    const part = await klp(['run', '--plan', 'plan.json', '--shard', shard, '--output', `out-${shard.replace('/', '-')}`], { cwd: sharded, timeout: 8 * minutes });
    t.ok(part.status === 0 || part.status === 1, part.stdout + part.stderr);
    t.match(part.stderr, /^blob: out-\S+\/blob-\d-of-3\.ndjson\.gz$/m);
  }
  const merge = await klp(['merge', '.'], { cwd: sharded });
  t.equal(merge.status, 1, merge.stderr);

  const [a, b] = [whole, sharded].map((cwd) => resultsSchema.parse(JSON.parse(read(cwd, 'results.json')))) as [Results, Results];
  t.strictSame(comparable(b), comparable(a));
  t.match(b.merged, [{ shard: 1 }, { shard: 2 }, { shard: 3 }]);
  t.match(b.staleExpectations, [/own-passes: expected fail: now pass/]);
  t.strictSame(points(read(sharded, 'results.tap')), points(read(whole, 'results.tap')));
  t.strictSame(await tally(sharded), await tally(whole));
  const summaryOf = (text: string): string => text.slice(text.lastIndexOf('\nbookworm')).replace(/, \d+(\.\d+)? (m?s|min.*)\)$/m, '');
  t.equal(summaryOf(merge.stdout), summaryOf(one.stdout), 'the summary a person reads');
  t.match(read(sharded, 'summary.md'), /\*\*fail\*\* \S+ own-fails/);
  t.notMatch(read(sharded, 'summary.md'), /\*\*fail\*\* \S+ own-warns/, 'expected');

  // What goes wrong between shards.
  const blobs = readdirSync(sharded).filter((n) => n.startsWith('out-')).sort().map((n) => join(n, 'latest', `blob-${n.slice(4, 5)}-of-3.ndjson.gz`));
  const gap = await klp(['merge', ...blobs.slice(1)], { cwd: sharded });
  t.match(gap, { status: 2, stderr: /shard 1 of 3 has no blob: \d without a result: \S+ \/ \S+/ });
  const partial = await klp(['merge', ...blobs.slice(0, 1), '--partial', '--reporter', 'json'], { cwd: sharded });
  const part = resultsSchema.parse(JSON.parse(partial.stdout));
  t.equal(part.missing?.length, 2);
  t.equal(part.clauses.length, 0, 'no clause of a kernel that was not done');
  t.equal(partial.status, part.counts.scenarios.fail - part.counts.expected > 0 ? 1 : 3);
  copyFileSync(join(sharded, blobs[0] ?? ''), join(sharded, 'again.ndjson.gz'));
  const twice = await klp(['merge', ...blobs, 'again.ndjson.gz'], { cwd: sharded });
  t.match(twice, { status: 2, stderr: /shard 1 of 3 is there twice: out-\S+ and again/ });
  const bytes = readFileSync(join(sharded, blobs[0] ?? ''));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(join(sharded, 'bad.ndjson.gz'), bytes);
  const bad = await klp(['merge', 'bad.ndjson.gz', ...blobs.slice(1)], { cwd: sharded });
  t.match(bad, { status: 2, stderr: /the blob bad\.ndjson\.gz is damaged/ });
});
