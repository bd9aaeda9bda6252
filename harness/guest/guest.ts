// SPDX-License-Identifier: MIT
import { sweepFlags } from './protocol.js';
import type { Member } from './operations.js';
import type { Awaited, Call, FileSeen, Outcome, OutcomeOf, Span, TaskKind, Thread, TreeEntry, ValueOf } from './protocol.js';
import type { Recording } from './recorder.js';
import type { Change, Segment, Source, Timeline, Track, Value } from './timeline.js';
import type { LogRecord } from './kmsg.js';
import type { ExecOptions, ExecResult } from './ssh.js';
import type { FileToPush } from './tar.js';
import { InfrastructureError } from '../errors.js';

export type { Awaited, Call, ExecOptions, ExecResult, FileSeen, FileToPush, LogRecord, Outcome, Span, Thread, TreeEntry };
export type { Change, Recording, Segment, Source, Timeline, Track, Value };
export { segments } from './timeline.js';

export type { Member } from './operations.js';

/** What a workload task is to be. */
export type TaskSpec<C extends Call = Call> = {
  /** comm, at most 15 bytes; `klp-task` when not given. */
  readonly name?: string;
  /** CPUs it may run on; any when not given. */
  readonly cpus?: readonly number[];
  /** Further threads, asleep in user space; none when not given. */
  readonly threads?: number;
} & (
  | { readonly kind: 'op'; readonly call: C }
  /** A process one of whose threads makes the call; another executes a shell script when the process is sent SIGUSR1. */
  | { readonly kind: 'exec'; readonly call: C; readonly doer: Member; readonly executor: Member; readonly script: string }
  /** It calls getpid(2) without end, and counts in a file what that has returned. */
  | { readonly kind: 'getpid'; readonly file: string }
  | { readonly kind: Exclude<TaskKind, 'op' | 'exec' | 'getpid'> }
);

/** A workload task that was started over the present connection. With the connection it ends. */
export interface Task<C extends Call = Call> {
  readonly pid: number;
  /** What it was started for; undefined when not a task of kind `op`. */
  readonly call: C | undefined;
}

export interface TaskEnd<C extends Call = Call> {
  readonly state: 'running' | 'exited' | 'signalled';
  /** Exit status, or the signal's number. */
  readonly status: number;
  /** What its operation gave; undefined when it did not come to its end. */
  readonly outcome: OutcomeOf<C> | undefined;
}

export interface Log {
  /** Sequence number of the first record not given yet: where to go on from. */
  readonly next: bigint;
  readonly records: readonly LogRecord[];
}

/** What a sweep looks at beside patch_state. */
export interface SweepOptions {
  /**
   * Comm and scheduler state as of now; true when not given. Without, those of a kernel thread may be of an earlier sweep,
   * and the sweep takes a third of the time.
   */
  readonly fresh?: boolean;
  /** The kernel stack of each thread. Some 0.1 ms a thread where the guest is emulated. */
  readonly stack?: boolean;
  /** The function in which each thread sleeps. */
  readonly wchan?: boolean;
}

/** What a timeline records, and how closely. */
export interface TimelineSpec {
  /** Small files, read whole up to 32 bytes. They need not be there yet; that they are not is a value too. */
  readonly files?: readonly string[];
  /** Threads whose patch_state is followed. */
  readonly tids?: readonly number[];
  /**
   * Between two readings of these; 1000 when not given. 0: without a pause, which takes a CPU of the guest. How close it came
   * stands in the tracks: a kernel without high-resolution timers lets the sampler sleep for whole ticks only.
   */
  readonly everyMicroseconds?: number;
  /** Between two sweeps over all threads; none when not given. */
  readonly sweepEveryMilliseconds?: number;
  /** Room in the guest for what was not fetched yet; 1 MiB when not given, 4 MiB at most. */
  readonly bytes?: number;
}

/**
 * A machine under test that can be reached, whatever it is. The kernel's refusals come as outcomes with an errno;
 * exceptions mean that no answer came: ConnectionLostError, DeadlineError, AgentFailure, each an InfrastructureError.
 * Times are the guest's CLOCK_MONOTONIC in nanoseconds.
 */
export interface Guest {
  /** The agent's own process: its threads stand in a sweep too. */
  readonly agentPid: number;
  /** Whether the connection stands, as far as is known. */
  readonly connected: boolean;

  /** A shell command, to its end, whatever its status. */
  run(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** Writes several files at once into a folder, which is made when missing. */
  push(directory: string, files: readonly FileToPush[]): Promise<void>;

  /**
   * finit_module(2).
   * @param path   of the module in the guest; when it cannot be opened, AgentFailure is thrown: the errno is the kernel's
   * @param params `name=value …`
   */
  insmod(path: string, params?: string): Promise<Outcome<undefined>>;
  /** delete_module(2), without waiting for users. */
  rmmod(name: string): Promise<Outcome<undefined>>;

  /** A file's content, up to `most` bytes (1 MiB when not given). */
  read(path: string, most?: number): Promise<Outcome<Buffer>>;
  readText(path: string, most?: number): Promise<Outcome<string>>;
  /**
   * One write(2).
   * @param flags `writeFlags` of protocol.ts, added up; without any, the file must be there and is not truncated
   * @returns bytes taken; the span is around write(2), or around open(2) when that failed
   */
  write(path: string, data: string | Uint8Array, flags?: number): Promise<Outcome<number>>;
  /** A folder's files, recursively, down to `depth` levels (8 when not given); links are not followed. */
  tree(path: string, depth?: number): Promise<Outcome<readonly TreeEntry[]>>;

  /** Every thread of the system. Not atomic: each thread has its own span within that of the outcome. */
  sweep(options?: SweepOptions): Promise<Outcome<readonly Thread[]>>;
  /** /proc/<tid>/stack of some threads, in their order. */
  stacks(tids: readonly number[]): Promise<readonly Outcome<string>[]>;

  /**
   * Follows files and threads while other operations go on, from a process of its own in the guest. All has been read once
   * when it returns.
   * @throws InfrastructureError when the guest cannot
   */
  startTimeline(spec: TimelineSpec): Promise<Recording>;

  /** The kernel log from a sequence number on; all there is when not given. */
  log(from?: bigint): Promise<Log>;
  /** The sequence number that the next record will have. */
  logEnd(): Promise<bigint>;

  /** Starts a workload task. */
  spawn<const C extends Call = Call>(spec: TaskSpec<C>): Promise<Outcome<Task<C>>>;
  /** Waits for a task's end; still `running` when the time is up. A task that has ended can be waited for once. */
  wait<C extends Call>(task: Task<C>, milliseconds?: number): Promise<Outcome<TaskEnd<C>>>;
  /** kill(2). */
  kill(pid: number, signal: NodeJS.Signals | number): Promise<Outcome<undefined>>;

  /**
   * Reads a small file every millisecond until its content is this; a read that fails ends it with that errno.
   * `came` says whether it came in time.
   */
  awaitContent(path: string, content: string, milliseconds: number): Promise<Outcome<Awaited>>;
  /** The same until the file is gone (ENOENT, ENODEV). */
  awaitGone(path: string, milliseconds: number): Promise<Outcome<Awaited>>;
  /** Several calls, back to back inside the guest; each has its outcome and span. */
  batch<const C extends readonly Call[]>(
    calls: C,
  ): Promise<Outcome<ValueOf<{ readonly op: 'batch'; readonly calls: C }>>>;

  /**
   * Lets go of the connection. Before a snapshot is saved, so that no agent of an old connection stands in every sweep of
   * a restored guest; and before one is restored, which no connection survives.
   */
  disconnect(): void;
  /**
   * New random state and the present time: a restored guest has those of its snapshot, and so has every other guest that is
   * restored from it.
   */
  renew(): Promise<Outcome<undefined>>;
  /** A new connection; the tasks of the old one end. */
  reconnect(options?: { readonly deadline?: number; readonly signal?: AbortSignal }): Promise<void>;
}

/**
 * The value of an outcome where nothing can go on without it.
 * @throws InfrastructureError naming `what` and the errno
 */
export function must<T>(outcome: Outcome<T>, what: string): T {
  if (!outcome.ok) throw new InfrastructureError(`${what}: ${outcome.name}`);
  return outcome.value;
}

/** Shorthands for the calls of a batch or of an `op` task, with the defaults of the Guest's methods. */
export const calls = {
  insmod: (path: string, params = '') => ({ op: 'insmod', path, params, flags: 0 }) as const,
  rmmod: (name: string) => ({ op: 'rmmod', name, flags: nonBlocking }) as const,
  read: (path: string, most = 1 << 20) => ({ op: 'read', path, most }) as const,
  write: (path: string, data: string | Uint8Array, flags = 0) =>
    ({ op: 'write', path, flags, data: Buffer.from(data as Uint8Array) }) as const,
  /** One open; then one write(2) if there is something to write, then one read(2) if something is to be read. */
  io: (path: string, what: { readonly write?: string | Uint8Array; readonly read?: number }) =>
    ({
      op: 'io',
      path,
      writes: what.write !== undefined,
      data: Buffer.from((what.write ?? '') as Uint8Array),
      reads: what.read !== undefined,
      most: what.read ?? 0,
    }) as const,
  tree: (path: string, depth = 8) => ({ op: 'tree', path, depth }) as const,
  sweep: ({ fresh = true, stack = false, wchan = false }: SweepOptions = {}) =>
    ({
      op: 'sweep',
      what: (fresh ? sweepFlags.fresh : 0) + (stack ? sweepFlags.stack : 0) + (wchan ? sweepFlags.wchan : 0),
    }) as const,
  stack: (tid: number) => ({ op: 'read', path: `/proc/${tid}/stack`, most: 16384 }) as const,
  kill: (pid: number, signal: number) => ({ op: 'kill', pid, signal }) as const,
  awaitContent: (path: string, content: string, milliseconds: number) =>
    ({ op: 'await', path, until: 'equals', content: Buffer.from(content), milliseconds }) as const,
  awaitGone: (path: string, milliseconds: number) =>
    ({ op: 'await', path, until: 'gone', content: Buffer.alloc(0), milliseconds }) as const,
  ping: () => ({ op: 'ping', payload: Buffer.alloc(0) }) as const,
} satisfies Record<string, (...args: never[]) => Call>;

/** O_NONBLOCK: delete_module(2) answers at once. */
const nonBlocking = 0o4000;
