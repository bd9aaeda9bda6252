// SPDX-License-Identifier: MIT
import { bool, i32, mapped, option, struct, text, u32, u64, u8, word } from './wire.js';
import type { Codec } from './wire.js';

/** The guest's CLOCK_MONOTONIC, in nanoseconds, before and after an operation: it happened somewhere in between. */
export interface Span {
  readonly begin: bigint;
  readonly end: bigint;
}

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

/** A file of /proc as one reading gave it. */
export interface FileSeen {
  /** Why it could not be read; 0 when it was. */
  readonly errno: number;
  /** Empty when it could not be read. */
  readonly text: string;
  readonly span: Span;
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
  /** /proc/<pid>/task/<tid>/stack; undefined when the sweep did not ask for it. */
  readonly stack: FileSeen | undefined;
  /** Where it sleeps in the kernel, or `0`; undefined when the sweep did not ask for it. */
  readonly wchan: FileSeen | undefined;
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
 * children without end; executes a program while another thread of its process is elsewhere; calls getpid(2) without end.
 */
export type TaskKind = 'op' | 'spin' | 'sleep' | 'forks' | 'exec' | 'getpid';

export const span: Codec<Span> = struct<Span>({ begin: u64, end: u64 });

export const entryType: Codec<TreeEntry['type']> = word('directory', 'file', 'link', 'other');

const fileSeen = struct<FileSeen>({ errno: i32, text, span });

interface RawThread extends Omit<Thread, 'patchState'> {
  readonly value: number;
}
export const thread: Codec<Thread> = mapped(
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
    stack: option(fileSeen),
    wchan: option(fileSeen),
  }),
  ({ value, ...thread }) => ({ ...thread, patchState: thread.errno === 0 ? value : undefined }),
  ({ patchState, ...thread }) => ({ ...thread, value: patchState ?? 0 }),
);
