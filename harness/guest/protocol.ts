// SPDX-License-Identifier: MIT
import { errnoName } from './errno.js';
import { ProtocolError } from './errors.js';
import { bool, bytes, decode, encode, i32, list, mapped, nothing, rest, struct, text, u32, u64, u8, word } from './wire.js';
import type { Codec } from './wire.js';

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

/** The guest's CLOCK_MONOTONIC, in nanoseconds, before and after an operation: it happened somewhere in between. */
export interface Span {
  readonly begin: bigint;
  readonly end: bigint;
}

/** What the kernel answered. `name` is `OK`, or the errno's, such as `EBUSY`. */
export type Outcome<T> =
  | { readonly ok: true; readonly errno: 0; readonly name: 'OK'; readonly value: T; readonly span: Span }
  | { readonly ok: false; readonly errno: number; readonly name: string; readonly value: undefined; readonly span: Span };

/** A file in a listing. `name` is relative to the listed path, which itself comes first with an empty name. */
export interface TreeEntry {
  readonly name: string;
  readonly type: 'directory' | 'file' | 'link' | 'other';
  /** Permission bits: 0o644. */
  readonly mode: number;
  readonly size: bigint;
  /** Where a link points, else empty. */
  readonly target: string;
}

/** One thread as a sweep saw it. */
export interface Thread {
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  /** Scheduler state as in /proc/<pid>/stat: R, S, D, T, Z, I, … */
  readonly state: string;
  /** PF_KTHREAD */
  readonly kernel: boolean;
  /** -1, 0 or 1; undefined when it could not be read, and then `errno` says why (ENOENT: no such file on this kernel). */
  readonly patchState: number | undefined;
  readonly errno: number;
  /** Around the reading of patch_state alone. */
  readonly span: Span;
}

export interface LogPage {
  /** Whether more records are waiting than fit one reply. */
  readonly more: boolean;
  /** Sequence number that the next record will have. */
  readonly next: bigint;
  /** Records as /dev/kmsg gives them. */
  readonly records: readonly Buffer[];
}

export interface Awaited {
  /** Whether it came before the time was up. */
  readonly came: boolean;
  readonly readings: number;
  /** Around the last reading. */
  readonly seen: Span;
  /** What the last reading gave. */
  readonly content: Buffer;
}

export interface Ended {
  readonly state: 'running' | 'exited' | 'signalled';
  /** Exit status, or the signal's number. */
  readonly status: number;
  /** Outcome of the operation of an `op` task, encoded (`decodeOutcome`); empty otherwise. */
  readonly result: Buffer;
}

/**
 * What a workload task does: one operation and then ends; turns in user space; sleeps in user space; forks short-lived
 * children without end.
 */
export type TaskKind = 'op' | 'spin' | 'sleep' | 'forks';

/** The arguments of every operation. */
export interface Arguments {
  readonly ping: { readonly payload: Buffer };
  readonly insmod: { readonly path: string; readonly params: string; readonly flags: number };
  readonly rmmod: { readonly name: string; readonly flags: number };
  readonly read: { readonly path: string; readonly most: number };
  /** `flags`: writeFlags, added up. */
  readonly write: { readonly path: string; readonly flags: number; readonly data: Buffer };
  /** One open, then one write(2) if `writes`, then one read(2) from the start if `reads`. */
  readonly io: {
    readonly path: string;
    readonly writes: boolean;
    readonly data: Buffer;
    readonly reads: boolean;
    readonly most: number;
  };
  readonly tree: { readonly path: string; readonly depth: number };
  readonly sweep: object;
  /** `from`: the first sequence number wanted. */
  readonly log: { readonly from: bigint };
  readonly spawn: {
    readonly kind: TaskKind;
    /** comm, at most 15 bytes. */
    readonly name: string;
    /** Mask of allowed CPUs; 0n for any. */
    readonly cpus: bigint;
    /** Further threads of the process, all asleep in user space. */
    readonly threads: number;
    /** What an `op` task does, encoded (`encodeCall`); empty for the other kinds. */
    readonly call: Buffer;
  };
  readonly wait: { readonly pid: number; readonly milliseconds: number };
  readonly kill: { readonly pid: number; readonly signal: number };
  readonly await: {
    readonly path: string;
    readonly until: 'equals' | 'gone';
    readonly content: Buffer;
    readonly milliseconds: number;
  };
}

/** What every operation gives when its errno is 0. */
export interface Values {
  readonly ping: Buffer;
  readonly insmod: undefined;
  readonly rmmod: undefined;
  readonly read: { readonly data: Buffer; readonly full: boolean };
  /** Bytes that write(2) took. */
  readonly write: number;
  readonly io: { readonly written: number; readonly data: Buffer };
  readonly tree: readonly TreeEntry[];
  readonly sweep: readonly Thread[];
  readonly log: LogPage;
  /** The pid. */
  readonly spawn: number;
  readonly wait: Ended;
  readonly kill: undefined;
  readonly await: Awaited;
}

export type OperationName = keyof Arguments;
/** One operation with its arguments. */
export type Call = { [K in OperationName]: { readonly op: K } & Arguments[K] }[OperationName];
/** A call, or several that the agent executes back to back. */
export type Request = Call | { readonly op: 'batch'; readonly calls: readonly Call[] };
export type OutcomeOf<C extends Call> = Outcome<Values[C['op']]>;
/** What a request gives: of a batch, every call's outcome. */
export type ValueOf<R extends Request> = R extends { readonly op: 'batch'; readonly calls: infer C extends readonly Call[] }
  ? { [I in keyof C]: OutcomeOf<C[I]> }
  : R extends Call
    ? Values[R['op']]
    : never;

export const writeFlags = { truncate: 1, append: 2, create: 4 } as const;

const span: Codec<Span> = struct<Span>({ begin: u64, end: u64 });

const entryType: Codec<TreeEntry['type']> = word('directory', 'file', 'link', 'other');

interface RawThread extends Omit<Thread, 'patchState'> {
  readonly value: number;
}
const thread: Codec<Thread> = mapped(
  struct<RawThread>({
    pid: u32,
    tid: u32,
    comm: text,
    state: mapped(
      u8,
      (code) => String.fromCharCode(code),
      (letter) => letter.charCodeAt(0),
    ),
    kernel: bool,
    errno: i32,
    value: i32,
    span,
  }),
  ({ value, ...thread }) => ({ ...thread, patchState: thread.errno === 0 ? value : undefined }),
  ({ patchState, ...thread }) => ({ ...thread, value: patchState ?? 0 }),
);

interface Operation<A, V> {
  readonly opcode: number;
  readonly args: Codec<A>;
  readonly value: Codec<V>;
}

/** Every operation's number, arguments and value, in the order of images/agent/agent.h. */
export const operations: { readonly [K in OperationName]: Operation<Arguments[K], Values[K]> } = {
  ping: { opcode: 1, args: struct<Arguments['ping']>({ payload: rest }), value: rest },
  insmod: { opcode: 2, args: struct<Arguments['insmod']>({ path: text, params: text, flags: u32 }), value: nothing },
  rmmod: { opcode: 3, args: struct<Arguments['rmmod']>({ name: text, flags: u32 }), value: nothing },
  read: {
    opcode: 4,
    args: struct<Arguments['read']>({ path: text, most: u32 }),
    value: struct<Values['read']>({ data: bytes, full: bool }),
  },
  write: { opcode: 5, args: struct<Arguments['write']>({ path: text, flags: u8, data: bytes }), value: u32 },
  io: {
    opcode: 6,
    args: struct<Arguments['io']>({ path: text, writes: bool, data: bytes, reads: bool, most: u32 }),
    value: struct<Values['io']>({ written: u32, data: bytes }),
  },
  tree: {
    opcode: 7,
    args: struct<Arguments['tree']>({ path: text, depth: u32 }),
    value: list(struct<TreeEntry>({ name: text, type: entryType, mode: u32, size: u64, target: text })),
  },
  sweep: { opcode: 8, args: struct<object>({}), value: list(thread) },
  log: {
    opcode: 9,
    args: struct<Arguments['log']>({ from: u64 }),
    value: struct<LogPage>({ more: bool, next: u64, records: list(bytes) }),
  },
  spawn: {
    opcode: 10,
    args: struct<Arguments['spawn']>({
      kind: word('op', 'spin', 'sleep', 'forks'),
      name: text,
      cpus: u64,
      threads: u32,
      call: bytes,
    }),
    value: u32,
  },
  wait: {
    opcode: 11,
    args: struct<Arguments['wait']>({ pid: u32, milliseconds: u32 }),
    value: struct<Ended>({ state: word('running', 'exited', 'signalled'), status: u32, result: bytes }),
  },
  kill: { opcode: 12, args: struct<Arguments['kill']>({ pid: u32, signal: u32 }), value: nothing },
  await: {
    opcode: 13,
    args: struct<Arguments['await']>({ path: text, until: word('equals', 'gone'), content: bytes, milliseconds: u32 }),
    value: struct<Awaited>({ came: bool, readings: u32, seen: span, content: bytes }),
  },
};
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
