// SPDX-License-Identifier: MIT
import type { Capability } from './capabilities.js';
import type { ClauseId } from './catalogue/types.js';
import {
  type Entry,
  type FunctionName,
  type LivepatchDescription,
  type ModuleDescription,
  type PatchedObject,
  type TargetSymbol,
  entriesOf,
  functionKey,
  targetKeys,
  targetSymbols,
  vmlinux,
} from './description.js';
import type { Passing } from './passes.js';
import { type ShadowState, noShadow } from './shadow.js';
import type { Task } from './tasks.js';

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

/**
 * A registered patch. `enabled` is what sysfs shows: the target state. `stacked` is its place among the enabled ones
 * (higher is newer) from the start of its enable to the end of its disable, else null.
 */
export interface Patch {
  readonly description: LivepatchDescription;
  readonly enabled: boolean;
  readonly stacked: number | null;
  /**
   * `listed`: registered, its directory is in /sys/kernel/livepatch. `unlisted`: it was unregistered in the middle of its
   * disable, and its transition goes on. `leaving`: enable-only kernels take the directory away, and then the module
   * reference, some time after the disable; when both have happened the state has the patch no more.
   */
  readonly presence: 'listed' | 'unlisted' | 'leaving';
  /**
   * Of a patch that replaces others, until its transition has ended: what only those have. The kernel adds such functions to
   * it, and a call that reaches one runs the original (klp_add_nops, 5.1 and later).
   */
  readonly nops: readonly PatchedObject[];
  /** Force was used: nobody knows whether a task still runs in it, and its module stays for good. */
  readonly pinned: boolean;
}

/** The one transition (livepatch.txt 162-165). A patch that is immediate has none. */
export interface Transition {
  readonly patch: string;
  readonly target: PatchState;
  /** `finishing`: every task has switched, patch_state goes back to -1 while `transition` may still read 1. */
  readonly phase: 'running' | 'finishing';
  /** Threads seen at the target state, in order: they may not go back. */
  readonly arrived: readonly number[];
  /** It goes the other way than it began. */
  readonly turned: boolean;
  /** Every task has been switched by a write into `force`; the end follows at the next retry. */
  readonly forced: boolean;
}

/** Where a kprobe sits: on the first instruction, behind ftrace's site, or (a kretprobe) on the way out. */
export type ProbePlace = 'entry' | 'inside' | 'return';

/** A probe in a function of a target module; one a target. */
export interface Probe {
  readonly function: FunctionName;
  readonly place: ProbePlace;
  readonly postHandler: boolean;
  /** False: it was accepted, but ftrace refused its handler, so that it never runs. */
  readonly alive: boolean;
}

export type Tracer = 'function' | 'function_graph';

export interface State {
  /** Loaded modules in load order. */
  readonly modules: readonly ModuleDescription[];
  /** Patches in the order of their registration. */
  readonly patches: readonly Patch[];
  readonly transition: Transition | null;
  /** Those that the scenario has put somewhere; all others may be anywhere, and are free to switch. */
  readonly tasks: readonly Task[];
  /** CPUs that have been taken offline. */
  readonly offline: readonly number[];
  /** Tasks beside those that call two functions in one system call, again and again. */
  readonly passing: Passing | null;
  /** References that livepatch holds of patch modules; none where a module is not named. */
  readonly references: Readonly<Record<string, number>>;
  /** Patches that another has replaced, as long as their modules are loaded. */
  readonly replaced: readonly string[];
  /**
   * Patches that were there when force was used, as long as their modules are loaded: `removed` by that transition, or
   * not.
   */
  readonly forced: Readonly<Record<string, 'removed' | 'stayed'>>;
  /** Patches of loaded modules whose enable ftrace refused. */
  readonly refused: readonly string[];
  /** Patches that were registered at some time since their module was loaded: their kobjects have been initialised. */
  readonly initialised: readonly string[];
  /** `<patch> <object>`: livepatch relocations that hold an address, though the object they point into may have gone. */
  readonly relocated: readonly string[];
  /** The same, of objects that have gone since their relocations were written. */
  readonly unloadedSince: readonly string[];
  /** Patches whose kobject somebody else holds a reference of. */
  readonly heldKobjects: readonly string[];
  readonly probes: readonly Probe[];
  readonly tracing: { readonly tracer: Tracer; readonly function: FunctionName } | null;
  /** Callbacks that have run since they were last looked at, as they say it, with the clause that has them run. */
  readonly callbacks: readonly { readonly clause: ClauseId; readonly text: string }[];
  /** What each patch keeps in the data of its system states, by `<patch> <id>`: the names of all that have kept something there. */
  readonly kept: Readonly<Record<string, string>>;
  readonly shadow: ShadowState;
  /** What /proc/sys/kernel/ftrace_enabled says. */
  readonly ftraceOn: boolean;
  /** A livepatch module has been loaded since the boot. */
  readonly tainted: boolean;
}

export const pristine: State = {
  modules: [],
  patches: [],
  transition: null,
  tasks: [],
  offline: [],
  passing: null,
  references: {},
  replaced: [],
  forced: {},
  refused: [],
  initialised: [],
  relocated: [],
  unloadedSince: [],
  heldKobjects: [],
  probes: [],
  tracing: null,
  callbacks: [],
  kept: {},
  shadow: noShadow,
  ftraceOn: true,
  tainted: false,
};

/** A patch that is registered. */
export function findPatch(state: State, name: string): Patch | undefined {
  return state.patches.find((p) => p.description.name === name && p.presence !== 'unlisted');
}

/** The patch that is in transition, even if it has been unregistered. */
export function patchInTransition(state: State): Patch | undefined {
  return state.patches.find((p) => p.description.name === state.transition?.patch);
}

export function isLoaded(state: State, object: string): boolean {
  return object === vmlinux || state.modules.some((m) => m.kind === 'target' && m.name === object);
}

function symbolsOf(f: FunctionName): readonly TargetSymbol[] {
  return targetKeys.map((key) => targetSymbols[key]).filter((s: TargetSymbol) => s.symbol(f.object) === f.name);
}

/** How many symbols of that name an object has; undefined when the object is not loaded. */
export function symbolCount(state: State, facts: Facts, f: FunctionName): number | undefined {
  if (!isLoaded(state, f.object)) return undefined;
  return f.object === vmlinux ? facts.vmlinuxSymbols(f.name) : (symbolsOf(f)[0]?.of ?? 0);
}

/** What a symbol is to ftrace. Of vmlinux only functions with an ftrace site are named by scenarios. */
export function symbolKind(f: FunctionName): TargetSymbol['what'] {
  return f.object === vmlinux ? 'function' : (symbolsOf(f)[0]?.what ?? 'function');
}

/** The entry of a patch that replaces `f`, if it has one: a position of 1 may be meant by sympos 0, too. */
export function entryFor(patch: Pick<LivepatchDescription, 'objects'>, f: FunctionName): Entry | undefined {
  const wanted = positioned(f);
  return entriesOf(patch).find((e) => e.object.literal !== true && e.function && positioned(e.function) === wanted);
}

/** Where a patch on the stack of `f` sends a call: to its replacement, or to the original if it only undoes an older patch. */
export function bodyIn(patch: Patch, f: FunctionName): Body {
  return entryFor(patch.description, f) ? patch.description.name : original;
}

function positioned(f: FunctionName): string {
  return functionKey({ ...f, position: f.position ?? 1 });
}

/** Patches that are on the stack of `f` now, newest first; the object must be loaded. */
export function stackOf(state: State, f: FunctionName): readonly Patch[] {
  if (!isLoaded(state, f.object)) return [];
  return state.patches
    .filter((p) => p.stacked !== null && (entryFor(p.description, f) ?? entryFor({ objects: p.nops }, f)))
    .sort((a, b) => (b.stacked ?? 0) - (a.stacked ?? 0));
}

/** References of a module: those that livepatch holds of a patch; a target has none. */
export function references(state: State, module: string): number {
  return state.references[module] ?? 0;
}

/** The state with `by` more references of a module. */
export function refer(state: State, module: string, by: 1 | -1): State {
  return { ...state, references: { ...state.references, [module]: references(state, module) + by } };
}

/** The state with a patch changed. */
export function replacePatch(state: State, patch: Patch): State {
  return { ...state, patches: state.patches.map((p) => (p.description.name === patch.description.name ? patch : p)) };
}
