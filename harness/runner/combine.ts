// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import { type EventOf, type KlpEvent, type Payload, eventVersion } from '../events/schema.js';
import { clause as clauseOf } from '../model/catalogue/index.js';
import { exitStatus } from '../model/verdict.js';
import { type ClauseResult, clauseResults } from './clauses.js';
import { countVerdicts } from './run.js';
import { execution } from './settled.js';

/** A run whose journal was read. */
export interface InputRun {
  /** For messages. */
  readonly file: string;
  /** As settled() gives them. */
  readonly events: readonly KlpEvent[];
}

/** One result of several runs. */
export interface Combined {
  readonly events: readonly KlpEvent[];
  /** What a reader should be told: which of two results counts, and where versions differ. */
  readonly notes: readonly string[];
}

interface Part extends InputRun {
  readonly started: EventOf<'run.started'>;
  readonly finished: EventOf<'run.finished'> | undefined;
}

type Finished = EventOf<'scenario.finished'>;

/**
 * Puts several whole runs together, as a nightly matrix is made of: every scenario on every kernel once. Where two runs have
 * a result of the same, the later one counts. Clauses of a kernel that is in several are judged anew.
 *
 * @param head what the combined run says of itself
 * @throws UsageError when results can't stand beside each other: another clause catalogue, profile or `--strict`, results of
 *   two different kernels under one name; a shard, which is for `klp merge`; a run that was stopped before it began
 */
export function combineRuns(runs: readonly InputRun[], head: Pick<Payload<'run.started'>, 'command' | 'host'>): Combined {
  const parts = runs.map(partOf).sort((a, b) => (a.started.wall < b.started.wall ? -1 : 1));
  const last = parts.at(-1);
  if (!last) throw new UsageError('there is no run to report');
  for (const part of parts) comparable(last, part);
  once(parts);
  const notes: string[] = [];
  const versions = [...new Set(parts.map((p) => p.started.harness))];
  if (versions.length > 1) notes.push(`the runs are of different versions of klp: ${versions.join(', ')}`);
  const counting = whichCount(parts, notes);
  const kernels = [...new Set(parts.flatMap((p) => p.started.kernels))];
  const stream = new Stream(`${last.started.run}+${parts.length - 1}`);
  stream.add(last.started.wall, 'run.started', {
    ...head,
    harness: last.started.harness,
    catalogue: last.started.catalogue,
    profile: last.started.profile,
    strict: last.started.strict,
    kernels,
    scenarios: [...new Map(parts.flatMap((p) => p.started.scenarios.map((s) => [s.id, s] as const))).values()],
    combined: { runs: parts.map(runRecord), executions: kernels.map((kernel) => ({ kernel, scenarios: planned(parts, kernel) })) },
  });
  const clauses: ClauseResult[] = [];
  for (const kernel of kernels) {
    const own = parts.filter((p) => results(p, kernel).some((r) => counting.get(execution(r)) === r));
    sameKernel(kernel, own);
    for (const part of own.length > 0 ? own : parts) stream.copy(part.events.filter((e) => belongs(e, kernel, counting)));
    clauses.push(...judge(stream, parts, own, kernel, counting));
  }
  if (parts.every((p) => p.finished)) finish(stream, parts, [...counting.values()], clauses);
  return { events: stream.events, notes };
}

function partOf({ file, events }: InputRun): Part {
  const [started] = events;
  if (started?.type !== 'run.started') throw new UsageError(`${file}: the run was stopped before it began`, { hint: 'leave it out' });
  return { file, events, started, finished: events.findLast((e) => e.type === 'run.finished') };
}

function comparable({ file, started }: Part, other: Part): void {
  const { shard } = other.started;
  if (shard) throw new UsageError(`${other.file}: the run is shard ${shard.index} of ${shard.count}`, { hint: 'shards are put together by klp merge, from their blobs' });
  for (const [field, name] of [['catalogue', 'clause catalogue'], ['profile', 'profile'], ['strict', '--strict']] as const) {
    const [a, b] = [started[field], other.started[field]];
    if (a === b) continue;
    throw new UsageError(`the runs can't be put together: ${name} ${String(b)} in ${other.file} and ${String(a)} in ${file}`, {
      hint: field === 'catalogue' ? 'a clause may mean something else there: report each by itself, or run the older one again' : 'report each by itself',
    });
  }
}

function once(parts: readonly Part[]): void {
  const files = new Map<string, string>();
  for (const { file, started } of parts) {
    const other = files.get(started.run);
    if (other !== undefined) throw new UsageError(`${other} and ${file} are the same run, ${started.run}`, { hint: 'leave out one of them' });
    files.set(started.run, file);
  }
}

/** The result that counts, by execution; where there are two it is said which. */
function whichCount(parts: readonly Part[], notes: string[]): Map<string, Finished> {
  const counting = new Map<string, Finished>();
  const files = new Map<Finished, string>();
  const twice = new Map<string, number>();
  for (const { file, events } of parts) {
    for (const event of events) {
      if (event.type !== 'scenario.finished') continue;
      files.set(event, file);
      const other = counting.get(execution(event));
      // Times are ISO 8601 in UTC: they sort as text. Of equal ones the later run's counts.
      const later = !other || event.wall >= other.wall ? event : other;
      counting.set(execution(event), later);
      if (!other) continue;
      const [a, b] = [files.get(other) ?? '', file];
      const what = `${event.kernel} are in ${a} and in ${b}; those of ${later === event ? b : a} count, which are the later`;
      twice.set(what, (twice.get(what) ?? 0) + 1);
    }
  }
  for (const [what, count] of twice) notes.push(`${count === 1 ? 'results of 1 scenario' : `results of ${count} scenarios`} on ${what}`);
  return counting;
}

function results({ events }: Part, kernel: string): readonly Finished[] {
  return events.filter((e) => e.type === 'scenario.finished').filter((e) => e.kernel === kernel);
}

function planned(parts: readonly Part[], kernel: string): string[] {
  const own = parts.filter((p) => p.started.kernels.includes(kernel));
  return [...new Set(own.flatMap(({ started }) => started.scenarios.map((s) => s.id)))];
}

function runRecord({ started, finished, events }: Part): NonNullable<Payload<'run.started'>['combined']>['runs'][number] {
  const { run, wall, host, harness } = started;
  return { run, harness, wall, host, durationMs: finished?.durationMs ?? Math.round(events.at(-1)?.mono ?? 0), finished: finished !== undefined };
}

/** @throws UsageError when a suite moved, or a tree was built anew, between runs whose results both count */
function sameKernel(kernel: string, parts: readonly Part[]): void {
  const seen = parts.flatMap((part) => {
    const acquired = part.events.findLast((e) => e.type === 'kernel.acquired' && e.kernel === kernel);
    return acquired?.type === 'kernel.acquired' ? [{ file: part.file, version: acquired.version, fingerprint: acquired.fingerprint }] : [];
  });
  if (new Set(seen.map((s) => s.fingerprint)).size <= 1) return;
  throw new UsageError(`kernel ${kernel} is not the same in all runs`, {
    details: seen.map((s) => `${s.file}: ${s.version}, fingerprint ${s.fingerprint.slice(0, 12)}`),
    hint: 'it changed between them: report each by itself, or run the older one again',
  });
}

/** Whether an event of a part is about what counts of a kernel; clauses are judged apart. */
function belongs(event: KlpEvent, kernel: string, counting: ReadonlyMap<string, Finished>): boolean {
  if (!('kernel' in event) || event.kernel !== kernel || event.type === 'clause.judged') return false;
  return !('scenario' in event) || counting.get(execution(event))?.run === event.run;
}

/** The clauses of a kernel: as its one run judged them, or anew over the results of several, when all are there. */
function judge(stream: Stream, parts: readonly Part[], own: readonly Part[], kernel: string, counting: ReadonlyMap<string, Finished>): readonly ClauseResult[] {
  const judged = parts.flatMap((p) => p.events).filter((e) => e.type === 'clause.judged').filter((e) => e.kernel === kernel);
  const [only, ...others] = own;
  if (only && others.length === 0) {
    const last = new Map(only.events.filter((e) => e.type === 'clause.judged').filter((e) => e.kernel === kernel).map((e) => [e.clause, e] as const));
    stream.copy([...last.values()]);
    return [...last.values()];
  }
  const some = planned(parts, kernel).flatMap((scenario) => counting.get(execution({ kernel, scenario })) ?? []);
  if (some.length < planned(parts, kernel).length) return [];
  const old = some.find((r) => r.clauseVerdicts === undefined);
  if (old) throw new UsageError(`run ${old.run} has no clause verdicts of ${kernel} / ${old.scenario}: it is of an older klp`, { hint: 'report each by itself, or run it again' });
  const clauses = clauseResults(some.map((r) => ({ scenario: r.scenario, clauses: (r.clauseVerdicts ?? []).map(({ note, ...c }) => (note === undefined ? c : { ...c, note })) })));
  const last = own.at(-1);
  if (!last) return [];
  for (const { clause, verdict, scenarios, note } of clauses) {
    const statement = judged.findLast((e) => e.clause === clause)?.statement ?? clauseOf(clause).statement;
    stream.add(last.started.wall, 'clause.judged', { kernel, clause, statement, verdict, scenarios: [...scenarios], ...(note === undefined ? {} : { note }) });
  }
  return clauses;
}

function finish(stream: Stream, parts: readonly Part[], counting: readonly Finished[], clauses: readonly ClauseResult[]): void {
  const ends = parts.flatMap((p) => p.finished ?? []);
  const last = parts.at(-1);
  if (!last) return;
  const interrupted = ends.some((e) => e.interrupted);
  const missing = ends.flatMap((e) => e.missing ?? []);
  const status = exitStatus(counting.map((r) => ({ verdict: r.verdict, expected: r.expected !== undefined })), last.started.strict);
  const whole = missing.length > 0 && status === 0 ? 3 : status;
  stream.add(ends.map((e) => e.wall).sort().at(-1) ?? last.started.wall, 'run.finished', {
    exit: interrupted ? 130 : whole,
    interrupted,
    durationMs: ends.reduce((sum, e) => sum + e.durationMs, 0),
    counts: countVerdicts(counting.map((r) => r.verdict)),
    clauses: countVerdicts(clauses.map((c) => c.verdict)),
    expected: counting.filter((r) => r.expected !== undefined).length,
    // What one run did not match, another may have.
    staleExpectations: [...new Set(ends[0]?.staleExpectations)].filter((text) => ends.every((e) => e.staleExpectations.includes(text))),
    ...(missing.length > 0 ? { missing } : {}),
  });
}

/** The events of the combined run, numbered anew; `mono` runs as if one part had followed the other. */
class Stream {
  readonly events: KlpEvent[] = [];
  #mono = 0;

  constructor(private readonly run: string) {}

  add<T extends KlpEvent['type']>(wall: string, type: T, payload: Payload<T>): void {
    const head = { v: eventVersion, seq: this.events.length, run: this.run, type, mono: this.#mono, wall };
    this.events.push({ ...head, ...payload } as unknown as KlpEvent);
  }

  copy(events: readonly KlpEvent[]): void {
    const [first] = events;
    let last = first?.mono ?? 0;
    for (const event of events) {
      this.#mono += Math.max(0, event.mono - last);
      last = event.mono;
      this.events.push({ ...event, seq: this.events.length, run: this.run, mono: this.#mono });
    }
  }
}
