// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import type { Call, FileSeen, RawOutcome, Request, Span, Thread } from '../../harness/guest/protocol.js';
import type { Readings, SamplePage, SampleRecord } from '../../harness/guest/samples.js';

/** Plain objects, as the codec makes them. */
export const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });

export const u32 = fc.nat(0xffff_ffff);
export const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
export const bytes = fc.uint8Array({ maxLength: 200 }).map((data) => Buffer.from(data));
/** Text as UTF-8 can carry it. */
export const words = fc.string({ unit: 'grapheme' });
const u8 = fc.nat(255);

export const anySpan: fc.Arbitrary<Span> = record({ begin: u64, end: u64 });

export const anyRawOutcome: fc.Arbitrary<RawOutcome> = record({
  errno: fc.integer({ min: -4, max: 4095 }),
  span: anySpan,
  body: bytes,
});

const patchState = fc.oneof(
  record({ patchState: fc.constantFrom<number | undefined>(-1, 0, 1), errno: fc.constant(0) }),
  record({ patchState: fc.constant(undefined), errno: fc.integer({ min: 1, max: 4095 }) }),
);
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const anyFileSeen = fc.option(record<FileSeen>({ errno: i32, text: words, span: anySpan }), { nil: undefined });
export const anyThread: fc.Arbitrary<Thread> = fc
  .tuple(
    record({
      pid: u32,
      tid: u32,
      comm: words,
      state: fc.constantFrom('R', 'S', 'D', 'T', 'Z', 'I'),
      kernel: fc.boolean(),
      span: anySpan,
      stack: anyFileSeen,
      wchan: anyFileSeen,
    }),
    patchState,
  )
  .map(([thread, state]) => ({ ...thread, ...state }));

const path = words;
/** Any call, sensible or not. */
export const anyCall: fc.Arbitrary<Call> = fc.oneof(
  record({ op: fc.constant('ping' as const), payload: bytes }),
  record({ op: fc.constant('insmod' as const), path, params: words, flags: u32 }),
  record({ op: fc.constant('rmmod' as const), name: words, flags: u32 }),
  record({ op: fc.constant('read' as const), path, most: u32 }),
  record({ op: fc.constant('write' as const), path, flags: u8, data: bytes }),
  record({ op: fc.constant('io' as const), path, writes: fc.boolean(), data: bytes, reads: fc.boolean(), most: u32 }),
  record({ op: fc.constant('tree' as const), path, depth: u32 }),
  record({ op: fc.constant('sweep' as const), what: u8 }),
  record({ op: fc.constant('log' as const), from: u64 }),
  record({
    op: fc.constant('spawn' as const),
    kind: fc.constantFrom('op' as const, 'spin' as const, 'sleep' as const, 'forks' as const, 'exec' as const, 'getpid' as const),
    name: words,
    cpus: u64,
    threads: u32,
    call: bytes,
  }),
  record({ op: fc.constant('wait' as const), pid: u32, milliseconds: u32 }),
  record({ op: fc.constant('kill' as const), pid: u32, signal: u32 }),
  record({
    op: fc.constant('await' as const),
    path,
    until: fc.constantFrom('equals' as const, 'gone' as const),
    content: bytes,
    milliseconds: u32,
  }),
  record({
    op: fc.constant('sample' as const),
    everyMicroseconds: u32,
    sweepEveryMilliseconds: u32,
    bytes: u32,
    files: fc.array(path),
    tids: fc.array(u32),
  }),
  record({ op: fc.constant('samples' as const), pid: u32, from: u64, end: fc.boolean() }),
  record({ op: fc.constant('renew' as const), entropy: bytes, realtime: u64 }),
);

export const anyRequest: fc.Arbitrary<Request> = fc.oneof(
  anyCall,
  record({ op: fc.constant('batch' as const), calls: fc.array(anyCall, { maxLength: 5 }) }),
);

const anyReadings: fc.Arbitrary<Readings> = record({
  readings: u64,
  longestGap: u64,
  last: anySpan,
  held: anySpan,
  lost: u32,
  dropped: u32,
});
const anySample: fc.Arbitrary<SampleRecord> = fc.oneof(
  record({
    kind: fc.constant('change' as const),
    source: u32,
    lost: u32,
    errno: i32,
    content: bytes,
    before: fc.option(anySpan, { nil: undefined }),
    span: anySpan,
  }),
  record({
    kind: fc.constant('sweep' as const),
    lost: u32,
    span: anySpan,
    threads: u32,
    changes: fc.array(record({ pid: u32, tid: u32, errno: i32, value: i32, span: anySpan })),
  }),
);
export const anySamplePage: fc.Arbitrary<SamplePage> = record({
  running: fc.boolean(),
  next: u64,
  sweeps: anyReadings,
  sources: fc.array(anyReadings),
  records: fc.array(anySample),
});
