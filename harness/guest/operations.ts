// SPDX-License-Identifier: MIT
import { sampleArguments, samplePage, samplesArguments } from './samples.js';
import type { SampleArguments, SamplePage, SamplesArguments } from './samples.js';
import { entryType, span, thread } from './values.js';
import type { Awaited, Ended, LogPage, TaskKind, Thread, TreeEntry } from './values.js';
import { bool, bytes, list, nothing, rest, struct, text, u32, u64, u8, word } from './wire.js';
import type { Codec } from './wire.js';

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
  /** `what`: sweepFlags, added up. */
  readonly sweep: { readonly what: number };
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
    /** What an `op` task does, encoded (`encodeCall`); {@link execGroup}; a path of `getpid`; empty for the other kinds. */
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
  readonly sample: SampleArguments;
  readonly samples: SamplesArguments;
  /** `realtime`: ns since 1970. */
  readonly renew: { readonly entropy: Buffer; readonly realtime: bigint };
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
  /** The sampler's pid. */
  readonly sample: number;
  readonly samples: SamplePage;
  readonly renew: undefined;
}

export type OperationName = keyof Arguments;
/** One operation with its arguments. */
export type Call = { [K in OperationName]: { readonly op: K } & Arguments[K] }[OperationName];
export const writeFlags = { truncate: 1, append: 2, create: 4 } as const;

/**
 * What a sweep looks at beside patch_state. Without `fresh`, comm and scheduler state of a kernel thread may be those of an
 * earlier sweep.
 */
export const sweepFlags = { fresh: 1, stack: 2, wchan: 4 } as const;

/** Which thread of a process. */
export type Member = 'leader' | 'member';

/** What the request of an `exec` task holds (struct group, images/agent/tasks.h). */
export interface ExecGroup {
  /** The thread that does the operation, and the one that executes the program. */
  readonly doer: Member;
  readonly executor: Member;
  /** Path of a shell script, the program. */
  readonly script: string;
  /** Encoded (`encodeCall`). */
  readonly operation: Buffer;
}

const member = word<Member>('leader', 'member');
export const execGroup = struct<ExecGroup>({ doer: member, executor: member, script: text, operation: bytes });

export interface Operation<A, V> {
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
  sweep: { opcode: 8, args: struct<Arguments['sweep']>({ what: u8 }), value: list(thread) },
  log: {
    opcode: 9,
    args: struct<Arguments['log']>({ from: u64 }),
    value: struct<LogPage>({ more: bool, next: u64, records: list(bytes) }),
  },
  spawn: {
    opcode: 10,
    args: struct<Arguments['spawn']>({
      kind: word('op', 'spin', 'sleep', 'forks', 'exec', 'getpid'),
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
  // 14 is the batch, which protocol.ts has; 15 was never used.
  sample: { opcode: 16, args: sampleArguments, value: u32 },
  samples: { opcode: 17, args: samplesArguments, value: samplePage },
  renew: {
    opcode: 18,
    args: struct<Arguments['renew']>({ entropy: bytes, realtime: u64 }),
    value: nothing,
  },
};
