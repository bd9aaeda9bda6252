// SPDX-License-Identifier: MIT
import { execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { KlpEvent } from '../../harness/events/schema.js';
import { packagePath } from '../../harness/package-root.js';
import { type Results, resultsSchema } from '../../harness/report/results-schema.js';
import { readJournal } from '../../harness/runner/journal-reader.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';
import { isAlive, qemusOf, until } from './processes.js';

const several = packagePath('test/e2e/fixtures/several.ts');
const minutes = 60_000;
const order = ['first', 'second', 'third', 'fourth', 'fifth', 'missing'].map((s) => `several-${s}`);

await stockKernel();

const latest = (cwd: string): string => join(cwd, 'klp-results/latest');
const journalOf = (directory: string): Promise<readonly KlpEvent[]> =>
  readJournal(join(directory, 'journal.ndjson')).then((j) => j.events);
const resultsOf = (directory: string): Results =>
  resultsSchema.parse(JSON.parse(readFileSync(join(directory, 'results.json'), 'utf8')));

/** What must not depend on whether a run was interrupted. */
function essence(results: Results): object {
  const { scenarios, clauses, counts, exit, finished, interrupted } = results;
  return {
    scenarios: scenarios.map(({ scenario, verdict, reason }) => ({ scenario, verdict, reason })),
    clauses,
    counts,
    exit,
    finished,
    interrupted,
  };
}

/** Scenarios that have finished and those under way, by a journal that is being written. */
async function progress(directory: string): Promise<{ done: Set<string>; underWay: Set<string> }> {
  const [done, underWay] = [new Set<string>(), new Set<string>()];
  if (!existsSync(join(directory, 'journal.ndjson'))) return { done, underWay };
  for (const event of await journalOf(directory)) {
    if (event.type === 'observation') underWay.add(event.scenario);
    if (event.type !== 'scenario.finished') continue;
    done.add(event.scenario);
    underWay.delete(event.scenario);
  }
  return { done, underWay };
}

/** Starts a run, and when the first scenario is done and the third, which does not end, is under way, does `harm` to it. */
async function harmed(args: readonly string[], cwd: string, directory: string, harm: (pid: number) => unknown): ReturnType<typeof klp> {
  const children: ChildProcess[] = [];
  const env = { KLP_TEST_GATE: '/nonexistent' };
  const ending = klp(args, { cwd, env, timeout: 14 * minutes, onStart: (child) => void children.push(child) });
  await until(async () => {
    const { done, underWay } = await progress(directory);
    return (done.has('several-first') && underWay.has('several-third')) || children[0]?.exitCode !== null;
  });
  const pid = children[0]?.pid ?? 0;
  const qemus = qemusOf(pid);
  if (qemus.length === 0) throw new Error(`no QEMU to be seen: ${JSON.stringify(await ending)}`);
  await harm(pid);
  const ended = await ending;
  await until(() => !qemus.some(isAlive), 20_000);
  return ended;
}

/** Nothing that had finished was begun again, and every scenario finished once. */
function once(t: Tap, events: readonly KlpEvent[]): void {
  const finished: string[] = [];
  for (const event of events) {
    if (event.type === 'scenario.started') t.notOk(finished.includes(event.scenario), `${event.scenario} is not run again`);
    if (event.type === 'scenario.finished') finished.push(event.scenario);
  }
  t.same([...finished].sort(), [...order].sort());
  t.same(events.map((e) => e.seq), events.map((_, i) => i), 'no gaps');
  t.ok(events.every((e, i) => e.mono >= (events[i - 1]?.mono ?? 0)), 'the clock never goes back');
}
type Tap = Pick<typeof t, 'same' | 'ok' | 'notOk' | 'match' | 'equal'>;

void t.test('SIGKILL in the middle, and on', { timeout: 30 * minutes }, async (t) => {
  const folder = t.testdir({ broken: {}, whole: {} });
  const cwd = join(folder, 'broken');
  const args = ['run', several, '--kernel', stockName, '--jobs', '2'];
  const killed = await harmed(args, cwd, latest(cwd), async (pid) => {
    const busy = await klp(['run', '--resume'], { cwd });
    t.match(busy, { status: 2, stderr: new RegExp(`is under way: process ${pid} works on it`) });
    process.kill(pid, 'SIGKILL');
  });
  t.equal(killed.status, null);
  const left = readdirSync(latest(cwd));
  t.ok(left.some((name) => name.startsWith('.running-')), 'it could not clear up');
  const before = await journalOf(latest(cwd));
  t.not(before.at(-1)?.type, 'run.finished');

  const other = await klp(['run', '--resume', '--strict', '--jobs', '1'], { cwd });
  t.match(other, { status: 2, stderr: /--strict says otherwise/ });
  const more = await klp(['run', 'current-value-in-enabled', '--resume'], { cwd });
  t.match(more, { status: 2, stderr: /current-value-in-enabled says otherwise/ });
  // What was said then may be said again: that is no contradiction.
  const resumed = await klp(['run', '--kernel', stockName, '--resume'], { cwd, timeout: 14 * minutes });
  t.equal(resumed.status, 0, resumed.stderr);
  t.match(resumed.stdout, /^klp .* goes on: \d of 6 results are there: /);
  t.notMatch(resumed.stdout, /^pass .* several-first /m, 'what was done is not listed again');
  t.match(resumed.stdout, /^pass .* several-third /m);

  const events = await journalOf(latest(cwd));
  t.same(events.slice(0, before.length), before, 'nothing is rewritten');
  t.match(events[before.length], { type: 'run.resumed' });
  once(t, events);
  t.notOk(readdirSync(latest(cwd)).some((name) => name.startsWith('.')), 'no claim is left');

  const uninterrupted = latest(join(folder, 'whole'));
  const straight = await klp(args, { cwd: join(folder, 'whole'), timeout: 14 * minutes });
  t.equal(straight.status, 0);
  t.same(essence(resultsOf(latest(cwd))), essence(resultsOf(uninterrupted)), 'the same as without a break');
  const points = (directory: string): string[] =>
    readFileSync(join(directory, 'results.tap'), 'utf8').match(/^(?:not )?ok .*|^\d+\.\..*/gm) ?? [];
  t.same(points(latest(cwd)), points(uninterrupted));
  t.same(resultsOf(uninterrupted).scenarios.map((s) => s.scenario), order, 'in the order of the plan');

  const again = await klp(['run', '--resume', 'broken/klp-results/latest'], { cwd: folder });
  t.match(again, { status: 2, stderr: /nothing to resume: the run in .* has finished/ });
});

void t.test('Ctrl-C, a scenario that changes, and on', { timeout: 30 * minutes }, async (t) => {
  const cwd = t.testdir({ 'own.ts': readFileSync(several, 'utf8') });
  const stopped = await harmed(['run', 'own.ts', '--kernel', stockName], cwd, latest(cwd), (pid) => process.kill(pid, 'SIGINT'));
  t.equal(stopped.status, 130, stopped.stderr);
  t.match(stopped.stderr, /to go on with it: npx klp run --resume klp-results\/\d/);
  t.match((await journalOf(latest(cwd))).at(-1), { type: 'run.finished', interrupted: true });

  const changed = readFileSync(join(cwd, 'own.ts'), 'utf8').replace("'several-first', 0)", "'several-first', 1)");
  writeFileSync(join(cwd, 'own.ts'), changed);
  // From elsewhere: the words of the run are relative to where it was begun.
  const resumed = await klp(['run', '--resume', latest(cwd), '--jobs', '1', '--reporter', 'tap'], { timeout: 14 * minutes });
  t.equal(resumed.status, 0, resumed.stderr);
  t.match(resumed.stdout, /^# \S+ \/ several-first is run again: the scenario or klp itself has changed since$/m);
  t.match(resumed.stdout, /^ok 1 - \S+ \/ several-first: Looks at the threads for 1 s$/m);
  t.match(resumed.stdout, /^1\.\.6$/m);
  const events = await journalOf(latest(cwd));
  const times = (id: string): number => events.filter((e) => e.type === 'scenario.finished' && e.scenario === id).length;
  t.equal(times('several-first'), 2);
  t.equal(times('several-missing'), 1);
  const results = resultsOf(latest(cwd));
  t.match(results, { finished: true, interrupted: false, exit: 0, counts: { scenarios: { pass: 5, 'n/a': 1 } } });
  t.match(results.scenarios[0], { scenario: 'several-first', title: 'Looks at the threads for 1 s' });
});

/** Why no small file system can be mounted here; false when one can. */
function cannotMount(): string | false {
  const place = t.testdir({});
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', place], { stdio: 'pipe' });
    execFileSync('umount', [place]);
    return false;
  } catch (error) {
    return `a tmpfs cannot be mounted here, which takes root: ${String(error).split('\n')[0] ?? ''}`;
  }
}

void t.test('a disk that is full, and on', { timeout: 30 * minutes, skip: cannotMount() }, async (t) => {
  const cwd = t.testdir({ disk: {} });
  const disk = join(cwd, 'disk');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk]);
  // Not as a teardown: the folder would be removed before it.
  try {
    await fillAndGoOn(t, cwd, disk);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

async function fillAndGoOn(t: Tap, cwd: string, disk: string): Promise<void> {
  const filler = join(disk, 'filler');
  const run = ['run', several, '--kernel', stockName, '--output', disk, '--jobs', '2'];
  const directory = join(disk, 'latest');
  const ended = await harmed(run, cwd, directory, () => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(filler, Buffer.alloc(bavail * bsize));
  });
  t.equal(ended.status, 3, ended.stderr);
  t.match(ended.stderr, /^klp: can't write the journal .*journal\.ndjson: ENOSPC/m);
  t.match(ended.stderr, /free some space, then go on: npx klp run --resume \S/);
  t.equal(readFileSync(join(directory, 'journal.ndjson'), 'utf8').at(-1), '\n', 'it ends with a whole line');
  const before = await journalOf(directory);

  const [, hint = ''] = /npx klp run --resume (\S+)/.exec(ended.stderr) ?? [];
  const still = await klp(['run', '--resume', hint], { cwd, timeout: 14 * minutes });
  t.equal(still.status, 3, `still full: ${still.stderr}`);
  rmSync(filler);
  const resumed = await klp(['run', '--resume', hint], { cwd, timeout: 14 * minutes });
  t.equal(resumed.status, 0, resumed.stderr);
  const events = await journalOf(directory);
  t.same(events.slice(0, before.length), before);
  once(t, events);
  t.match(resultsOf(directory), { finished: true, exit: 0, counts: { scenarios: { pass: 5, 'n/a': 1, error: 0 } } });
}
