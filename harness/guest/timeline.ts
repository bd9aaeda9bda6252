// SPDX-License-Identifier: MIT
import { constants } from 'node:os';
import { errnoName } from './errno.js';
import type { Readings, SamplePage, SampleRecord } from './samples.js';
import type { Span } from './values.js';

/** What a timeline follows: a file by its path, or the patch_state of a thread. */
export type Source =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'thread'; readonly tid: number; readonly pid?: number };

/** What one reading gave. `name` is the errno's, or `OK`. */
export interface Value {
  readonly errno: number;
  readonly name: string;
  /** The first 32 bytes of the content, without the newline at the end; empty when it could not be read. */
  readonly text: string;
}

export interface Change {
  readonly value: Value;
  /** The last reading that still gave the value before; undefined for the first one. */
  readonly before: Span | undefined;
  /** The first reading that gave this value. */
  readonly span: Span;
  /** Values between the one before and this that were seen but not recorded, for want of room. */
  readonly lost: number;
}

/** How one source went. Every reading not told of gave what the last change before it says. */
export interface Track {
  readonly source: Source;
  readonly changes: readonly Change[];
  readonly readings: number;
  /** Nanoseconds from the begin of one reading to the end of the next, at most: what held for longer was seen. */
  readonly longestGap: bigint;
  /** The last reading; undefined when there was none. */
  readonly last: Span | undefined;
  /** The last reading that gave the last change's value: not `last` when what came after was dropped. */
  readonly held: Span | undefined;
  /** Changes that were seen but not recorded, for want of room. */
  readonly dropped: number;
}

/** All that was sampled. Times are the guest's CLOCK_MONOTONIC, ns. */
export interface Timeline {
  /** False when the sampler had ended by itself: something killed it. */
  readonly running: boolean;
  /** The sources, in the order in which they were given: files, then threads. */
  readonly tracks: readonly Track[];
  /** Sweeps over all threads. None is atomic: a thread was read at some moment of the sweep. */
  readonly sweeps: {
    /** Each sweep that was recorded, and how many threads it read. */
    readonly spans: readonly (Span & { readonly threads: number })[];
    /**
     * A track for every thread that a sweep met, which ends with ESRCH at the first sweep that did not meet it any more.
     * `before` and `held` are whole sweeps.
     */
    readonly threads: readonly Track[];
    readonly longestGap: bigint;
    /** Sweeps that were not recorded, for want of room. */
    readonly dropped: number;
  };
  /** All that was seen but not recorded: 0, or the timeline has holes that its tracks tell of. */
  readonly dropped: number;
}

/** A time with a value. An end that is not known is undefined. */
export interface Segment {
  readonly value: Value;
  /**
   * Between two readings that gave it; undefined for a value seen once. In force all the time, unless it went and came back
   * within the track's `longestGap`.
   */
  readonly certain: Span | undefined;
  /** It was in force at no time outside of this. */
  readonly possible: { readonly begin: bigint | undefined; readonly end: bigint | undefined };
}

/**
 * When each value of a track was in force. A reading takes its value at some moment of its span. So the change from one
 * value to the next came after the begin of the last reading that gave the old one, and before the end of the first that
 * gave the new one.
 */
export function segments(track: Track): Segment[] {
  return track.changes.map(({ value, before, span }, i) => {
    const next = track.changes[i + 1];
    const last = next ? next.before : track.held;
    const certain = last && last.begin >= span.end ? { begin: span.end, end: last.begin } : undefined;
    return { value, certain, possible: { begin: before?.begin, end: next?.span.end } };
  });
}

interface SweptThread {
  readonly source: Source;
  readonly changes: Change[];
  /** How many sweeps were before it. */
  readonly since: number;
}

const gone = constants.errno.ESRCH;

const zero: Readings = {
  readings: 0n,
  longestGap: 0n,
  last: { begin: 0n, end: 0n },
  held: { begin: 0n, end: 0n },
  lost: 0,
  dropped: 0,
};

/** Puts pages of samples together, as they are fetched. */
export class TimelineBuilder {
  private readonly changes: Change[][];
  private readonly threads: SweptThread[] = [];
  private readonly living = new Map<string, SweptThread>();
  private readonly spans: (Span & { readonly threads: number })[] = [];
  private page: Omit<SamplePage, 'records' | 'next'> = { running: true, sweeps: zero, sources: [] };

  constructor(private readonly sources: readonly Source[]) {
    this.changes = sources.map(() => []);
  }

  /** The next page, in the order of time. */
  add({ running, sweeps, sources, records }: SamplePage): void {
    this.page = { running, sweeps, sources };
    for (const record of records) this.addRecord(record);
  }

  /** What has come so far. */
  timeline(): Timeline {
    const { running, sweeps, sources } = this.page;
    const tracks = this.sources.map((source, i) => trackOf(source, this.changes[i] ?? [], sources[i] ?? zero));
    const held = this.spans.at(-1);
    const threads = this.threads.map(({ source, changes, since }): Track => ({
      source,
      changes: [...changes],
      readings: this.spans.length - since,
      longestGap: sweeps.longestGap,
      last: held,
      held,
      dropped: 0,
    }));
    return {
      running,
      tracks,
      sweeps: { spans: [...this.spans], threads, longestGap: sweeps.longestGap, dropped: sweeps.dropped },
      dropped: tracks.reduce((sum, track) => sum + track.dropped, sweeps.dropped),
    };
  }

  private addRecord(record: SampleRecord): void {
    if (record.kind === 'change') {
      const { source, errno, content, before, span, lost } = record;
      this.changes[source]?.push({ value: valueOf(errno, content.toString()), before, span, lost });
      return;
    }
    const previous = this.spans.at(-1);
    const before = previous && { begin: previous.begin, end: previous.end };
    for (const { pid, tid, errno, value, span } of record.changes) {
      const key = `${pid} ${tid}`;
      let thread = this.living.get(key);
      if (!thread) {
        thread = { source: { kind: 'thread', tid, pid }, changes: [], since: this.spans.length };
        this.threads.push(thread);
        this.living.set(key, thread);
      }
      thread.changes.push({ value: valueOf(errno, String(value)), before, span, lost: record.lost });
      // Whoever comes under this number from now on is another one.
      if (errno === gone) this.living.delete(key);
    }
    this.spans.push({ ...record.span, threads: record.threads });
  }
}

function trackOf(source: Source, changes: readonly Change[], counted: Readings): Track {
  const { readings, longestGap, last, held, dropped } = counted;
  return {
    source,
    changes: [...changes],
    readings: Number(readings),
    longestGap,
    last: readings > 0n ? last : undefined,
    held: changes.length > 0 ? held : undefined,
    dropped,
  };
}

function valueOf(errno: number, content: string): Value {
  return errno === 0
    ? { errno, name: 'OK', text: content.replace(/\n$/, '') }
    : { errno, name: errnoName(errno), text: '' };
}
