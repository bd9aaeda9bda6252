// SPDX-License-Identifier: MIT
import { deepStrictEqual, ok, throws } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ProtocolError } from '../../harness/guest/errors.js';
import { frame, FrameDecoder } from '../../harness/guest/frames.js';
import {
  decodeBatch,
  decodeHello,
  decodeReply,
  decodeRequest,
  decodeValue,
  encodeBatch,
  encodeHello,
  encodeReply,
  encodeRequest,
  encodeValue,
  frameLimit,
  operations,
  protocolMagic,
  protocolVersion,
} from '../../harness/guest/protocol.js';
import type { OperationName, Values } from '../../harness/guest/protocol.js';
import { anyCall, anyRawOutcome, anyRequest, anySamplePage, anySpan, anyThread, bytes, record, u32, u64, words } from './arbitraries.js';

const anyValue: { readonly [K in OperationName]: fc.Arbitrary<Values[K]> } = {
  ping: bytes,
  insmod: fc.constant(undefined),
  rmmod: fc.constant(undefined),
  read: record({ data: bytes, full: fc.boolean() }),
  write: u32,
  io: record({ written: u32, data: bytes }),
  tree: fc.array(
    record({
      name: words,
      type: fc.constantFrom('directory' as const, 'file' as const, 'link' as const, 'other' as const),
      mode: u32,
      size: u64,
      target: words,
    }),
  ),
  sweep: fc.array(anyThread),
  log: record({ more: fc.boolean(), next: u64, records: fc.array(bytes) }),
  spawn: u32,
  wait: record({
    state: fc.constantFrom('running' as const, 'exited' as const, 'signalled' as const),
    status: u32,
    result: bytes,
  }),
  kill: fc.constant(undefined),
  sample: u32,
  samples: anySamplePage,
  renew: fc.constant(undefined),
  await: record({ came: fc.boolean(), readings: u32, seen: anySpan, content: bytes }),
};

/** The stream cut at the given places, whatever they are. */
function cut(stream: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...places.map((place) => place % (stream.length + 1)), 0, stream.length].sort((a, b) => a - b);
  return sorted.slice(1).map((end, i) => stream.subarray(sorted[i], end));
}

void t.test('requests come back as they were, however the stream is cut', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(u32, u32, anyRequest)), fc.array(fc.nat()), (requests, places) => {
      const stream = Buffer.concat(requests.map(([session, id, request]) => frame(session, encodeRequest(id, request))));
      const decoder = new FrameDecoder();
      const came = cut(stream, places).flatMap((chunk) => decoder.push(chunk));
      deepStrictEqual(
        came.map(({ session, message }) => ({ session, ...decodeRequest(message) })),
        requests.map(([session, id, request]) => ({ session, id, request })),
      );
      deepStrictEqual([decoder.pending, decoder.garbage], [0, 0]);
    }),
  );
  t.end();
});

/** Bytes with long runs without a zero, and of zeros: what byte-stuffing has to cope with. */
const runs = fc
  .array(fc.tuple(fc.constantFrom(0, 1, 255), fc.oneof(fc.nat(3), fc.integer({ min: 250, max: 260 }), fc.integer({ min: 505, max: 512 }))))
  .map((parts) => Buffer.concat(parts.map(([byte, count]) => Buffer.alloc(count, byte))));

void t.test('a frame holds no zero but at its ends, and at most one byte more for every 254', (t) => {
  fc.assert(
    fc.property(u32, fc.oneof(runs, bytes), (session, message) => {
      const framed = frame(session, message);
      deepStrictEqual([framed[0], framed.at(-1), framed.subarray(1, -1).indexOf(0)], [0, 0, -1]);
      ok(framed.length <= message.length + 4 + Math.ceil((message.length + 4) / 254) + 3);
      deepStrictEqual(new FrameDecoder().push(framed), [{ session, message }]);
    }),
    { numRuns: 1000 },
  );
  t.end();
});

void t.test('after the rest of anything else, frames are found again', (t) => {
  fc.assert(
    fc.property(bytes, u32, anyRequest, u32, anyRequest, fc.nat(), (noise, old, lost, session, request, place) => {
      const before = frame(old, encodeRequest(1, lost));
      const decoder = new FrameDecoder();
      const stream = Buffer.concat([noise, before.subarray(place % before.length), frame(session, encodeRequest(2, request))]);
      deepStrictEqual(decoder.push(stream).at(-1), { session, message: encodeRequest(2, request) });
    }),
  );
  t.end();
});

for (const op of Object.keys(operations) as OperationName[]) {
  void t.test(`values of ${op} come back as they were`, (t) => {
    fc.assert(
      fc.property(anyValue[op] as fc.Arbitrary<Values[typeof op]>, (value) => {
        deepStrictEqual(decodeValue(op, encodeValue(op, value)), value);
      }),
    );
    t.end();
  });
}

void t.test('replies, batches and the hello come back as they were', (t) => {
  fc.assert(
    fc.property(u32, fc.array(anyRawOutcome), (id, outcomes) => {
      const body = encodeBatch(outcomes);
      const reply = { errno: 0, span: { begin: 1n, end: 2n }, body };
      deepStrictEqual(decodeReply(encodeReply(id, reply)), { id, outcome: reply });
      deepStrictEqual(decodeBatch(body, outcomes.length), outcomes);
      throws(() => decodeBatch(body, outcomes.length + 1), ProtocolError);
    }),
  );
  const hello = { magic: protocolMagic, version: protocolVersion, frameLimit, pageSize: 4096, pid: 7, clock: 8n };
  t.strictSame(decodeHello(encodeHello(hello)), hello);
  t.throws(() => decodeHello(encodeHello({ ...hello, magic: 1 })), { message: 'what answers is not the guest agent' });
  t.throws(() => decodeHello(encodeHello({ ...hello, version: 1 })), {
    message: 'the guest agent speaks version 1, this klp version 2',
  });
  t.end();
});

void t.test('hostile bytes give a ProtocolError and nothing else', (t) => {
  const parsers: ((message: Buffer) => unknown)[] = [decodeRequest, decodeReply, decodeHello, (m) => decodeBatch(m, 1)];
  for (const op of Object.keys(operations) as OperationName[]) parsers.push((message) => decodeValue(op, message));
  const hostile = (message: Buffer): void => {
    for (const parse of parsers) {
      try {
        parse(message);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
  };
  fc.assert(fc.property(bytes, hostile));
  // True messages with one byte changed, or the end missing.
  fc.assert(
    fc.property(u32, anyRequest, fc.nat(), fc.nat(255), fc.boolean(), (id, request, place, byte, short) => {
      const message = encodeRequest(id, request);
      const at = place % message.length;
      message[at] = byte;
      hostile(short ? message.subarray(0, at) : message);
    }),
  );
  t.end();
});

void t.test('a truncated message is refused, and so is one with something behind it', (t) => {
  fc.assert(
    fc.property(
      anyCall.filter((call) => call.op !== 'ping'),
      (call) => {
        const message = encodeRequest(1, call);
        throws(() => decodeRequest(message.subarray(0, -1)), ProtocolError);
        throws(() => decodeRequest(Buffer.concat([message, Buffer.from([0])])), ProtocolError);
      },
    ),
  );
  t.end();
});

void t.test('a message over the limit is neither sent nor waited for', (t) => {
  t.throws(() => frame(1, Buffer.alloc(frameLimit + 1)), { message: 'a message of 8388609 bytes is over the limit of 8388608' });
  t.equal(new FrameDecoder().push(frame(1, Buffer.alloc(frameLimit))).length, 1);
  t.equal(new FrameDecoder().push(frame(1, Buffer.alloc(frameLimit, 1))).length, 1);
  const decoder = new FrameDecoder();
  const endless = Buffer.alloc(1 << 20, 1);
  for (let i = 0; i < 8; i++) decoder.push(endless);
  t.throws(() => decoder.push(endless), { name: 'ProtocolError', message: /^a frame of 9437184 bytes and more is over the limit/ });
  t.end();
});

void t.test('arguments that no field can hold never leave', (t) => {
  t.throws(() => encodeRequest(1, { op: 'kill', pid: -1, signal: 9 }), { message: '-1 does not fit 4 bytes' });
  t.throws(() => encodeRequest(1, { op: 'write', path: '/x', flags: 256, data: Buffer.alloc(0) }), RangeError);
  t.throws(() => encodeRequest(1, { op: 'log', from: 1n << 64n }), RangeError);
  t.end();
});
