// SPDX-License-Identifier: MIT
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scenarios } from '../../scenarios/index.js';
import type { KlpEvent } from '../../harness/events/schema.js';
import type { Verdict } from '../../harness/model/verdict.js';
import { catalogueVersion } from '../../harness/model/catalogue/index.js';
import { JsonReporter } from '../../harness/report/json.js';
import { clauseIds } from '../../harness/runner/scenario.js';
import { ending, finished, started, stream } from '../report/runs.js';
import { klp } from './klp.js';

interface Made {
  readonly kernel?: string;
  readonly version?: string;
  readonly verdicts: Readonly<Record<string, Verdict>>;
  readonly day?: string;
  readonly unfinished?: boolean;
}

/** A run's folder as a run leaves it, its results folded by the collector that runs use. */
function make(cwd: string, name: string, { kernel = 'k', version = 'v1', verdicts, day = '01', unfinished = false }: Made): void {
  const event = stream(name);
  const events: KlpEvent[] = [event('run.started', { ...started([kernel], Object.keys(verdicts)), catalogue: catalogueVersion })];
  events.push(event('kernel.acquired', { kernel, arch: 'x86_64', origin: 'stock', release: version, version, fingerprint: version, packages: [], toolchain: 'gcc', config: '/c' }));
  for (const [scenario, verdict] of Object.entries(verdicts)) {
    const own = scenarios.find((s) => s.id === scenario);
    const clauses = own ? [...clauseIds(own)] : ['REG-1'];
    events.push(event('scenario.started', { kernel, scenario, title: `Title of ${scenario}`, clauses, attempt: 1 }));
    events.push(event('scenario.finished', finished(kernel, scenario, verdict, verdict === 'fail' ? { reason: 'REG-1: EBUSY; allowed: OK' } : {})));
    for (const clause of clauses) events.push(event('clause.judged', { kernel, clause, statement: 'S.', verdict, scenarios: [scenario] }));
  }
  if (!unfinished) events.push(event('run.finished', ending([], [])));
  const dated = events.map((e) => ({ ...e, wall: `2026-11-${day}T02:00:00.000Z` }));
  mkdirSync(join(cwd, name), { recursive: true });
  writeFileSync(join(cwd, name, 'journal.ndjson'), dated.map((e) => `${JSON.stringify(e)}\n`).join(''));
  if (unfinished) return;
  const reporter = new JsonReporter();
  for (const e of dated) reporter.event(e);
  writeFileSync(join(cwd, name, 'results.json'), reporter.end());
}

void t.test('klp report diff: statuses, forms, files', async (t) => {
  const cwd = t.testdir({});
  make(cwd, 'a', { verdicts: { x: 'pass', y: 'fail' } });
  make(cwd, 'b', { verdicts: { x: 'fail', y: 'pass' }, version: 'v2', day: '02' });
  make(cwd, 'c', { verdicts: { x: 'pass', y: 'pass' }, kernel: 'mine' });

  const worse = await klp(['report', 'diff', 'a', 'b'], { cwd });
  t.equal(worse.status, 1, worse.stderr);
  t.match(worse.stdout, /Worse\n {2}pass → fail x: Title of x\n {6}\| REG-1: EBUSY; allowed: OK\n {6}repeat: npx klp run x --kernel k\n/);
  t.match(worse.stdout, /Better\n {2}fail → pass y: Title of y\n/);
  t.match(worse.stdout, / {2}version +v1 +v2\n/);

  const better = await klp(['report', 'diff', 'a/results.json', 'c/journal.ndjson'], { cwd });
  t.equal(better.status, 0, better.stdout);
  t.match(better.stdout, / {2}kernel +k +mine\n/, 'one kernel on each side');
  t.equal((await klp(['report', 'diff', 'a', 'a'], { cwd })).status, 0);

  const markdown = await klp(['report', 'diff', 'a', 'b', '--format', 'markdown'], { cwd });
  t.match(markdown.stdout, /^## Two runs compared$/m, 'the option behind a subcommand is its own');
  const html = await klp(['report', 'diff', '--kernel', 'k', 'a', 'b', '--format', 'html', '--output', 'd.html'], { cwd });
  t.match({ status: html.status, stdout: html.stdout }, { status: 1, stdout: '' });
});

void t.test('klp report diff: wrong input', async (t) => {
  const cwd = t.testdir({ empty: {} as never, 'bad.json': '{"v":1}', 'new.json': '{"v":2}', 'text.json': 'x' });
  make(cwd, 'a', { verdicts: { x: 'pass' } });
  for (const [args, message] of [
    [['a', 'nowhere'], /there is no run nowhere/],
    [['a', 'empty'], /there is no run in empty: it has neither results\.json nor journal\.ndjson/],
    [['a', 'bad.json'], /bad\.json: no results of a run/],
    [['a', 'new.json'], /new\.json: results version 2; this klp reads version 1/],
    [['a', 'text.json'], /text\.json: not JSON/],
    [['a', 'a', '--kernel', 'k=q'], /kernel q is not in a\n {2}→ it has k/],
    [['a', 'a', '--kernel', 'k='], /--kernel k=: give a kernel of A and one of B/],
    [['a'], /missing required argument 'b'/],
    [['a', 'a', '--format', 'pdf'], /Allowed choices are text, markdown, html/],
  ] as const) {
    const { status, stderr } = await klp(['report', 'diff', ...args], { cwd });
    t.equal(status, 2, stderr);
    t.match(stderr, message);
  }
});

void t.test('klp report trend: first bad run; what is damaged is named and left out', async (t) => {
  const cwd = t.testdir({ nights: { broken: { 'results.json': '{' }, deep: {} } });
  make(cwd, 'nights/n1', { verdicts: { x: 'pass' } });
  make(cwd, 'nights/deep/n2', { verdicts: { x: 'pass' }, day: '02' });
  make(cwd, 'nights/n3', { verdicts: { x: 'fail' }, day: '03', version: 'v2' });
  make(cwd, 'nights/n4', { verdicts: { x: 'fail' }, day: '04', version: 'v2', unfinished: true });
  const { status, stdout, stderr } = await klp(['report', 'trend', 'nights'], { cwd });
  t.equal(status, 0, stderr);
  t.match(stdout, /4 runs, 2026-11-01 02:00 UTC to 2026-11-04 02:00 UTC: 1 scenario bad now, 1 run\nleft out\./);
  t.match(stdout, /fail k x: in the last 2 runs that asked/);
  t.match(stdout, /first bad run: nights\/n3 \(2026-11-03 02:00 UTC, v2\)\n.*last good run: nights\/deep\/n2 \(2026-11-02 02:00 UTC, v1\)\n.*between them: kernel v1 → v2/);
  t.match(stdout, /nights\/broken: nights\/broken\/results\.json: not JSON/);
  t.match(stdout, /nights\/n4 .*the run did not finish|nights\/n4\n(?: {4}.*\n)* {4}remark +the run did not finish/, 'its results count, and it is marked');

  const json = JSON.parse((await klp(['report', 'trend', 'nights', '--last', '2', '--format', 'json'], { cwd })).stdout) as { runs: { name: string }[]; bad: object[] };
  t.same(json.runs.map((r) => r.name), ['nights/n3', 'nights/n4']);
  t.match(json.bad, [{ firstBad: { name: 'nights/n3' }, count: 2 }]);

  for (const [args, message] of [
    [['nowhere'], /there is no folder nowhere/],
    [['nights/broken'], /there is no run in nights\/broken that can be read\n.*not JSON/],
    [['nights', '--last', '0'], /Give a number of runs, from 1\./],
  ] as const) {
    const ended = await klp(['report', 'trend', ...args], { cwd });
    t.equal(ended.status, 2);
    t.match(ended.stderr, message);
  }
});

void t.test('klp report certificate: a few scenarios certify little; all of them, the kernel', async (t) => {
  const cwd = t.testdir({});
  make(cwd, 'few', { verdicts: { 'patch-vmlinux-function': 'pass' } });
  make(cwd, 'all', { verdicts: Object.fromEntries(scenarios.map((s) => [s.id, 'pass' as const])) });
  make(cwd, 'bad', { verdicts: Object.fromEntries(scenarios.map((s, i) => [s.id, i === 3 ? 'fail' as const : 'pass' as const])) });
  const of = async (name: string): Promise<string> => (await klp(['report', 'certificate', name], { cwd })).stdout;
  t.match(await of('few'), /^\*\*Partial: \d+ of \d+ clauses were asked; none of them fails\.\*\*$/m);
  t.match(await of('all'), /^\*\*Conformant to mainline of its generation and the documents: (\d+) of \1 clauses were asked, and none fails\.\*\*$/m);
  t.match(await of('bad'), /^\*\*Not conformant: /m);
  const html = await klp(['report', 'certificate', 'few', '--format', 'html'], { cwd });
  t.match(html.stdout, /^<!DOCTYPE html>/);
  const wrong = await klp(['report', 'certificate', 'few', '--kernel', 'q'], { cwd });
  t.match({ status: wrong.status, stderr: wrong.stderr }, { status: 2, stderr: /kernel q is not in the run\n {2}→ it has k/ });
});
