// SPDX-License-Identifier: MIT
import type { ClauseId } from './catalogue/types.js';
import { parseBoolean } from './booleans.js';
import { type FunctionName, type LivepatchDescription, type ModuleDescription, entriesOf, functionKey, objectsOf } from './description.js';
import {
  type Body,
  type Facts,
  type Patch,
  type PatchState,
  type State,
  findPatch,
  isLoaded,
  reachableBodies,
  references,
  symbolCount,
} from './state.js';

/** What a scenario does to the kernel. */
export type Operation =
  | { readonly kind: 'load'; readonly module: ModuleDescription }
  | { readonly kind: 'unload'; readonly module: string }
  | { readonly kind: 'write-enabled'; readonly patch: string; readonly text: string }
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
  | { readonly kind: 'park'; readonly tid: number; readonly function: FunctionName; readonly body: Body }
  | { readonly kind: 'release'; readonly tid: number };

export const apiCalls = ['register', 'enable', 'disable', 'unregister'] as const;
/** klp_<call>_patch(); later kernels have `enable` only. */
export type ApiCall = (typeof apiCalls)[number];
export type WhichPatch = 'null' | 'first' | 'second';
/** `entry`: the first instruction. `inside`: behind ftrace's site. `return`: a kretprobe. */
export type ProbePlace = 'entry' | 'inside' | 'return';
export type Tracer = 'function' | 'function_graph';

/** Linux errno by name; `OK` is success. */
export type Errno = 'OK' | 'EINVAL' | 'EBUSY' | 'EAGAIN' | 'ENOENT' | 'ENODEV' | 'ENOSYS' | 'ENOEXEC' | 'EEXIST' | 'EOPNOTSUPP';

/** One way an operation may end. */
export interface Outcome {
  /** The clause that decides it; null for a step that only sets the scene, whose failure is no verdict on livepatch. */
  readonly clause: ClauseId | null;
  readonly errno: Errno;
  /** Patterns of kernel log lines that come with it. */
  readonly log: readonly RegExp[];
  readonly next: State;
  /** Why, for a person. */
  readonly because: string;
  /** `documents`: mainline does otherwise, but the documents say so; an implementation that follows them passes. */
  readonly oracle: 'mainline' | 'documents';
  /** The documents forbid this outcome of mainline's. */
  readonly forbidden: boolean;
}

/**
 * A rule of the executable specification: the first whose `when` holds decides how an operation ends. The order is the
 * order of the checks in the kernel.
 */
interface Rule<O extends Operation> {
  readonly clause: ClauseId | null;
  readonly because: string;
  readonly when: (context: Context<O>) => boolean;
  readonly errno: Errno;
  readonly log?: (context: Context<O>) => readonly RegExp[];
  readonly next?: (context: Context<O>) => State;
  /** What the documents say instead: they forbid what mainline does here, a documented deviation. */
  readonly documented?: { readonly because: string; readonly errno: Errno; readonly next: (context: Context<O>) => State };
}

interface Context<O extends Operation> {
  readonly state: State;
  readonly op: O;
  readonly facts: Facts;
}

type OperationOf<K extends Operation['kind']> = Extract<Operation, { kind: K }>;

// ---- load ------------------------------------------------------------------------------------------------------

const loadRules: readonly Rule<OperationOf<'load'>>[] = [
  {
    clause: 'REG-6',
    because: 'a kernel without livepatch refuses a module that is marked as one',
    when: ({ op, facts }) => patchOf(op) !== undefined && !facts.capabilities.has('livepatch'),
    errno: 'ENOEXEC',
    log: ({ op }) => [new RegExp(`${op.module.name}: module is marked as livepatch module, but livepatch support is disabled`)],
  },
  {
    clause: 'ELF-4',
    because: 'a flagged relocation section whose name does not parse stops the object it is looked at for',
    when: (c) => patchOf(c.op)?.fault === 'EF-09',
    errno: 'EINVAL',
    log: () => [/livepatch: section \S+ has an incorrectly formatted name/],
  },
  {
    clause: 'REG-2',
    because: 'a patch module needs the livepatch field in its modinfo',
    when: (c) => patchOf(c.op)?.fault === 'EF-01',
    errno: 'EINVAL',
    log: ({ op }) => [new RegExp(`livepatch: module ${op.module.name} is not marked as a livepatch module`)],
  },
  {
    clause: 'REG-5',
    because: 'without reliable stacks registration needs the immediate flag',
    when: ({ op, facts }) =>
      patchOf(op) !== undefined && facts.capabilities.has('registration') && !facts.capabilities.has('reliable-stacks'),
    errno: 'ENOSYS',
    log: () => [/livepatch: This architecture doesn't have support for the livepatch consistency model\./],
  },
  {
    clause: 'REG-10',
    because: 'every symbol of a loaded object must exist',
    when: (c) => missingSymbol(c) !== undefined,
    errno: 'EINVAL',
    log: (c) => [new RegExp(`livepatch: symbol '${missingSymbol(c)?.name ?? ''}' not found in symbol table`)],
  },
  {
    clause: 'ENA-7',
    because: 'another patch is in transition',
    when: ({ op, state }) => patchOf(op) !== undefined && state.transition !== null,
    errno: 'EBUSY',
  },
  {
    clause: 'ENA-6',
    because: 'an older patch is disabled, and patches are enabled in the order of their registration',
    when: ({ op, state, facts }) =>
      patchOf(op) !== undefined &&
      facts.capabilities.has('registration') &&
      state.patches.some((p) => p.presence === 'listed' && !p.enabled),
    errno: 'EBUSY',
  },
  {
    clause: 'REG-15',
    because: 'symbols of an object that is not loaded are looked up when it comes',
    when: ({ op, state }) => (patchOf(op)?.objects ?? []).some((o) => !isLoaded(state, o.name)),
    errno: 'OK',
    log: enablingLine,
    next: registerAndEnable,
  },
  {
    clause: 'ENA-4',
    because: 'the patch is registered, enabled and in transition',
    when: ({ op }) => patchOf(op) !== undefined,
    errno: 'OK',
    log: enablingLine,
    next: registerAndEnable,
  },
  {
    clause: 'MOD-1',
    because: 'enabled patches are applied to a loading module',
    when: ({ op, state }) => op.module.kind === 'target' && patchesOn(state, op.module.name).length > 0,
    errno: 'OK',
    log: ({ op, state }) =>
      patchesOn(state, op.module.name).map(
        (p) => new RegExp(`livepatch: applying patch '${p.description.name}' to loading module '${op.module.name}'`),
      ),
    next: ({ op, state }) => ({ ...state, modules: [...state.modules, op.module] }),
  },
  {
    clause: null,
    because: 'a module that no patch names just loads',
    when: () => true,
    errno: 'OK',
    next: ({ op, state }) => ({ ...state, modules: [...state.modules, op.module] }),
  },
];

function enablingLine({ op }: Context<OperationOf<'load'>>): readonly RegExp[] {
  return [new RegExp(`livepatch: enabling patch '${op.module.name}'`)];
}

function registerAndEnable({ op, state }: Context<OperationOf<'load'>>): State {
  const description = op.module as LivepatchDescription;
  const patch: Patch = { description, enabled: true, stacked: nextPlace(state), presence: 'listed' };
  return startTransition(
    { ...state, modules: [...state.modules, description], patches: [...state.patches, patch] },
    description.name,
    1,
  );
}

function patchOf(op: OperationOf<'load'>): LivepatchDescription | undefined {
  return op.module.kind === 'livepatch' ? op.module : undefined;
}

function missingSymbol({ op, state, facts }: Context<OperationOf<'load'>>): FunctionName | undefined {
  const patch = patchOf(op);
  return (patch ? entriesOf(patch) : [])
    .flatMap((e) => e.function ?? [])
    .find((f) => symbolCount(state, facts, f) === 0);
}

function nextPlace(state: State): number {
  return 1 + Math.max(0, ...state.patches.map((p) => p.stacked ?? 0));
}

function patchesOn(state: State, object: string): readonly Patch[] {
  return state.patches.filter((p) => p.stacked !== null && objectsOf(p.description).some((o) => o.name === object));
}

function startTransition(state: State, patch: string, target: PatchState): State {
  return { ...state, transition: { patch, target, phase: 'running', arrived: new Set() } };
}

// ---- unload ----------------------------------------------------------------------------------------------------

const unloadRules: readonly Rule<OperationOf<'unload'>>[] = [
  {
    clause: 'ENA-9',
    because: 'the module is referenced by its own enabled patch',
    when: ({ op, state }) => references(state, op.module) > 0,
    errno: 'EAGAIN',
  },
  {
    clause: 'MOD-4',
    because: 'patches on the module are reverted while it goes',
    when: ({ op, state }) => isLoaded(state, op.module) && patchesOn(state, op.module).length > 0,
    errno: 'OK',
    log: ({ op, state }) =>
      patchesOn(state, op.module).map(
        (p) => new RegExp(`livepatch: reverting patch '${p.description.name}' on unloading module '${op.module}'`),
      ),
    next: withoutModule,
  },
  {
    clause: 'DIS-6',
    because: 'nothing refers to the module any more',
    when: ({ op, state }) => state.modules.some((m) => m.name === op.module),
    errno: 'OK',
    next: withoutModule,
  },
  { clause: null, because: 'no such module', when: () => true, errno: 'ENOENT' },
];

function withoutModule({ op, state }: Context<OperationOf<'unload'>>): State {
  return {
    ...state,
    modules: state.modules.filter((m) => m.name !== op.module),
    patches: state.patches.filter((p) => p.description.name !== op.module),
  };
}

// ---- writing `enabled` -----------------------------------------------------------------------------------------

type Write = OperationOf<'write-enabled'>;

const writeRules: readonly Rule<Write>[] = [
  {
    clause: null,
    because: 'the patch has no directory any more',
    when: ({ op, state }) => !findPatch(state, op.patch),
    errno: 'ENOENT',
  },
  {
    clause: 'SYS-2',
    because: 'the text is no boolean',
    when: ({ op }) => parseBoolean(op.text) === undefined,
    errno: 'EINVAL',
  },
  {
    clause: 'SYS-3',
    because: 'the value written is the current one',
    when: (c) => patchWritten(c).enabled === parseBoolean(c.op.text),
    errno: 'EINVAL',
  },
  {
    clause: 'TRN-6',
    because: 'the opposite value reverses the transition under way',
    when: ({ op, state }) => state.transition?.patch === op.patch && state.transition.phase === 'running',
    errno: 'OK',
    log: ({ op, state }) => [
      new RegExp(`livepatch: '${op.patch}': (starting )?${state.transition?.target === 1 ? 'un' : ''}patching`),
    ],
    next: (c) => reverse(c.state, patchWritten(c)),
  },
  {
    clause: 'ENA-7',
    because: 'another patch is in transition',
    when: ({ state }) => state.transition !== null,
    errno: 'EBUSY',
  },
  {
    clause: 'DIS-2',
    because: 'a newer patch is enabled, and patches are disabled in reverse order',
    when: (c) =>
      c.facts.capabilities.has('registration') &&
      patchWritten(c).enabled &&
      newerThan(c).some((p) => p.enabled),
    errno: 'EBUSY',
  },
  {
    clause: 'DIS-4',
    because: 'the patch is disabled; calls fall back to what lies below',
    when: (c) => patchWritten(c).enabled,
    errno: 'OK',
    next: (c) => startTransition(replacePatch(c.state, { ...patchWritten(c), enabled: false }), c.op.patch, 0),
  },
  {
    clause: 'ENA-13',
    because: 'this generation cannot enable a patch a second time',
    when: ({ facts }) => !facts.capabilities.has('registration'),
    errno: 'EINVAL',
  },
  {
    clause: 'ENA-5',
    because: 'only the first disabled patch may be enabled',
    when: (c) => olderThan(c).some((p) => !p.enabled),
    errno: 'EBUSY',
    documented: { because: 'patches may be enabled in another order than registered', errno: 'OK', next: enableAgain },
  },
  {
    clause: 'ENA-13',
    because: 'a disabled patch is enabled again',
    when: () => true,
    errno: 'OK',
    log: ({ op }) => [new RegExp(`livepatch: enabling patch '${op.patch}'`)],
    next: enableAgain,
  },
];

function enableAgain(c: Context<Write>): State {
  const enabled = replacePatch(c.state, { ...patchWritten(c), enabled: true, stacked: nextPlace(c.state) });
  return startTransition(enabled, c.op.patch, 1);
}

function patchWritten({ op, state }: Context<Write>): Patch {
  const patch = findPatch(state, op.patch);
  if (!patch) throw new RangeError(`the model has no patch ${op.patch}`); // the first rule has caught it
  return patch;
}

function newerThan(c: Context<Write>): readonly Patch[] {
  return c.state.patches.slice(c.state.patches.indexOf(patchWritten(c)) + 1);
}

function olderThan(c: Context<Write>): readonly Patch[] {
  return c.state.patches.slice(0, c.state.patches.indexOf(patchWritten(c)));
}

function replacePatch(state: State, patch: Patch): State {
  return {
    ...state,
    patches: state.patches.map((p) => (p.description.name === patch.description.name ? patch : p)),
  };
}

/** klp_reverse_transition: `enabled` and target flip at once; who had arrived must travel back (transition.c). */
function reverse(state: State, patch: Patch): State {
  const { transition } = state;
  if (!transition) return state;
  const turned = replacePatch(state, { ...patch, enabled: !patch.enabled });
  return startTransition(turned, transition.patch, transition.target === 1 ? 0 : 1);
}

// ---- tasks -----------------------------------------------------------------------------------------------------

/** A step that only sets the scene, done. */
function staged(because: string, next: State): Outcome {
  return { clause: null, errno: 'OK', log: [], next, because, oracle: 'mainline', forbidden: false };
}

/** The directory is being taken away: gone, going, or still there with a patch that can't be enabled again. */
function writeToLeaving(state: State): readonly Outcome[] {
  const because = 'the disabled patch is being removed';
  return (['ENOENT', 'ENODEV', 'EINVAL'] as const).map((errno) => ({ ...staged(because, state), errno }));
}

function park({ op, state }: Context<OperationOf<'park'>>): readonly Outcome[] {
  if (!reachableBodies(state, op.function).includes(op.body)) return [];
  const task = { tid: op.tid, frames: [{ function: op.function, body: op.body }] };
  const because = `task ${op.tid} sleeps in ${op.body} of ${functionKey(op.function)}`;
  return [staged(because, { ...state, tasks: [...state.tasks, task] })];
}

function release({ op, state }: Context<OperationOf<'release'>>): readonly Outcome[] {
  const tasks = state.tasks.filter((t) => t.tid !== op.tid);
  return [staged(`task ${op.tid} leaves the function`, { ...state, tasks })];
}

// ----------------------------------------------------------------------------------------------------------------

function decide<O extends Operation>(rules: readonly Rule<O>[], context: Context<O>): readonly Outcome[] {
  const rule = rules.find((r) => r.when(context));
  if (!rule) return [];
  const { clause, documented } = rule;
  const mainline: Outcome = {
    clause,
    errno: rule.errno,
    log: rule.log?.(context) ?? [],
    next: rule.next?.(context) ?? context.state,
    because: rule.because,
    oracle: 'mainline',
    forbidden: documented !== undefined,
  };
  if (!documented) return [mainline];
  const { errno, because } = documented;
  return [mainline, { clause, errno, log: [], next: documented.next(context), because, oracle: 'documents', forbidden: false }];
}

/**
 * The ways an operation may end from one state.
 * @returns outcomes; mainline code of the facts' generation does one of them
 */
export function step(state: State, op: Operation, facts: Facts): readonly Outcome[] {
  // klp_complete_transition() runs under klp_mutex: an operation that takes it comes before or after, never between.
  const takesMutex = op.kind === 'write-enabled' || op.kind === 'load';
  if (takesMutex && state.transition?.phase === 'finishing') return [];
  switch (op.kind) {
    case 'load':
      return decide(loadRules, { state, op, facts });
    case 'unload':
      return decide(unloadRules, { state, op, facts });
    case 'write-enabled':
      return findPatch(state, op.patch)?.presence === 'leaving'
        ? writeToLeaving(state)
        : decide(writeRules, { state, op, facts });
    case 'park':
      return park({ state, op, facts });
    case 'release':
      return release({ state, op, facts });
    default:
      return [];
  }
}
