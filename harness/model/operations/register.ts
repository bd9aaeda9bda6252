// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import {
  type Entry,
  type FunctionName,
  type LivepatchDescription,
  type PatchedObject,
  type SystemState,
  entriesOf,
  objectsOf,
  vmlinux,
} from '../description.js';
import { nopsFor } from '../replace.js';
import { type Facts, type State, findPatch, isLoaded, symbolCount } from '../state.js';
import { type Errno, type LogLine, lines, literally } from './types.js';

/*
 * What the kernel demands of a patch before it takes it into its list: klp_register_patch() up to 5.0, the first part of
 * klp_enable_patch() after.
 */

/** Why a patch is not taken. */
export interface Refusal {
  readonly clause: ClauseId;
  readonly errno: Errno;
  readonly because: string;
  readonly log: readonly LogLine[];
  /** What a silent refusal does not say: that the kernel has gone on to look for symbols. */
  readonly unlogged: readonly LogLine[];
}

interface Subject {
  readonly patch: LivepatchDescription;
  readonly state: State;
  readonly facts: Facts;
}

interface Check<T> {
  readonly clause: ClauseId | ((subject: Subject, thing: T) => ClauseId);
  readonly because: string;
  readonly refuses: (subject: Subject, thing: T) => boolean;
  readonly errno: Errno;
  readonly log?: (subject: Subject, thing: T) => readonly string[];
}

const patchChecks: readonly Check<undefined>[] = [
  {
    clause: 'REG-1',
    because: 'the patch names no module',
    refuses: ({ patch }) => patch.orphan === true,
    errno: 'EINVAL',
  },
  {
    clause: 'REG-2',
    because: 'a patch module needs the livepatch field in its modinfo',
    refuses: ({ patch }) => patch.fault === 'EF-01',
    errno: 'EINVAL',
    log: ({ patch }) => [`livepatch: module ${patch.name} is not marked as a livepatch module`],
  },
  {
    clause: 'STA-1',
    because: 'a patch that is there has a newer version of a system state',
    refuses: (s) => statesThere(s).some((old) => versionOf(s.patch, old) < old.version),
    errno: 'EINVAL',
    log: incompatible,
  },
  {
    clause: 'STA-2',
    because: 'a patch that replaces must have every system state of the patches that are there',
    refuses: (s) => s.patch.replace === true && statesThere(s).some((old) => versionOf(s.patch, old) === Infinity),
    errno: 'EINVAL',
    log: incompatible,
  },
  {
    clause: 'REG-5',
    because: 'without reliable stacks registration needs the immediate flag',
    refuses: ({ patch, facts: { capabilities } }) =>
      capabilities.has('registration') && !capabilities.has('reliable-stacks') && patch.immediate !== true,
    errno: 'ENOSYS',
    log: () => ["livepatch: This architecture doesn't have support for the livepatch consistency model\\."],
  },
  {
    clause: 'REG-7',
    because: 'the patch has no array of objects',
    refuses: ({ patch }) => patch.objects === null,
    errno: 'EINVAL',
  },
  {
    clause: 'REG-21',
    because: 'the directory is named after the module, and another patch of the same module has it',
    refuses: ({ patch, state }) => findPatch(state, patch.name) !== undefined,
    errno: 'EEXIST',
    log: ({ patch }) => [duplicate(patch.name)],
  },
];

function statesThere({ state }: Pick<Subject, 'state'>): readonly SystemState[] {
  return state.patches.filter((p) => p.presence === 'listed').flatMap((p) => p.description.states ?? []);
}

/** Which version of a state a patch has; one that does not have it has nothing against any. */
function versionOf({ states }: LivepatchDescription, { id }: SystemState): number {
  return states?.find((s) => s.id === id)?.version ?? Infinity;
}

function incompatible({ patch }: Subject): readonly string[] {
  return [`livepatch: Livepatch patch \\(${literally(patch.name)}\\) is not compatible with the already installed livepatches\\.`];
}

/** MODULE_NAME_LEN of 64-bit kernels. */
const longestObject = 55;
const longestSymbol = ({ capabilities }: Facts): number => (capabilities.has('long-symbol-names') ? 511 : 127);

const objectChecks: readonly Check<PatchedObject>[] = [
  {
    clause: 'REG-7',
    because: 'a named object has no array of functions',
    refuses: (_s, object) => object.functions === null,
    errno: 'EINVAL',
  },
  {
    clause: 'REG-7',
    because: "an object's name is too long for a module's",
    refuses: (_s, object) => object.name.length > longestObject,
    errno: 'EINVAL',
  },
  {
    clause: ({ patch }) => (objectsOf(patch).some((o) => o.literal) ? 'REG-24' : 'REG-18'),
    because: 'two objects would have the same directory',
    refuses: ({ patch }, object) => objectsOf(patch).filter((o) => o.name === object.name).length > 1,
    errno: 'EEXIST',
    log: ({ patch }, object) => [duplicate(`${patch.name}/${object.name}`)],
  },
];

const entryChecks: readonly Check<Entry>[] = [
  {
    clause: 'REG-7',
    because: 'a function has no name, or no replacement',
    refuses: (_s, { entry }) => entry.name === null || entry.replacement === 'missing',
    errno: 'EINVAL',
  },
  {
    clause: 'REG-7',
    because: "a function's name is longer than any symbol's",
    refuses: ({ facts }, { entry }) => (entry.name ?? '').length > longestSymbol(facts),
    errno: 'EINVAL',
  },
  {
    clause: 'REG-18',
    because: 'two functions would have the same directory',
    refuses: ({ patch }, one) =>
      sameDirectory(patch, one).length > 1,
    errno: 'EEXIST',
    log: ({ patch }, one) => [duplicate(`${patch.name}/${one.object.name}/${directoryOf(one)}`)],
  },
];

function sameDirectory(patch: LivepatchDescription, one: Entry): readonly Entry[] {
  return entriesOf(patch).filter((e) => e.object === one.object && directoryOf(e) === directoryOf(one));
}

/** What sysfs says of a second directory of one name. */
function duplicate(path: string): string {
  return `sysfs: cannot create duplicate filename '/kernel/livepatch/${literally(path)}'`;
}

/** Name of a function's directory (klp_init_func): a position of 0 is shown as 1. */
export function directoryOf({ entry }: Pick<Entry, 'entry'>): string {
  return `${entry.name ?? ''},${Math.max(1, entry.sympos ?? 0)}`;
}

const symbolChecks: readonly Check<Entry>[] = [
  {
    clause: 'REG-10',
    because: 'every symbol of a loaded object must exist',
    refuses: (s, e) => countOf(s, e) === 0,
    errno: 'EINVAL',
    log: (_s, { entry }) => [`livepatch: symbol '${literally(entry.name ?? '')}' not found in symbol table`],
  },
  {
    clause: 'REG-11',
    because: 'the object has several symbols of that name, and no position says which is meant',
    refuses: (s, e) => countOf(s, e) > 1 && (e.entry.sympos ?? 0) === 0,
    errno: 'EINVAL',
    // The name of vmlinux is a NULL pointer, and is printed as one.
    log: (_s, { entry, object }) => [
      `livepatch: unresolvable ambiguity for symbol '${literally(entry.name ?? '')}' in object '${
        object.name === vmlinux ? '\\(null\\)' : literally(object.name)
      }'`,
    ],
  },
  {
    clause: 'REG-12',
    because: 'the object has fewer symbols of that name',
    refuses: (s, e) => countOf(s, e) < (e.entry.sympos ?? 0),
    errno: 'EINVAL',
    log: (_s, { entry, object }) => [
      `livepatch: symbol position ${entry.sympos ?? 0} for symbol '${literally(entry.name ?? '')}' in object '${literally(object.name)}' not found`,
    ],
  },
  {
    clause: 'REG-17',
    because: 'the replacement lies in no symbol',
    refuses: (_s, { entry }) => entry.replacement === 'nowhere',
    errno: 'ENOENT',
    log: (_s, { entry }) => [`livepatch: kallsyms size lookup failed for '${literally(entry.name ?? '')}' replacement`],
  },
];

function countOf({ state, facts }: Subject, { function: f }: Entry): number {
  return f ? (symbolCount(state, facts, unpositioned(f)) ?? 0) : 0;
}

function unpositioned({ object, name }: FunctionName): FunctionName {
  return { object, name };
}

/** Why the kernel does not take a patch; undefined when it does. The order is that of the kernel's own checks. */
export function refusal(patch: LivepatchDescription, state: State, facts: Facts): Refusal | undefined {
  const subject = { patch, state, facts };
  const first = apply(patchChecks, subject, undefined);
  if (first) return first;
  for (const object of objectsOf(patch)) {
    const entries = entriesOf(patch).filter((e) => e.object === object);
    const refused =
      apply(objectChecks, subject, object) ??
      firstOf(entries.map((e) => apply(entryChecks, subject, e))) ??
      (isThere(state, object) ? objectRefusal(patch, object, state, facts) : undefined);
    if (refused) return refused;
  }
  return undefined;
}

/** Why a patch can't be made ready for an object that is loaded, or just comes (klp_init_object_loaded). */
export function objectRefusal(patch: LivepatchDescription, object: PatchedObject, state: State, facts: Facts): Refusal | undefined {
  const subject = { patch, state, facts };
  const entries = entriesOf(patch).filter((e) => e.object === object);
  return relocationRefusal(patch, object.name, state, facts) ?? firstOf(entries.map((e) => apply(symbolChecks, subject, e)));
}

/** Relocations are written over zeros only: a place that still holds the address of an object that has gone is refused. */
function relocationRefusal(patch: LivepatchDescription, object: string, state: State, facts: Facts): Refusal | undefined {
  if (!facts.capabilities.has('relocations-checked') || !state.relocated.includes(relocationKey(patch, object))) return undefined;
  return {
    clause: 'MOD-8',
    errno: 'ENOEXEC',
    because: 'the relocations still hold the addresses of the time before',
    log: lines('MOD-8', 'nvalid relocation target, existing value is nonzero'),
    unlogged: [],
  };
}

/** Whether an object is in the kernel: a module that is called vmlinux is none. */
export function isThere(state: State, object: PatchedObject): boolean {
  return object.literal !== true && isLoaded(state, object.name);
}

/** How {@link State.relocated} names the relocations of a patch into one object. */
export function relocationKey(patch: LivepatchDescription, object: string): string {
  return `${patch.name} ${object}`;
}

/** The state in which a patch's relocations into an object are written, if it has any. */
export function relocate(state: State, patch: LivepatchDescription, object: string): State {
  const key = relocationKey(patch, object);
  if (!patch.uses.some((u) => u.object === object) || state.relocated.includes(key)) return state;
  return { ...state, relocated: [...state.relocated, key] };
}

/** The state with a patch registered, disabled, its relocations into loaded objects written. */
export function register(state: State, description: LivepatchDescription): State {
  const listed: State = {
    ...state,
    patches: [...state.patches, { description, enabled: false, stacked: null, presence: 'listed', nops: nopsFor(state, description), pinned: false }],
    initialised: [...new Set([...state.initialised, description.name])],
    replaced: state.replaced.filter((name) => name !== description.name),
  };
  return objectsOf(description)
    .filter((o) => isThere(state, o))
    .reduce((before, o) => relocate(before, description, o.name), listed);
}

/** The clause that speaks to a patch that was taken: what is odd about it, and else `ordinary`. */
export function acceptance(patch: LivepatchDescription, state: State, facts: Facts, ordinary: ClauseId): ClauseId {
  const objects = objectsOf(patch);
  const entries = entriesOf(patch);
  if (patch.marked !== undefined && patch.marked !== 'Y') return 'REG-3';
  const states = statesThere({ state });
  if (patch.replace && states.length > 0) return 'STA-2';
  if (states.some((old) => versionOf(patch, old) !== Infinity)) return 'STA-1';
  if (objects.length === 0 || objects.some((o) => o.functions?.length === 0)) return 'REG-8';
  if (objects.some((o) => o.literal === true || /[-.]/.test(o.name))) return 'REG-24';
  if (entries.some((e) => e.function?.position !== undefined)) return 'REG-14';
  if (entries.some((e) => e.entry.sympos === 1 && countOf({ patch, state, facts }, e) === 1)) return 'REG-13';
  return objects.some((o) => !isThere(state, o)) ? 'REG-15' : ordinary;
}

function apply<T>(checks: readonly Check<T>[], subject: Subject, thing: T): Refusal | undefined {
  const check = checks.find((c) => c.refuses(subject, thing));
  if (!check) return undefined;
  const clause = typeof check.clause === 'string' ? check.clause : check.clause(subject, thing);
  const log = lines(clause, ...(check.log?.(subject, thing) ?? []));
  const unlogged = log.length > 0 ? [] : lines(clause, 'livepatch: (symbol|unresolvable|kallsyms) ');
  return { clause, errno: check.errno, because: check.because, log, unlogged };
}

function firstOf<T>(all: readonly (T | undefined)[]): T | undefined {
  return all.find((one) => one !== undefined);
}
