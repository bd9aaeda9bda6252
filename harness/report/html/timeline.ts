// SPDX-License-Identifier: MIT
import type { Evidence } from './evidence.js';
import { cut, cutLines } from './pool.js';

/** From the first reading that gave a value to the last, in milliseconds since the picture begins. */
export type Reading = readonly [from: number, to: number, value: string];

/** A file, or the threads whose readings gave the same, one after the other; when all of them gave it. */
export interface TimelineRow {
  readonly kind: 'file' | 'threads';
  /** Path below /sys/kernel/livepatch, or threads as `41 bash`; the first few. */
  readonly of: readonly string[];
  readonly count: number;
  readonly readings: readonly Reading[];
}

/** What a picture of a transition shows. */
export interface Timeline {
  /** In milliseconds. */
  readonly length: number;
  readonly rows: readonly TimelineRow[];
  /** Threads that have no row. */
  readonly left: number;
  readonly operations: readonly { readonly from: number; readonly to: number; readonly what: string; readonly result: string }[];
  /** Who was seen asleep, or holding the transition. `threads` are numbers. */
  readonly witnesses: readonly { readonly at: number; readonly situation: string; readonly threads: readonly string[]; readonly proof: readonly string[] }[];
}

const most = { rows: 16, names: 12, operations: 60, witnesses: 30, readings: 400 };

interface Track {
  readonly kind: 'file' | 'threads';
  name: string;
  /** Of a recording, which had its eye on the thread all the time: they leave nothing to say to what single looks read. */
  recorded: boolean;
  readings: Reading[];
}

/**
 * What a scenario's samples, operations and witnesses come to as a picture.
 * @returns undefined when patch_state and `transition` were read fewer than twice
 */
export function timelineOf(steps: Evidence['steps']): Timeline | undefined {
  const spans = steps.flatMap((s) => ('span' in s && s.span ? [s.span] : []));
  const times = new Set<number>();
  const [first] = spans;
  if (!first) return undefined;
  const origin = spans.reduce((least, { begin }) => (BigInt(begin) < least ? BigInt(begin) : least), BigInt(first.begin));
  const clock = (time: string): number => rounded(Number(BigInt(time) - origin) / 1e6);
  const tracks = new Map<string, Track>();
  let left = 0;
  for (const step of steps) {
    if (step.type !== 'observation' || !step.samples || !step.span) continue;
    const since = clock(step.span.begin);
    left += step.samples.left;
    for (const { kind, of, values } of step.samples.tracks) {
      const readings = values.map(({ from, to, value }): Reading => [rounded(since + from), rounded(since + to), cut(value, 40)]);
      for (const [from] of readings) times.add(from);
      for (const name of of) add(tracks, kind, name, readings);
    }
  }
  if (times.size < 2) return undefined;
  const operations = steps.flatMap((s) =>
    s.type === 'operation' && s.span ? [{ from: clock(s.span.begin), to: clock(s.span.end), what: cut(s.what, 200), result: cut(s.result, 60) }] : [],
  );
  const witnesses = steps.flatMap((s) =>
    s.type === 'witness' && s.span
      ? [{ at: clock(s.span.begin), situation: cut(s.situation, 300), threads: threadsIn([s.situation, ...s.proof]), proof: cutLines(s.proof, 24) }]
      : [],
  );
  const { rows, more } = rowsOf([...tracks.values()], new Set(witnesses.flatMap((w) => w.threads)));
  const length = rounded(Math.max(...spans.map((s) => clock(s.end)), ...rows.flatMap((r) => r.readings.map(([, to]) => to))));
  return { length, rows, left: left + more, operations: operations.slice(0, most.operations), witnesses: witnesses.slice(0, most.witnesses) };
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;

function add(tracks: Map<string, Track>, kind: Track['kind'], name: string, readings: readonly Reading[]): void {
  // A thread goes by its number: its name changes with what a kworker does, and a recording does not have it.
  const id = `${kind} ${kind === 'threads' ? (name.split(' ')[0] ?? name) : name}`;
  const recorded = kind === 'threads' && !name.includes(' ');
  const known = tracks.get(id);
  if (!known) {
    tracks.set(id, { kind, name, recorded, readings: [...readings] });
    return;
  }
  if (name.length > known.name.length) known.name = name;
  if (recorded && !known.recorded) known.readings = [...readings];
  else if (recorded || !known.recorded) known.readings.push(...readings);
  known.recorded ||= recorded;
}

/** A row to be. */
interface Row {
  readonly kind: Track['kind'];
  readonly of: string[];
  readings: readonly Reading[];
  /** One of its threads is told of by a witness. */
  readonly told: boolean;
}

function rowsOf(tracks: readonly Track[], witnessed: ReadonlySet<string>): { rows: TimelineRow[]; more: number } {
  const rows = new Map<string, Row>();
  for (const { kind, name, readings } of tracks) {
    const tidy = tidied(readings);
    const told = kind === 'threads' && witnessed.has(name.split(' ')[0] ?? '');
    // Each file has a row of its own; threads share one that went the same way.
    const key = JSON.stringify([kind === 'file' ? name : told, tidy.map(([, , value]) => value)]);
    const same = rows.get(key);
    if (same) {
      same.of.push(name);
      same.readings = same.readings.map((reading, i) => common(reading, tidy[i] ?? reading));
    } else rows.set(key, { kind, of: [name], readings: tidy, told });
  }
  const all = [...rows.values()].sort((a, b) => rank(a) - rank(b) || b.readings.length - a.readings.length || a.of.length - b.of.length);
  const kept = all.slice(0, most.rows);
  return {
    rows: kept.map(({ kind, of, readings }) => ({
      kind,
      of: of.slice(0, most.names).map((name) => cut(name.replace(/^\/sys\/kernel\/livepatch\//, ''), 80)),
      count: of.length,
      readings: readings.slice(0, most.readings),
    })),
    more: all.slice(most.rows).reduce((sum, row) => sum + (row.kind === 'threads' ? row.of.length : 0), 0),
  };
}

/** When both gave the value; where they did at no time together, the later one's first reading. */
function common(a: Reading, b: Reading): Reading {
  const [from, to] = [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
  return [from, Math.max(from, to), a[2]];
}

/** `transition` first, then other files, then threads that are told of, then the others. */
function rank({ kind, of, told }: Row): number {
  if (kind === 'threads') return told ? 2 : 3;
  return of[0]?.endsWith('/transition') === true ? 0 : 1;
}

/** In order of time, without readings inside of a longer one that gave the same. */
function tidied(readings: readonly Reading[]): Reading[] {
  const sorted = [...readings].sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const kept: Reading[] = [];
  for (const reading of sorted) {
    const last = kept.at(-1);
    if (last?.[2] === reading[2] && reading[1] <= last[1]) continue;
    kept.push(reading);
  }
  return kept;
}

/** Numbers of the threads that a witness speaks of. */
function threadsIn(lines: readonly string[]): string[] {
  const found = lines.flatMap((line) => [...cut(line, 600).matchAll(/\b(?:thread|process) (\d+)\b/g)].map((m) => m[1] ?? ''));
  return [...new Set(found)].slice(0, most.names);
}
