// SPDX-License-Identifier: MIT
import { type Change, type Comparison, type Pair, type Side, capabilityChanges, differences } from './compare.js';
import { type Inline, type Item, type Line, type Page, facts, items, listed, prose, section, table, text } from './page.js';
import type { ClauseResult, ScenarioResult, Verdict } from './results-schema.js';
import { condense, notWhole } from './summary.js';
import { duration, naturally, plural } from './text.js';
import { why } from './why.js';

const slowerShown = 10;

/** What {@link Comparison} says, as a page: what is needed to judge the rest by, then what changed, the worst first. */
export function comparePage(comparison: Comparison): Page {
  const { a, b, pairs, scenarios, clauses, otherwise } = comparison;
  const gone = pairs.filter((p) => p.b === undefined);
  const come = pairs.filter((p) => p.a === undefined);
  const paired = scenarios.filter((c) => c.pair.a !== undefined && c.pair.b !== undefined);
  const pairedClauses = clauses.filter((c) => c.pair.a !== undefined && c.pair.b !== undefined);
  const name = naming(pairs);
  const group = (title: string, which: (c: Change<unknown>) => boolean, reasons: boolean) =>
    section(title, items(scenarioItems(paired.filter(which), name, reasons)), items(clauseItems(pairedClauses.filter(which), name)));
  const there = (c: Change<unknown>): boolean => c.from !== undefined && c.to !== undefined;
  return {
    title: 'Two runs compared',
    conclusion: [conclusion(comparison)],
    mood: mood(comparison),
    sections: [
      ...section('What is compared', facts(['A', side(a)], ['B', side(b)], ...warnings(comparison))),
      ...section('What differs beside the results', ...differing(comparison)),
      ...section('Kernels that vanished', items(gone.map((p) => kernelItem(p, scenarios, 'from')))),
      ...group('Worse', (c) => there(c) && c.move === 'worse', true),
      ...group('Vanished', (c) => c.to === undefined, false),
      ...group('Failed before, and no longer judged', (c) => there(c) && c.move === 'open', true),
      ...section('Bad as before, for another reason', items(otherwise.map((c) => scenarioItem(c, name, true)))),
      ...group('Changed, neither better nor worse', (c) => there(c) && c.move === 'same', false),
      ...group('Better', (c) => there(c) && c.move === 'better', false),
      ...group('Appeared', (c) => c.from === undefined, true),
      ...section('Kernels that appeared', items(come.map((p) => kernelItem(p, scenarios, 'to')))),
      ...flakiness(comparison, name),
      ...took(comparison, name),
    ],
  };
}

function mood({ worse, scenarios, clauses }: Comparison): Page['mood'] {
  if (worse) return 'bad';
  return [...scenarios, ...clauses].some((c) => c.move === 'open') ? 'open' : 'good';
}

/** `Worse: 2 scenarios, 3 clauses. Better: 1 scenario. …`, of all that there is. */
function conclusion({ scenarios, clauses, common }: Comparison): string {
  const counted = (which: (c: Change<unknown>) => boolean): string =>
    [plural(scenarios.filter(which).length, 'scenario'), plural(clauses.filter(which).length, 'clause')].filter((c) => !c.startsWith('0 ')).join(', ');
  const told = (title: string, which: (c: Change<unknown>) => boolean): string[] => {
    const all = counted(which);
    const worse = title === 'Worse' ? '' : counted((c) => which(c) && c.move === 'worse');
    return all === '' ? [] : [`${title}: ${all}${worse === '' ? '' : ` (worse: ${worse})`}.`];
  };
  const compared = `${plural(common.scenarios, 'scenario')} and ${plural(common.clauses, 'clause')} have a verdict in both.`;
  const parts = [
    ...told('Worse', (c) => c.move === 'worse' && c.from !== undefined && c.to !== undefined),
    ...told('Vanished', (c) => c.to === undefined),
    ...told('Failed before, no longer judged', (c) => c.move === 'open' && c.to !== undefined),
    ...told('Better', (c) => c.move === 'better' && c.from !== undefined),
    ...told('Appeared', (c) => c.from === undefined),
  ];
  return [...(parts.length === 0 ? ['No verdict changed.'] : parts), compared].join(' ');
}

function side({ name, results }: Side): Line {
  return [{ code: name }, `: run ${results.run}, ${results.started.slice(0, 19).replace('T', ' ')} UTC, klp ${results.harness}, clause catalogue ${results.catalogue}`];
}

/** What makes a comparison worth less than it looks. */
function warnings({ a, b, unjudged }: Comparison): (readonly [string, Line])[] {
  const whole = ([['A', a.results], ['B', b.results]] as const).flatMap(([letter, results]): (readonly [string, Line])[] => {
    const not = results.shard ? `${letter} is shard ${results.shard.index} of ${results.shard.count}` : notWhole(results);
    return not === undefined ? [] : [['note', [results.shard ? not : `${letter}: ${not}: what it has no result of counts as vanished or appeared`]]];
  });
  const { catalogue: of } = a.results;
  const { catalogue: is } = b.results;
  return [
    ...whole,
    ...(of === is ? [] : [['note', [`clause catalogues ${of} and ${is}: a clause may have changed its meaning between them`]] as const]),
    ...unjudged.map((p) => ['note', [`${pairText(p)}: one side ended before its clauses were judged; only scenarios are compared`]] as const),
  ];
}

function differing(comparison: Comparison): Parameters<typeof section>[1][] {
  const capabilities = comparison.pairs.flatMap((pair): Item[] => {
    const { gone = [], come = [] } = capabilityChanges(comparison, pair) ?? {};
    const of = comparison.pairs.length > 1 ? `${pairText(pair)}: ` : '';
    return [
      ...(gone.length > 0 ? [{ head: [`${of}capabilities only in A: `, ...listed(gone)] }] : []),
      ...(come.length > 0 ? [{ head: [`${of}capabilities only in B: `, ...listed(come)] }] : []),
    ];
  });
  const rows = differences(comparison).map(([what, a, b]) => [[what], [brief(what, a)], [brief(what, b)]]);
  return [table([{ title: 'what' }, { title: 'A' }, { title: 'B' }], rows), items(capabilities)];
}

/** A digest is told apart by its beginning. */
function brief(what: string, value: string): Inline {
  return what.endsWith('fingerprint') ? { code: value.slice(0, 16) } : value;
}

function pairText({ a, b }: Pair): string {
  return a === b ? (a ?? '') : `${a ?? 'nothing'} and ${b ?? 'nothing'}`;
}

/** How a change names its kernel: not at all, when there is only one pair. */
function naming(pairs: readonly Pair[]): (pair: Pair) => string {
  return pairs.length === 1 ? () => '' : (pair) => `${pair.b ?? pair.a ?? ''} `;
}

const verdictOr = (of: { readonly verdict: Verdict } | undefined): Inline => (of ? { verdict: of.verdict } : 'nothing');

/** Each by itself, but together those of which there is nothing to say any more, or yet. */
function scenarioItems(changes: readonly Change<ScenarioResult>[], name: (pair: Pair) => string, reasons: boolean): Item[] {
  const bare = changes.filter((c) => c.to === undefined || (c.from === undefined && (c.to.verdict === 'pass' || c.to.verdict === 'n/a')));
  return [...changes.filter((c) => !bare.includes(c)).map((c) => scenarioItem(c, name, reasons)), ...together(bare, name, (ids) => listed(ids))];
}

/** Of one kernel and one change of verdicts, all in one line. */
function together<T extends { readonly verdict: Verdict }>(changes: readonly Change<T>[], name: (pair: Pair) => string, joined: (ids: readonly string[]) => Line): Item[] {
  const kinds = new Map<string, Change<T>[]>();
  for (const change of changes) {
    const kind = `${name(change.pair)}\0${change.from?.verdict ?? ''}\0${change.to?.verdict ?? ''}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), change]);
  }
  return [...kinds.values()].flatMap((same): Item[] => {
    const [first] = same;
    return first ? [{ head: [verdictOr(first.from), ' → ', verdictOr(first.to), ` ${name(first.pair)}`, ...joined(same.map((c) => c.id))] }] : [];
  });
}

function scenarioItem(change: Change<ScenarioResult>, name: (pair: Pair) => string, reasons: boolean): Item {
  const { from, to, id, pair } = change;
  const now = to ?? from;
  const title = now === undefined || now.title === '' ? '' : `: ${now.title}`;
  const expected = to?.expected === undefined ? '' : ` (expected: ${to.expected})`;
  const told = to && to.verdict !== 'pass';
  return {
    head: [verdictOr(from), ' → ', verdictOr(to), ` ${name(pair)}${id}${title}${expected}`],
    ...(told && { details: reasons ? why(to) : why(to).slice(0, 1) }),
    ...(told && reasons && to.verdict !== 'n/a' && { command: to.repeat }),
  };
}

/** A clause with something to say has a line of its own; those of which there is nothing left are joined. */
function clauseItems(changes: readonly Change<ClauseResult>[], name: (pair: Pair) => string): Item[] {
  const sorted = [...changes].sort((x, y) => naturally(x.id, y.id));
  const bare = sorted.filter((c) => c.to === undefined || c.to.verdict === 'pass');
  const single = sorted.filter((c) => !bare.includes(c)).map(({ pair, id, from, to }): Item => ({
    head: [verdictOr(from), ' → ', verdictOr(to), ` ${name(pair)}${id}: `, ...prose(to?.statement ?? '')],
    details: [...(to?.note === undefined ? [] : [to.note]), `in ${(to?.scenarios ?? []).join(', ')}`],
  }));
  return [...single, ...together(bare, name, (ids) => listed(condense(ids), ' '))];
}

function kernelItem(pair: Pair, scenarios: readonly Change<ScenarioResult>[], of: 'from' | 'to'): Item {
  const own = scenarios.filter((c) => c.pair === pair).flatMap((c) => c[of] ?? []);
  const counts = (['fail', 'error', 'deviates', 'pass', 'n/a'] as const).flatMap((verdict): Inline[] => {
    const { length } = own.filter((s) => s.verdict === verdict);
    return length === 0 ? [] : [`, ${length} `, { verdict }];
  });
  return { head: [{ strong: pair.a ?? pair.b ?? '' }, `: ${plural(own.length, 'scenario')}`, ...counts] };
}

function flakiness({ flaky }: Comparison, name: (pair: Pair) => string): ReturnType<typeof section> {
  return section('Flaky: passed only when tried again', items(flaky.map(({ pair, id, a, b }) => ({ head: [`${name(pair)}${id}, in ${a && b ? 'both' : a ? 'A' : 'B'}`] }))));
}

function took({ durations: { a, b, slower } }: Comparison, name: (pair: Pair) => string): ReturnType<typeof section> {
  if (a === 0) return [];
  const rows = slower.slice(0, slowerShown).map(({ pair, id, from, to }) => [[`${name(pair)}${id}`], [duration(from)], [duration(to)], [`× ${(to / Math.max(1, from)).toFixed(1)}`]]);
  return section(
    'Durations (not judged)',
    text(`Scenarios that came to a result at once in both took ${duration(a)} in A and ${duration(b)} in B.`),
    table([{ title: 'much slower in B' }, { title: 'A', numeric: true }, { title: 'B', numeric: true }, { title: 'ratio', numeric: true }], rows),
  );
}
