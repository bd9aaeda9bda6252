// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import type { FunctionName, ModuleDescription } from '../description.js';
import type { PassFunctions } from '../passes.js';
import type { ShadowCall } from '../shadow.js';
import type { Body, Facts, ProbePlace, State, Tracer } from '../state.js';
import type { Stay, Task } from '../tasks.js';

/** What a scenario does to the kernel. */
export type Operation =
  | { readonly kind: 'load'; readonly module: ModuleDescription }
  | { readonly kind: 'unload'; readonly module: string }
  | { readonly kind: 'write-enabled'; readonly patch: string; readonly text: string }
  | { readonly kind: 'write-force'; readonly patch: string; readonly text: string }
  /** A call of the livepatch API by a driven module; `null`: with NULL, `second`: with another klp_patch of the same module. */
  | { readonly kind: 'api'; readonly call: ApiCall; readonly patch: string; readonly which: WhichPatch }
  /** Somebody else takes, or gives back, a reference of the patch's kobject. */
  | { readonly kind: 'hold' | 'let-go'; readonly patch: string }
  /** A kprobe, or a kretprobe (`return`), in a function of a target module; one a target. */
  | { readonly kind: 'probe'; readonly function: FunctionName; readonly place: ProbePlace; readonly postHandler: boolean }
  | { readonly kind: 'unprobe'; readonly target: string }
  /** `ftrace_enabled` is written. */
  | { readonly kind: 'switch-ftrace'; readonly on: boolean }
  /** One of ftrace's tracers is set to a function, or to nothing. */
  | { readonly kind: 'trace'; readonly tracer: Tracer; readonly function: FunctionName }
  | { readonly kind: 'untrace' }
  /** A call of the shadow variable API by the module of a patch. */
  | { readonly kind: 'shadow'; readonly patch: string; readonly call: ShadowCall }
  /** A task enters a function and stays in there; one that a signal took out of it comes back. */
  | {
      readonly kind: 'park';
      readonly tid: number;
      readonly by: Task['kind'];
      readonly activity: Stay;
      readonly function: FunctionName;
      readonly body: Body;
      /** Frames below the function; 0 when left out. */
      readonly depth?: number;
    }
  /** Tasks begin to call two functions in one system call, again and again, or end it (null). */
  | { readonly kind: 'passes'; readonly functions: PassFunctions | null }
  /** A task computes in user space. */
  | { readonly kind: 'spin'; readonly tid: number }
  /** A task ends and becomes a zombie; one that forks without end begins. */
  | { readonly kind: 'die'; readonly tid: number }
  | { readonly kind: 'fork-storm'; readonly tid: number }
  /** A thread executes a program, and becomes the leader of its process: `ends` are the others, which have been killed. */
  | { readonly kind: 'exec'; readonly tid: number; readonly pid: number; readonly ends: readonly number[] }
  /** A CPU is taken offline, or brought back. */
  | { readonly kind: 'switch-cpu'; readonly cpu: number; readonly online: boolean }
  /** A task is sent SIGSTOP and SIGCONT. */
  | { readonly kind: 'signal'; readonly tid: number }
  | { readonly kind: 'release'; readonly tid: number };

export type OperationOf<K extends Operation['kind']> = Extract<Operation, { readonly kind: K }>;

export const apiCalls = ['register', 'enable', 'disable', 'unregister'] as const;
/** klp_<call>_patch(); later kernels have `enable` only. */
export type ApiCall = (typeof apiCalls)[number];
export type WhichPatch = 'null' | 'first' | 'second';

/** Linux errno by name; `OK` is success. */
export type Errno =
  | 'OK'
  | 'EINVAL'
  | 'EBUSY'
  | 'EAGAIN'
  | 'ENOENT'
  | 'ENODEV'
  | 'ENOSYS'
  | 'ENOEXEC'
  | 'EEXIST'
  | 'EOPNOTSUPP';

/** A line of the kernel log that comes with an outcome, and the clause that says so. */
export interface LogLine {
  readonly clause: ClauseId;
  readonly pattern: RegExp;
}

/** One way an operation may end. */
export interface Outcome {
  /** The clause that decides it; null for a step that only sets the scene, whose failure is no verdict on livepatch. */
  readonly clause: ClauseId | null;
  readonly errno: Errno;
  readonly log: readonly LogLine[];
  /** Lines that must not come with it. */
  readonly unlogged: readonly LogLine[];
  readonly next: State;
  /** Why, for a person. */
  readonly because: string;
  /** `documents`: mainline does otherwise, but the documents say so; an implementation that follows them passes. */
  readonly oracle: 'mainline' | 'documents';
  /** The documents forbid this outcome of mainline's. */
  readonly forbidden: boolean;
}

export interface Context<O extends Operation> {
  readonly state: State;
  readonly op: O;
  readonly facts: Facts;
}

/**
 * A rule of the executable specification: the first whose `when` holds decides how an operation ends. The order is the
 * order of the checks in the kernel.
 */
export interface Rule<C> {
  readonly clause: ClauseId | null;
  readonly because: string;
  readonly when: (context: C) => boolean;
  readonly errno: Errno;
  readonly log?: (context: C) => readonly LogLine[];
  readonly unlogged?: (context: C) => readonly LogLine[];
  readonly next?: (context: C) => State;
  /** What the documents say instead: they forbid what mainline does here, a documented deviation. */
  readonly documented?: { readonly because: string; readonly errno: Errno; readonly next: (context: C) => State };
}

/** The outcomes that the first matching rule allows; none when no rule speaks to it. */
export function decide<C extends { readonly state: State }>(rules: readonly Rule<C>[], context: C): readonly Outcome[] {
  const rule = rules.find((r) => r.when(context));
  if (!rule) return [];
  const { clause, documented } = rule;
  const mainline: Outcome = {
    clause,
    errno: rule.errno,
    log: rule.log?.(context) ?? [],
    unlogged: rule.unlogged?.(context) ?? [],
    next: rule.next?.(context) ?? context.state,
    because: rule.because,
    oracle: 'mainline',
    forbidden: documented !== undefined,
  };
  if (!documented) return [mainline];
  const { errno, because, next } = documented;
  return [
    mainline,
    { clause, errno, log: [], unlogged: [], next: next(context), because, oracle: 'documents', forbidden: false },
  ];
}

/** A step that only sets the scene, done. */
export function staged(because: string, next: State): Outcome {
  return { clause: null, errno: 'OK', log: [], unlogged: [], next, because, oracle: 'mainline', forbidden: false };
}

/** Lines for one clause; `text` is a pattern in which names have been put as they are. */
export function lines(clause: ClauseId, ...texts: readonly string[]): readonly LogLine[] {
  return texts.map((text) => ({ clause, pattern: new RegExp(text) }));
}

/** A name as part of a pattern. */
export function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
