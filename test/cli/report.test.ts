// SPDX-License-Identifier: MIT
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { counters, junitTally, parseXml, tally, xmlParser } from '../report/forms.js';
import { klp } from './klp.js';

const real = readFileSync(packagePath('test/report/fixtures/real.ndjson'), 'utf8');
const id = '20261124-025152-8cb3';
const wanted = tally(resultsOf(real));

function resultsOf(journal: string): { verdict: 'fail' | 'error' | 'deviates' | 'pass' | 'n/a'; expected?: string; flaky: boolean }[] {
  const events = journal.split('\n').filter(Boolean).map((line) => JSON.parse(line) as { type: string });
  return events.filter((e) => e.type === 'scenario.finished') as never;
}

/** A folder with results as a run leaves them. */
function folder(dir: string, journals: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(journals)) {
    mkdirSync(join(dir, 'klp-results', name), { recursive: true });
    writeFileSync(join(dir, 'klp-results', name, 'journal.ndjson'), text);
  }
  const [last = ''] = Object.keys(journals).slice(-1);
  symlinkSync(last, join(dir, 'klp-results/latest'));
  return dir;
}

void t.test('the latest run, in every form', async (t) => {
  const cwd = folder(t.testdir({}), { [id]: real });
  await using xml = xmlParser();
  const plain = { cwd, env: { NO_COLOR: '1' } };
  const list = await klp(['report'], plain);
  t.match(list, { status: 0, stderr: '' }, 'its verdict is no status');
  t.match(list.stdout, /^klp 0\.1\.0, clause catalogue 5, run 20261124-025152-8cb3: 6 scenarios on 1 kernel\n/);
  t.match(list.stdout, /exit status 1 \(1 kernel, profile mainline, 47\.5 s\)\n$/);
  for (const form of ['tap', 'ktap', 'markdown']) {
    const { status, stdout } = await klp(['report', '--format', form], plain);
    t.equal(status, 0, form);
    t.strictSame(counters[form]?.(stdout), wanted, form);
  }
  const junit = await klp(['report', '--format', 'junit', '--output', 'out.xml', `klp-results/${id}`, 'klp-results/latest/journal.ndjson'], plain);
  t.match(junit, { status: 0, stdout: '', stderr: '' }, 'the same journal under two names is one run');
  t.strictSame(junitTally(await parseXml(xml, readFileSync(join(cwd, 'out.xml'), 'utf8'))), wanted);
});

void t.test('a run that was killed', async (t) => {
  // Its last line is cut short.
  const cwd = folder(t.testdir({}), { [id]: real.slice(0, -1000) });
  const { status, stdout, stderr } = await klp(['report', '--format', 'json'], { cwd });
  t.equal(status, 0);
  t.match(stderr, /^klp: klp-results\/20261124-025152-8cb3\/journal\.ndjson:\d+: the last line is cut short: the run was killed/);
  t.match(resultsSchema.parse(JSON.parse(stdout)), { finished: false, scenarios: [{}, {}, {}, {}, {}, {}] });
  t.match((await klp(['report', '--format', 'md'], { cwd })).stdout, /^## klp: the run did not finish/);
});

void t.test('several runs', async (t) => {
  const other = real.replaceAll(id, 'another').replaceAll('bookworm-x86_64', 'other').replaceAll('2026-11-24T', '2026-11-25T');
  const again = real.replaceAll(id, 'again').replaceAll('2026-11-24T', '2026-11-26T');
  const newer = other.replace('"catalogue":5', '"catalogue":6');
  const cwd = folder(t.testdir({}), { [id]: real, other, again, newer });
  const runs = (...names: string[]): string[] => ['report', '--format', 'json', ...names.map((n) => `klp-results/${n}`)];
  const matrix = await klp(runs(id, 'other'), { cwd });
  t.match(matrix, { status: 0, stderr: '' });
  t.match(resultsSchema.parse(JSON.parse(matrix.stdout)), { run: 'another+1', finished: true, exit: 1, kernels: [{ kernel: 'bookworm-x86_64' }, { kernel: 'other' }], counts: { scenarios: { pass: 4, fail: 2 } } });
  const twice = await klp(runs(id, 'other', 'again'), { cwd });
  t.match(twice.stderr, /^klp: results of 6 scenarios on bookworm-x86_64 are in \S+8cb3\/journal\.ndjson and in \S+again\/journal\.ndjson; those of \S+again\/journal\.ndjson count, which are the later\n$/);
  t.match(resultsSchema.parse(JSON.parse(twice.stdout)), { counts: { scenarios: { pass: 4, fail: 2 } } });
  t.match(await klp(runs(id, 'newer'), { cwd }), { status: 2, stdout: '', stderr: /clause catalogue 5 in \S+ and 6 in / });
});

void t.test('what it does not take', async (t) => {
  const cwd = folder(t.testdir({ empty: {} }), { [id]: real, bad: real.split('\n').slice(3).join('\n') });
  const refused = async (args: readonly string[], message: RegExp): Promise<void> => {
    const { status, stdout, stderr } = await klp(['report', ...args], { cwd });
    t.equal(status, 2, args.join(' '));
    t.equal(stdout, '');
    t.match(stderr, message);
  };
  await refused([], /journal\.ndjson:1: event 3 stands where 0 should: the journal is incomplete/);
  await refused(['nowhere'], /there is no run nowhere\n {2}→ name a folder of klp-results/);
  await refused(['klp-results'], /it has no journal\.ndjson\n {2}→ name one of the runs in it, as klp-results\/20261124-025152-8cb3/);
  await refused(['empty'], /there is no run in empty/);
  await refused([`klp-results/${id}`, '--format', 'xml'], /there is no reporter "xml"/);
  await refused([`klp-results/${id}`, '--output', 'nowhere/x'], /can't write nowhere\/x/);
  await refused(['--schema', 'nothing'], /Allowed choices are results, events/);
});

void t.test('the schemas', async (t) => {
  for (const what of ['results', 'events']) {
    const { status, stdout } = await klp(['report', '--schema', what], { cwd: t.testdir({}) });
    t.equal(status, 0);
    t.equal(stdout, readFileSync(packagePath('docs/schema', `${what}-1.json`), 'utf8'), `${what}: make spec`);
  }
});
