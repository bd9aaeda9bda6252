// SPDX-License-Identifier: MIT
import { errnoName } from './errno.js';
import { ProtocolError } from './errors.js';
import { operations } from './operations.js';
import type { Call, Operation, OperationName, Values } from './operations.js';
import { span } from './values.js';
import type { Span } from './values.js';
import { bytes, decode, encode, i32, list, rest, struct, u32, u64, u8 } from './wire.js';
import type { Codec } from './wire.js';

export { operations, sweepFlags, writeFlags } from './operations.js';
export type { Arguments, Call, OperationName, Values } from './operations.js';
export type { Awaited, Ended, FileSeen, LogPage, Span, TaskKind, Thread, TreeEntry } from './values.js';

/*
 * The protocol between AgentClient and images/agent/: the messages that frames.ts carries. Numbers are little-endian. The
 * first message of a session is empty, and the agent's answer a Hello. A request is {u32 id, u8 opcode, arguments}, its reply
 * {u32 id, i32 errno, u64 begin, u64 end, body}. An errno above 0 is the kernel's, one below 0 the agent's own
 * (AgentFailure), with a message as body. Opcodes are never reused; a new one needs no new version, another layout does.
 */

export const protocolMagic = 0x41504c4b;
export const protocolVersion = 2;
/** Most bytes of a message. */
export const frameLimit = 8 << 20;

export interface Hello {
  readonly magic: number;
  readonly version: number;
  readonly frameLimit: number;
  readonly pageSize: number;
  /** The agent's own process, which a sweep shows too. */
  readonly pid: number;
  /** CLOCK_MONOTONIC when it said so, ns. */
  readonly clock: bigint;
}

/** What the kernel answered. `name` is `OK`, or the errno's, such as `EBUSY`. */
export type Outcome<T> =
  | { readonly ok: true; readonly errno: 0; readonly name: 'OK'; readonly value: T; readonly span: Span }
  | { readonly ok: false; readonly errno: number; readonly name: string; readonly value: undefined; readonly span: Span };

/** A call, or several that the agent executes back to back. */
export type Request = Call | { readonly op: 'batch'; readonly calls: readonly Call[] };
export type OutcomeOf<C extends Call> = Outcome<Values[C['op']]>;
/** What a request gives: of a batch, every call's outcome. */
export type ValueOf<R extends Request> = R extends { readonly op: 'batch'; readonly calls: infer C extends readonly Call[] }
  ? { [I in keyof C]: OutcomeOf<C[I]> }
  : R extends Call
    ? Values[R['op']]
    : never;

const batchOpcode = 14;

function operation(name: OperationName): Operation<unknown, unknown> {
  return operations[name] as Operation<unknown, unknown>;
}

const hello = struct<Hello>({ magic: u32, version: u32, frameLimit: u32, pageSize: u32, pid: u32, clock: u64 });

export function encodeHello(value: Hello): Buffer {
  return encode(hello, value);
}

/** @throws ProtocolError when it is not an agent of ours, or one of another version */
export function decodeHello(message: Buffer): Hello {
  const value = decode(hello, message);
  if (value.magic !== protocolMagic) throw new ProtocolError('what answers is not the guest agent');
  if (value.version !== protocolVersion) {
    throw new ProtocolError(`the guest agent speaks version ${value.version}, this klp version ${protocolVersion}`, {
      hint: 'the guest image is of another klp: npx klp cache prune',
    });
  }
  return value;
}

const raw = struct<{ opcode: number; args: Buffer }>({ opcode: u8, args: rest });

/** Opcode and arguments, without an id: how a call stands in a batch or in a task. */
export function encodeCall(request: Request): Buffer {
  if (request.op === 'batch') {
    return encode(raw, { opcode: batchOpcode, args: encode(list(bytes), request.calls.map(encodeCall)) });
  }
  const { opcode, args } = operation(request.op);
  return encode(raw, { opcode, args: encode(args, request) });
}

/** @throws ProtocolError for a batch, too: only the outermost request can be one */
export function decodeCall(message: Buffer): Call {
  const { opcode, args } = decode(raw, message);
  for (const [op, operation] of Object.entries(operations)) {
    if (operation.opcode === opcode) return { op, ...(decode(operation.args as Codec<object>, args)) } as Call;
  }
  throw new ProtocolError(`unknown opcode ${opcode}`);
}

const framed = struct<{ id: number; body: Buffer }>({ id: u32, body: rest });

export function encodeRequest(id: number, request: Request): Buffer {
  return encode(framed, { id, body: encodeCall(request) });
}

/** @throws ProtocolError */
export function decodeRequest(message: Buffer): { readonly id: number; readonly request: Request } {
  const { id, body } = decode(framed, message);
  if (body[0] !== batchOpcode) return { id, request: decodeCall(body) };
  return { id, request: { op: 'batch', calls: decode(list(bytes), body.subarray(1)).map(decodeCall) } };
}

/** A reply whose body is not looked into yet; it takes the request to know what it holds. */
export interface RawOutcome {
  readonly errno: number;
  readonly span: Span;
  readonly body: Buffer;
}

const outcome = struct<RawOutcome>({ errno: i32, span, body: rest });
const reply = struct<{ id: number; outcome: RawOutcome }>({ id: u32, outcome });

export function encodeReply(id: number, value: RawOutcome): Buffer {
  return encode(reply, { id, outcome: value });
}

/** @throws ProtocolError */
export function decodeReply(message: Buffer): { readonly id: number; readonly outcome: RawOutcome } {
  return decode(reply, message);
}

/** @throws ProtocolError */
export function decodeOutcome(message: Buffer): RawOutcome {
  return decode(outcome, message);
}

/** The body of a successful reply. Raw outcomes of a batch's calls are left as they are. */
export function encodeValue<C extends Call>(op: C['op'], value: Values[C['op']]): Buffer {
  return encode(operation(op).value, value);
}

/** @throws ProtocolError */
export function decodeValue<K extends OperationName>(op: K, body: Buffer): Values[K] {
  return decode(operation(op).value, body) as Values[K];
}

/** The body of a batch's reply. */
export function encodeBatch(outcomes: readonly RawOutcome[]): Buffer {
  return encode(list(bytes), outcomes.map((value) => encode(outcome, value)));
}

/** @throws ProtocolError when it has not `count` outcomes */
export function decodeBatch(body: Buffer, count: number): readonly RawOutcome[] {
  const outcomes = decode(list(bytes), body).map(decodeOutcome);
  if (outcomes.length !== count) {
    throw new ProtocolError(`a batch of ${count} calls was answered by ${outcomes.length} outcomes`);
  }
  return outcomes;
}

/** An errno and a span with the value, once that is known; `value` is not asked for a failure. */
export function outcomeOf<T>({ errno, span }: RawOutcome, value: () => T): Outcome<T> {
  return errno === 0
    ? { ok: true, errno: 0, name: 'OK', value: value(), span }
    : { ok: false, errno, name: errnoName(errno), value: undefined, span };
}
