// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import type { Call, RawOutcome, Request, Span, Thread } from '../../harness/guest/protocol.js';

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
export const anyThread: fc.Arbitrary<Thread> = fc
  .tuple(
    record({
      pid: u32,
      tid: u32,
      comm: words,
      state: fc.constantFrom('R', 'S', 'D', 'T', 'Z', 'I'),
      kernel: fc.boolean(),
      span: anySpan,
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
  record({ op: fc.constant('sweep' as const) }),
  record({ op: fc.constant('log' as const), from: u64 }),
  record({
    op: fc.constant('spawn' as const),
    kind: fc.constantFrom('op' as const, 'spin' as const, 'sleep' as const, 'forks' as const),
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
);

export const anyRequest: fc.Arbitrary<Request> = fc.oneof(
  anyCall,
  record({ op: fc.constant('batch' as const), calls: fc.array(anyCall, { maxLength: 5 }) }),
);
