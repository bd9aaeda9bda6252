// SPDX-License-Identifier: MIT
import { ProtocolError } from './errors.js';
import { span } from './values.js';
import type { Span } from './values.js';
import { bool, bytes, i32, list, option, struct, text, u32, u64, u8, untilEnd } from './wire.js';
import type { Codec } from './wire.js';

/*
 * What a sampler (images/agent/sampler.c) is told and what it gives, as it travels. timeline.ts makes of it what a report or
 * a model looks at.
 */

export interface SampleArguments {
  /** Between two readings of the sources; 0 for no pause. */
  readonly everyMicroseconds: number;
  /** Between two sweeps; 0 for none. */
  readonly sweepEveryMilliseconds: number;
  /** Room for records that were not fetched yet, at most half a frame. */
  readonly bytes: number;
  readonly files: readonly string[];
  /** Threads whose patch_state is read. */
  readonly tids: readonly number[];
}

export interface SamplesArguments {
  readonly pid: number;
  /** `next` of the last page: what lies before is let go of. */
  readonly from: bigint;
  /** Whether to end the sampler. */
  readonly end: boolean;
}

/** What was counted of one source, or of the sweeps. */
export interface Readings {
  readonly readings: bigint;
  /** Longest time from the begin of one reading to the end of the next, ns. */
  readonly longestGap: bigint;
  readonly last: Span;
  /** The last reading that gave what was recorded last. */
  readonly held: Span;
  /** Changes that were not recorded since the last one that was, for want of room. */
  readonly lost: number;
  /** All changes that were not recorded. */
  readonly dropped: number;
}

/** A source's reading differed from the one before. */
export interface ChangeRecord {
  readonly kind: 'change';
  /** Files first, then threads, in the order in which they were given. */
  readonly source: number;
  /** Changes before this one that were not recorded. */
  readonly lost: number;
  readonly errno: number;
  readonly content: Buffer;
  /** The last reading that gave what was recorded before; undefined for the first record. */
  readonly before: Span | undefined;
  readonly span: Span;
}

/** A thread's patch_state in a sweep; `errno` ESRCH once it is gone. */
export interface ThreadRecord {
  readonly pid: number;
  readonly tid: number;
  readonly errno: number;
  readonly value: number;
  readonly span: Span;
}

/** A sweep over all threads: those that the last recorded sweep had otherwise or not at all, and those it had that are gone. */
export interface SweepRecord {
  readonly kind: 'sweep';
  readonly lost: number;
  readonly span: Span;
  /** Threads that were read. */
  readonly threads: number;
  readonly changes: readonly ThreadRecord[];
}

export type SampleRecord = ChangeRecord | SweepRecord;

export interface SamplePage {
  /** Whether the sampler ran when it was asked. */
  readonly running: boolean;
  readonly next: bigint;
  readonly sweeps: Readings;
  readonly sources: readonly Readings[];
  readonly records: readonly SampleRecord[];
}

export const sampleArguments: Codec<SampleArguments> = struct<SampleArguments>({
  everyMicroseconds: u32,
  sweepEveryMilliseconds: u32,
  bytes: u32,
  files: list(text),
  tids: list(u32),
});

export const samplesArguments: Codec<SamplesArguments> = struct<SamplesArguments>({ pid: u32, from: u64, end: bool });

const readings = struct<Readings>({ readings: u64, longestGap: u64, last: span, held: span, lost: u32, dropped: u32 });

const change = struct<Omit<ChangeRecord, 'kind'>>({
  source: u32,
  lost: u32,
  errno: i32,
  content: bytes,
  before: option(span),
  span,
});

const sweep = struct<Omit<SweepRecord, 'kind'>>({
  lost: u32,
  span,
  threads: u32,
  changes: list(struct<ThreadRecord>({ pid: u32, tid: u32, errno: i32, value: i32, span })),
});

const record: Codec<SampleRecord> = {
  write: (out, value) => {
    if (value.kind === 'change') {
      u8.write(out, 0);
      change.write(out, value);
    } else {
      u8.write(out, 1);
      sweep.write(out, value);
    }
  },
  read: (from) => {
    const tag = u8.read(from);
    if (tag === 0) return { kind: 'change', ...change.read(from) };
    if (tag === 1) return { kind: 'sweep', ...sweep.read(from) };
    throw new ProtocolError(`${tag} is no kind of sample`);
  },
};

export const samplePage: Codec<SamplePage> = struct<SamplePage>({
  running: bool,
  next: u64,
  sweeps: readings,
  sources: list(readings),
  records: untilEnd(record),
});
