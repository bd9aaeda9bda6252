// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import type { Facts, State } from '../state.js';
import { findPatch } from '../state.js';
import { allowedReadings, begunReadings, reachableReadings, readings } from '../timeline.js';
import { type Prediction, type Rule, prediction } from './types.js';

/** A span of the guest's time, in nanoseconds since the timeline began. */
export type Stretch = readonly [begin: number, end: number];

/** What the model allows between two operations; while an operation goes on, what is before it and what comes after. */
export interface Phase {
  /** The operation that began it; the timeline's beginning for the first. */
  readonly begun: Stretch;
  /** The operation that ended it; the timeline's end for the last. */
  readonly ended: Stretch;
  /** What the operation was, as text. */
  readonly what: string;
  /** It is of a kind that can begin a transition. */
  readonly begins: boolean;
  readonly states: readonly State[];
}

/** A value that a thread's patch_state or a file was seen to have, from one reading to another. */
export interface SeenValue {
  /** The content, or the name of the errno. */
  readonly value: string;
  /** The last reading that gave the value before; null for the first one. */
  readonly before: Stretch | null;
  readonly first: Stretch;
  readonly last: Stretch;
}

/** All that was seen of one thread, or of a file of one patch. */
export interface SeenTrack {
  readonly source: { readonly tid: number } | { readonly patch: string; readonly file: 'enabled' | 'transition' };
  readonly values: readonly SeenValue[];
  /** From the begin of one reading to the end of the next, at most: what held for longer was seen. */
  readonly gap: number;
}

interface Offence {
  readonly phase: number;
  readonly text: string;
}

const overlap = (a: Stretch, b: Stretch): boolean => a[0] <= b[1] && b[0] <= a[1];

/** Which threads may be where, and when: judged over all operations of the timeline. */
export const timelineRule: Rule<'timeline'> = (_state, { phases, tracks }, facts) => {
  const threads = tracks.flatMap(({ source, ...seen }) => ('tid' in source ? [{ tid: source.tid, ...seen }] : []));
  const offences = threads.flatMap(({ tid, values, gap }) => threadOffences(phases, tid, values, gap));
  const clauseOf = phases.map((_phase, i) => threadClause(phases, i));
  const wanted = [...new Set(clauseOf)];
  const predictions = wanted.map((clause): Prediction => {
    const wrong = offences.filter((o) => clauseOf[o.phase] === clause);
    const stretches = clauseOf.filter((c) => c === clause).length;
    const what = `patch_state of ${threads.length} threads over ${stretches} stretches`;
    return prediction(clause, what, some(wrong.map((o) => o.text)), textOf(clause), wrong.length === 0);
  });
  const files = tracks.flatMap(({ source, values, gap }) =>
    'tid' in source ? [] : [fileJudged(phases, source.patch, source.file, values, gap)],
  );
  return [...predictions, ...files, ...onlyOne(phases, tracks, facts)];
};

function some(texts: readonly string[]): string {
  if (texts.length === 0) return 'as allowed';
  return [...texts.slice(0, 4), ...(texts.length > 4 ? [`${texts.length - 4} more`] : [])].join('; ');
}

function textOf(clause: ClauseId): string {
  if (clause === 'TRN-2') return '-1 everywhere';
  const turned = clause === 'TRN-6' ? ', which is the one that it had before the reversal' : '';
  return `from the initial to the target state once, and no way back; who is held keeps the initial state${turned}`;
}

/** What a phase is about: rest, a transition, or one that was turned round. */
function threadClause(phases: readonly Phase[], i: number): ClauseId {
  const now = running(phases[i]);
  if (!now) return 'TRN-2';
  const previous = phases[i - 1];
  const before = previous?.states.every((s) => s.transition?.phase === 'running') ? running(previous) : undefined;
  const turned = before?.patch === now.patch && (before.target !== now.target || threadClause(phases, i - 1) === 'TRN-6');
  return turned ? 'TRN-6' : 'TRN-1';
}

function running(phase: Phase | undefined): State['transition'] | undefined {
  return phase?.states.find((s) => s.transition?.phase === 'running')?.transition ?? undefined;
}

// ---- threads ---------------------------------------------------------------------------------------------------

/** What one thread was seen to do and may not. */
function threadOffences(phases: readonly Phase[], tid: number, values: readonly SeenValue[], gap: number): readonly Offence[] {
  const offences: Offence[] = [];
  for (const [i, seen] of values.entries()) {
    // It has gone.
    if (!readings.some((r) => String(r) === seen.value)) continue;
    const value = Number(seen.value);
    const previous = values[i - 1]?.value;
    const came = previous === undefined || seen.before === null || !readings.some((r) => String(r) === previous)
      ? firstSeen(phases, tid, value, seen.first)
      : changed(phases, tid, Number(previous), value, seen.before, seen.first);
    if (came !== undefined) offences.push({ phase: came, text: `thread ${tid}: ${previous ?? 'nothing'} → ${value} (${phases[came]?.what ?? ''})` });
    const kept = phases.findIndex((phase) => readIn(phase, seen, gap) && !allowedReadings(phase.states, tid).has(value));
    if (kept >= 0) offences.push({ phase: kept, text: `thread ${tid} reads ${value} (${phases[kept]?.what ?? ''})` });
  }
  return offences;
}

/** The time in which nothing was done: from the end of the operation that began a phase to the begin of the next. */
function between({ begun, ended }: Phase): Stretch {
  return [begun[1], ended[0]];
}

/** Whether the value was certainly read while nothing was done: a short phase may lie between two readings. */
function readIn(phase: Phase, { first, last }: SeenValue, gap: number): boolean {
  const [begin, end] = between(phase);
  const within = (at: Stretch): boolean => begin <= at[0] && at[1] <= end;
  return within(first) || within(last) || Math.min(end, last[0]) - Math.max(begin, first[1]) > gap;
}

function overlaps(a: Stretch, b: Stretch): boolean {
  return a[0] <= a[1] && b[0] <= b[1] && overlap(a, b);
}

const whole = ({ begun, ended }: Phase): Stretch => [begun[0], ended[1]];

/** @returns the phase in which a first reading may not be; undefined when one of those that it may lie in allows it */
function firstSeen(phases: readonly Phase[], tid: number, value: number, at: Stretch): number | undefined {
  const own = phases.flatMap((phase, i) => (overlap(whole(phase), at) ? [i] : []));
  return own.some((i) => allowedReadings(phases[i]?.states ?? [], tid).has(value)) ? undefined : own[0];
}

/** Whether the value can have changed so, between one reading and another. */
function changed(phases: readonly Phase[], tid: number, from: number, to: number, before: Stretch, first: Stretch): number | undefined {
  const own = phases.flatMap((phase, i) => (overlap(whole(phase), [before[0], first[1]]) ? [{ phase, i }] : []));
  let reach: ReadonlySet<number> = new Set<number>();
  for (const { phase } of own) {
    if (phase.begins) reach = begunReadings(phase.states, reach);
    if (overlap(whole(phase), before)) reach = new Set([...reach, from]);
    reach = reachableReadings(phase.states, tid, reach);
    if (reach.has(to) && overlap(whole(phase), first)) return undefined;
  }
  return own.at(-1)?.i ?? 0;
}

// ---- files -----------------------------------------------------------------------------------------------------

/** `enabled` and `transition` of a patch, wherever no operation was under way. */
function fileJudged(phases: readonly Phase[], patch: string, file: 'enabled' | 'transition', values: readonly SeenValue[], gap: number): Prediction {
  const wrong = values.flatMap((seen) =>
    phases.flatMap((phase) => {
      if (!readIn(phase, seen, gap)) return [];
      const value = /^ENO(ENT|DEV)$/.test(seen.value) ? 'absent' : seen.value;
      const allowed = phase.states.flatMap((s) => contentOf(s, patch, file));
      return allowed.includes(value) ? [] : [`${value}, not ${[...new Set(allowed)].join(' or ')} (${phase.what})`];
    }),
  );
  if (file === 'transition') wrong.push(...values.flatMap((seen, i) => begunByItself(phases, values[i - 1], seen)));
  const clause = file === 'enabled' ? 'ENA-3' : 'ENA-2';
  return prediction(clause, `${patch}/${file} over ${phases.length} stretches`, some(wrong), 'what the last operation made of it', wrong.length === 0);
}

/** That `transition` comes to read 1 though nothing has begun one. */
function begunByItself(phases: readonly Phase[], previous: SeenValue | undefined, { value, before, first }: SeenValue): readonly string[] {
  if (value !== '1' || !previous || !before) return [];
  const within: Stretch = [before[0], first[1]];
  return phases.some(({ begins, begun }) => begins && overlap(begun, within)) ? [] : [`1, after ${previous.value}, without any operation`];
}

function contentOf(state: State, name: string, file: 'enabled' | 'transition'): readonly string[] {
  const patch = findPatch(state, name);
  if (!patch) return ['absent'];
  const value = file === 'enabled' ? patch.enabled : state.transition?.patch === name;
  // The last thing that a transition does is to say that it is over.
  const text = file === 'transition' && state.transition?.phase === 'finishing' ? ['0', '1'] : [value ? '1' : '0'];
  return patch.presence === 'leaving' ? [...text, 'absent'] : text;
}

/**
 * Of several patches one at most is in transition (TRN-4). Where patches are registered, disabled ones may lie above it,
 * which the document does not have.
 */
function onlyOne(phases: readonly Phase[], tracks: readonly SeenTrack[], { capabilities }: Facts): readonly Prediction[] {
  const turns = tracks.flatMap(({ source, values }) =>
    'tid' in source || source.file === 'enabled' ? [] : [{ name: source.patch, stretches: values.filter((v) => v.value === '1').map(certain) }],
  );
  if (turns.length < 2) return [];
  const [both] = turns.flatMap((a, i) =>
    turns.slice(i + 1).flatMap((b) => (a.stretches.some((s) => b.stretches.some((other) => overlaps(s, other))) ? [`${a.name} and ${b.name} at once`] : [])),
  );
  const moving = turns.flatMap(({ name, stretches }) => (stretches.length > 0 ? [name] : []));
  const judged = prediction('TRN-4', 'patches in transition', both ?? (moving.join(', then ') || 'none'), 'one at a time', both === undefined);
  const below = capabilities.has('registration') && phases.some(isBelow);
  return [below ? { ...judged, documented: { allowed: 'only the topmost patch', holds: false } } : judged];
}

function certain({ first, last }: SeenValue): Stretch {
  return [first[1], last[0]];
}

/** A patch that is in transition lies below another. */
function isBelow(phase: Phase): boolean {
  const name = running(phase)?.patch;
  const listed = phase.states[0]?.patches.filter((p) => p.presence === 'listed') ?? [];
  return name !== undefined && listed.at(-1)?.description.name !== name;
}
