// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import type { FunctionName } from '../description.js';
import type { SeenWay } from './ways.js';
import type { SeenState } from './kinds.js';
import type { PassFunctions } from '../passes.js';
import type { ShadowCall, ShadowReport } from '../shadow.js';
import type { Body, Facts, State } from '../state.js';
import type { SeenPasses } from './passes.js';
import type { Phase, SeenTrack } from './timeline.js';

/** One thread's line in a sweep. */
export interface SeenThread {
  readonly tid: number;
  readonly comm: string;
  /** A kernel thread. */
  readonly kernel: boolean;
  /** -1, 0, 1; null when the thread went away while it was read. */
  readonly patchState: number | null;
}

/** One entry below /sys/kernel/livepatch/<patch>. */
export interface SeenEntry {
  /** Relative to the patch's directory. */
  readonly path: string;
  readonly type: 'file' | 'directory';
  /** Permission bits, as a number. */
  readonly mode: number;
  /** Content without its newline, where the file can be read. */
  readonly value: string | null;
}

/** Something that was looked at, and what was seen. */
export type Observation =
  | {
      readonly kind: 'threads';
      readonly threads: readonly SeenThread[];
      /** The harness had waited for every thread that nothing holds. */
      readonly settled: boolean;
    }
  /** What a child is born with, and its parent has, when the child is about to run for the first time. */
  | { readonly kind: 'birth'; readonly tid: number; readonly parent: SeenState; readonly child: SeenState }
  /** What an interrupt finds over a thread: its state, and which body a call of the handler reaches. */
  | { readonly kind: 'interrupt'; readonly over: number; readonly patchState: number; readonly function: FunctionName; readonly body: Body }
  | {
      readonly kind: 'idle-tasks';
      readonly cpus: readonly { readonly cpu: number; readonly patchState: number }[];
      /** The harness had waited for each to switch. */
      readonly settled: boolean;
    }
  /** How some threads were switched, that have been. */
  | { readonly kind: 'ways'; readonly ways: readonly SeenWay[] }
  /** Files that show patch_state; null: there is none. */
  | { readonly kind: 'state-files'; readonly files: readonly { readonly path: string; readonly mode: number | null }[] }
  /** Titles of the kernel's warnings while a fork storm went on. */
  | { readonly kind: 'warnings'; readonly warnings: readonly string[] }
  | { readonly kind: 'sysfs'; readonly patch: string; readonly entries: readonly SeenEntry[] | null }
  | { readonly kind: 'call'; readonly function: FunctionName; readonly caller: number; readonly body: Body }
  /** patch_state of threads and files of patches, over several operations. */
  | { readonly kind: 'timeline'; readonly phases: readonly Phase[]; readonly tracks: readonly SeenTrack[] }
  /** Passes since the last look, or since they began. */
  | { readonly kind: 'passes'; readonly functions: PassFunctions; readonly passes: readonly SeenPasses[] }
  | { readonly kind: 'references'; readonly module: string; readonly count: number }
  /** `ended` false: a wait far longer than every retry interval saw `transition` at 1 throughout. */
  | {
      readonly kind: 'transition-end';
      readonly patch: string;
      readonly ended: boolean;
      /** Kernel log lines since the operation that began the transition, where they were read. */
      readonly log?: readonly string[];
    }
  /**
   * What the kernel has said of tasks that it does not switch, over several attempts after all others have been switched; and the
   * milliseconds between attempts, as one that holds the transition was named.
   */
  | { readonly kind: 'reasons'; readonly lines: readonly string[]; readonly gaps: readonly number[] }
  | { readonly kind: 'left-sysfs'; readonly patch: string; readonly left: boolean }
  | {
      readonly kind: 'resolved-symbols';
      readonly patch: string;
      /** Addresses of `.klp.sym.*` in the module's part of kallsyms beside the true ones; null: not there. */
      readonly symbols: readonly { readonly name: string; readonly address: string | null; readonly truth: string }[];
    }
  | { readonly kind: 'ftrace'; readonly function: FunctionName; readonly users: number; readonly flags: string }
  /** Whether the target's probe ran in one call of its function. */
  | { readonly kind: 'probe-hit'; readonly function: FunctionName; readonly hit: boolean }
  /** Whether the tracer that is set recorded one call of the function. */
  | { readonly kind: 'traced'; readonly function: FunctionName; readonly seen: boolean }
  /** Letters of the module's own taint file, and bit 15 of the kernel's mask. */
  | { readonly kind: 'taint'; readonly module: string; readonly letters: string; readonly kernel: boolean }
  /** Names in /sys/kernel/livepatch. */
  | { readonly kind: 'patches'; readonly names: readonly string[] }
  /** Callbacks that say that they ran since the last look: `<patch> <object> <callback>`, and the state of a module. */
  | { readonly kind: 'callbacks'; readonly ran: readonly string[] }
  /** What a call of the shadow variable API came to. */
  | { readonly kind: 'shadow-call'; readonly patch: string; readonly call: ShadowCall; readonly report: ShadowReport }
  /**
   * What became of a sleeper that was left alone for as long as the kernel would need to signal it. `after`: milliseconds from
   * the begin of the transition to the signal, as the log has it; `pending`: signals as /proc/<tid>/status has them, or `none`.
   */
  | {
      readonly kind: 'left-alone';
      readonly tid: number;
      readonly moved: boolean;
      readonly after: number | undefined;
      readonly pending: string;
      readonly log: readonly string[];
    }
  /** Whether a call of klp_unregister_patch() in another task is still under way. */
  | { readonly kind: 'unregister-waits'; readonly patch: string; readonly waits: boolean };

/** One thing a rule expects of one observation from one state. */
export interface Prediction {
  readonly clause: ClauseId;
  readonly what: string;
  readonly seen: string;
  readonly allowed: string;
  readonly holds: boolean;
  /** What the documents demand where they forbid what mainline does. */
  readonly documented?: { readonly allowed: string; readonly holds: boolean };
}

/** What the rules of one kind of observation expect, if the kernel is in `state`. */
export type Rule<K extends Observation['kind']> = (
  state: State,
  seen: Extract<Observation, { kind: K }>,
  facts: Facts,
) => readonly Prediction[];

export function prediction(clause: ClauseId, what: string, seen: string, allowed: string, holds: boolean): Prediction {
  return { clause, what, seen, allowed, holds };
}

export function equal(clause: ClauseId, what: string, seen: string | number, allowed: string | number): Prediction {
  return prediction(clause, what, String(seen), String(allowed), seen === allowed);
}

