// SPDX-License-Identifier: MIT
import type { Capability } from './capabilities.js';
import {
  type FunctionName,
  type LivepatchDescription,
  type ModuleDescription,
  functionKey,
  entriesOf,
  targetKeys,
  targetSymbols,
  vmlinux,
} from './description.js';

/** Value of /proc/<pid>/patch_state inside a transition; -1 outside of one (livepatch.txt 174-181). */
export type PatchState = 0 | 1;

/** What is fixed while a scenario runs: the kernel's generation, and how often vmlinux has a symbol. */
export interface Facts {
  readonly capabilities: ReadonlySet<Capability>;
  /** Occurrences of a symbol in vmlinux, as /proc/kallsyms lists them. */
  readonly vmlinuxSymbols: (name: string) => number;
}

/** Which code a call of a function reaches: `original`, or the name of the patch whose replacement it is. */
export type Body = string;
export const original: Body = 'original';

/** One frame that matters: a patchable function, and the body of it that the task entered. */
export interface Frame {
  readonly function: FunctionName;
  readonly body: Body;
}

/** A task that the scenario put to sleep; all others are free to switch at any time. */
export interface ParkedTask {
  readonly tid: number;
  readonly frames: readonly Frame[];
}

/**
 * A registered patch. `enabled` is what sysfs shows: the target state. `stacked` is its place among the enabled ones
 * (higher is newer) from the start of its enable to the end of its disable, else null.
 */
export interface Patch {
  readonly description: LivepatchDescription;
  readonly enabled: boolean;
  readonly stacked: number | null;
  /**
   * `listed`: its directory is in /sys/kernel/livepatch. `leaving`: enable-only kernels take the directory away, and then
   * the module reference, some time after the disable; when both have happened the state has the patch no more.
   */
  readonly presence: 'listed' | 'leaving';
}

/** The one transition (livepatch.txt 162-165). */
export interface Transition {
  readonly patch: string;
  readonly target: PatchState;
  /** `finishing`: every task has switched, patch_state goes back to -1 while `transition` may still read 1. */
  readonly phase: 'running' | 'finishing';
  /** Threads seen at the target state: they may not go back. */
  readonly arrived: ReadonlySet<number>;
}

export interface State {
  /** Loaded modules in load order. */
  readonly modules: readonly ModuleDescription[];
  /** Patches in the order of their registration. */
  readonly patches: readonly Patch[];
  readonly transition: Transition | null;
  readonly tasks: readonly ParkedTask[];
}

export const pristine: State = { modules: [], patches: [], transition: null, tasks: [] };

export function findPatch(state: State, name: string): Patch | undefined {
  return state.patches.find((p) => p.description.name === name);
}

export function isLoaded(state: State, object: string): boolean {
  return object === vmlinux || state.modules.some((m) => m.kind === 'target' && m.name === object);
}

/** How many functions of that name an object has; undefined when the object is not loaded. */
export function symbolCount(state: State, facts: Facts, f: FunctionName): number | undefined {
  if (!isLoaded(state, f.object)) return undefined;
  if (f.object === vmlinux) return facts.vmlinuxSymbols(f.name);
  return Math.max(0, ...targetKeys.map((key) => targetSymbols[key]).filter((t) => t.symbol(f.object) === f.name).map((t) => t.of));
}

function replaces(patch: Patch, f: FunctionName): boolean {
  return entriesOf(patch.description).some((e) => e.function && functionKey(e.function) === functionKey(f));
}

/** Patches that have a replacement of `f` on its stack now, newest first; the object must be loaded. */
export function stackOf(state: State, f: FunctionName): readonly Patch[] {
  if (!isLoaded(state, f.object)) return [];
  return state.patches
    .filter((p) => p.stacked !== null && replaces(p, f))
    .sort((a, b) => (b.stacked ?? 0) - (a.stacked ?? 0));
}

/**
 * Bodies a call of `f` may reach: the newest enabled patch's (livepatch.txt 387-391); while that patch is in transition,
 * what lies below it for a caller that is unpatched, and either for one whose state is not known.
 *
 * Only the newest entry asks for the caller's state (klp_ftrace_handler, kernel/livepatch/patch.c): a patch in transition
 * with another above it changes nothing for any caller.
 *
 * @param caller thread id of the caller, if it has one that sweeps have shown
 */
export function reachableBodies(state: State, f: FunctionName, caller?: number): readonly Body[] {
  const [top, below] = stackOf(state, f);
  if (!top) return [original];
  const { transition } = state;
  const patched = top.description.name;
  const unpatched = below ? below.description.name : original;
  if (transition?.patch !== patched) return [patched];
  if (caller === undefined || !transition.arrived.has(caller)) return [patched, unpatched];
  return [transition.target === 1 ? patched : unpatched];
}

/**
 * Why a parked task cannot switch: the frame that holds it (klp_check_stack, kernel/livepatch/transition.c), or
 * undefined when nothing does.
 */
function holdingFrame(state: State, task: ParkedTask): Frame | undefined {
  const { transition } = state;
  if (transition?.phase !== 'running') return undefined;
  const patch = findPatch(state, transition.patch);
  if (!patch) return undefined;
  return task.frames.find((frame) => {
    if (!replaces(patch, frame.function) || !isLoaded(state, frame.function.object)) return false;
    if (transition.target === 0) return frame.body === transition.patch;
    const stack = stackOf(state, frame.function).map((p) => p.description.name);
    const previous = stack[stack.indexOf(transition.patch) + 1] ?? original;
    return frame.body === previous;
  });
}

/** The tasks that hold the transition, with the frame that is the reason. */
export function holders(state: State): readonly { readonly task: ParkedTask; readonly frame: Frame }[] {
  return state.tasks.flatMap((task) => {
    const frame = holdingFrame(state, task);
    return frame ? [{ task, frame }] : [];
  });
}

/** References of a module: 1 while its patch is enabled, in transition, or not yet let go of; a target has none. */
export function references(state: State, module: string): number {
  const patch = findPatch(state, module);
  return patch && (patch.stacked !== null || patch.presence === 'leaving') ? 1 : 0;
}

/**
 * States the kernel may reach by itself from here, this one first and the one where all has come to rest last: a
 * transition ends, a directory goes away, in either order.
 */
export function closure(state: State, facts: Facts): readonly State[] {
  const reached = [state];
  const known = new Set([JSON.stringify(state)]);
  for (const from of reached) {
    for (const next of successors(from, facts)) {
      const key = JSON.stringify(next);
      if (!known.has(key)) reached.push(next);
      known.add(key);
    }
  }
  return reached;
}

function successors(state: State, facts: Facts): readonly State[] {
  const next: State[] = [];
  const { transition } = state;
  if (transition?.phase === 'finishing') next.push(finish(state, transition, facts));
  if (transition?.phase === 'running' && holders(state).length === 0) {
    next.push({ ...state, transition: { ...transition, phase: 'finishing' } });
  }
  if (state.patches.some((p) => p.presence === 'leaving')) {
    next.push({ ...state, patches: state.patches.filter((p) => p.presence !== 'leaving') });
  }
  return next;
}

function finish(state: State, transition: Transition, facts: Facts): State {
  return {
    ...state,
    transition: null,
    patches: state.patches.map((p) => {
      if (p.description.name !== transition.patch || transition.target === 1) return p;
      // klp_complete_transition: the stack entry and, on kernels that can enable again, the reference go now.
      const presence = facts.capabilities.has('registration') ? 'listed' : 'leaving';
      return { ...p, stacked: null, presence };
    }),
  };
}

/** Text of a state, for violation reports. */
export function describeState(state: State): string {
  const patches = state.patches.map(
    (p) => `${p.description.name} ${p.enabled ? 'enabled' : 'disabled'}${p.presence === 'leaving' ? ', leaving' : ''}`,
  );
  const t = state.transition;
  const held = holders(state).map((h) => `${h.task.tid} in ${functionKey(h.frame.function)}`);
  const transition = t
    ? `${t.patch} in transition to ${t.target} (${t.phase}${held.length > 0 ? `, held by ${held.join(', ')}` : ''})`
    : 'at rest';
  return [
    `modules: ${state.modules.map((m) => m.name).join(' ') || 'none'}`,
    `patches: ${patches.join('; ') || 'none'}`,
    transition,
  ].join(' | ');
}
