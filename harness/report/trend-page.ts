// SPDX-License-Identifier: MIT
import { type Item, type Line, type Page, items, section, table, text } from './page.js';
import { duration, plural } from './text.js';
import { type BadNow, type LeftOut, type Night, type Sight, type Trend, sameGround } from './trend.js';

/** Rows shown of what is no finding: the JSON form has all. */
const durationsShown = 20;
const runsShown = 30;

/** What {@link Trend} says, as a page: what is bad now and since when, what can't be relied on, what takes how long. */
export function trendPage({ nights, bad, unsteady, durations, gone }: Trend, leftOut: readonly LeftOut[]): Page {
  const [first, last] = [nights[0], nights.at(-1)];
  const period = first && last ? `${plural(nights.length, 'run')}, ${day(first.started)} to ${day(last.started)}` : 'no run';
  const found = [
    bad.length > 0 ? `${plural(bad.length, 'scenario')} bad now` : 'nothing is bad now',
    ...(unsteady.length > 0 ? [`${plural(unsteady.length, 'scenario')} flaky`] : []),
    ...(gone.length > 0 ? [`${plural(gone.length, 'kernel')} not in the last run`] : []),
    ...(leftOut.length > 0 ? [`${plural(leftOut.length, 'run')} left out`] : []),
  ];
  const open = unsteady.length + gone.length + leftOut.length > 0;
  const shown = durations.slice(0, durationsShown);
  const more = durations.length - shown.length;
  return {
    title: 'Trend of runs',
    conclusion: [`${period}: ${found.join(', ')}.`],
    mood: bad.length > 0 ? 'bad' : open ? 'open' : 'good',
    sections: [
      ...section('Bad now', items(bad.map(badItem))),
      ...flakiness(unsteady),
      ...section('Kernels that are not in the last run', items(gone.map(({ kernel, last: at, since }) => ({ head: [{ strong: kernel }, `: last in ${where(at)}, ${plural(since, 'run')} before the last`] })))),
      ...section(
        'Durations',
        table(
          [{ title: 'scenario' }, { title: 'kernel' }, { title: 'runs', numeric: true }, { title: 'median', numeric: true }, { title: 'last', numeric: true }, { title: 'change', numeric: true }],
          shown.map((d) => [[d.scenario], [d.kernel], [String(d.runs)], [duration(d.median)], [duration(d.last)], [change(d.median, d.last)]]),
        ),
        ...(more > 0 ? [text(`… and ${more} more that changed less (--format json has all)`)] : []),
      ),
      ...section('Left out', items(leftOut.map(({ name, why }) => ({ head: [{ code: name }, `: ${why}`] })))),
      ...runs(nights),
    ],
  };
}

function flakiness(unsteady: Trend['unsteady']): ReturnType<typeof section> {
  if (unsteady.length === 0) return [];
  const columns = [{ title: 'scenario' }, { title: 'kernel' }, { title: 'results', numeric: true }, { title: 'retried', numeric: true }, { title: 'turned', numeric: true }];
  return section(
    'Flaky',
    text('Retried: passed only when tried again. Turned: good after bad, or bad after good, on the same kernel with the same klp.'),
    table(columns, unsteady.map((u) => [[u.scenario], [u.kernel], [String(u.runs)], [rate(u.flaky, u.runs)], [String(u.flips)]])),
  );
}

function badItem(b: BadNow): Item {
  const since = b.count === 1 ? 'in the last run that asked' : `in the last ${b.count} runs that asked`;
  return {
    head: [{ verdict: b.verdict }, ` ${b.kernel} ${b.scenario}: ${since}`],
    details: [
      b.reason,
      `first bad run: ${where(b.firstBad)}${b.firstReason === b.reason || b.firstReason === '' ? '' : `: ${b.firstReason}`}`,
      ...(b.lastGood ? [`last good run: ${where(b.lastGood)}`, `between them: ${between(b.lastGood, b.firstBad)}`] : ['last good run: none in these']),
    ].filter((line) => line !== ''),
  };
}

/** What changed from the last good run to the first bad one, as far as runs say. */
function between(good: Sight, bad: Sight): string {
  const changed = (what: string, from: string | undefined, to: string | undefined): string[] =>
    from === to ? [] : [`${what} ${from ?? 'unknown'} → ${to ?? 'unknown'}`];
  const kernel = changed('kernel', good.version, bad.version);
  const found = [
    ...kernel,
    ...(kernel.length > 0 ? [] : changed('kernel of the same version, fingerprint', good.fingerprint?.slice(0, 12), bad.fingerprint?.slice(0, 12))),
    ...changed('klp', good.harness, bad.harness),
    ...changed('clause catalogue', String(good.catalogue), String(bad.catalogue)),
  ];
  if (found.length > 0) return found.join('; ');
  return sameGround(good, bad) ? 'the same kernel and the same klp' : 'nothing that the runs tell';
}

function where({ name, started, version }: Sight): string {
  return `${name} (${day(started)}${version === undefined ? '' : `, ${version}`})`;
}

function day(started: string): string {
  return `${started.slice(0, 16).replace('T', ' ')} UTC`;
}

/** `3 (7.5 %)`. */
function rate(count: number, of: number): string {
  return count === 0 ? '0' : `${count} (${((100 * count) / of).toFixed(1)} %)`;
}

function change(from: number, to: number): string {
  const percent = from === 0 ? 0 : Math.round((100 * (to - from)) / from);
  return `${percent > 0 ? '+' : percent < 0 ? '−' : '±'}${Math.abs(percent)} %`;
}

function runs(nights: readonly Night[]): ReturnType<typeof section> {
  const rows = nights.slice(-runsShown).reverse().map((night): Line[] => {
    const results = night.kernels.flatMap((k) => k.results);
    const count = (...verdicts: readonly string[]): string => String(results.filter((r) => verdicts.includes(r.verdict)).length);
    return [[{ code: night.name }], [day(night.started).replace(' UTC', '')], [String(night.kernels.length)], [count('fail')], [count('error')], [count('deviates', 'pass')], [night.notWhole ?? '']];
  });
  const columns = ['run', 'begun (UTC)', 'kernels', 'fail', 'error', 'good', 'remark'].map((title, i) => ({ title, numeric: i > 1 && i < 6 }));
  const more = nights.length - rows.length;
  return section('Runs, newest first', table(columns, rows), ...(more > 0 ? [text(`… and ${more} before them`)] : []));
}
