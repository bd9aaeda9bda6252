// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { type Facts, type State, findPatch, isLoaded, references } from '../state.js';
import { pinsItsModule } from '../progress.js';
import { calledOnUnload, goingLines, withoutTarget } from './load.js';
import { type Context, type OperationOf, type Outcome, type Rule, decide } from './types.js';

type Unload = Context<OperationOf<'unload'>>;

const rules: readonly Rule<Unload>[] = [
  {
    clause: 'ENA-9',
    because: 'the module is referenced by its own enabled patch',
    when: (c) => references(c.state, c.op.module) > 0 && pinning(c.state, c.op.module) === undefined && !isPinned(c.state, c.op.module),
    errno: 'EAGAIN',
  },
  {
    clause: 'FRC-2',
    because: 'its patch was removed by force, and nobody knows whether a task still runs in it',
    when: ({ state, op }) => isPinned(state, op.module) && state.forced[op.module] === 'removed',
    errno: 'EAGAIN',
  },
  {
    clause: 'FRC-3',
    because: 'force was used while its patch was there: on 5.10 that pins every patch',
    when: ({ state, op }) => isPinned(state, op.module) && state.forced[op.module] === 'stayed',
    errno: 'EAGAIN',
  },
  {
    clause: 'IMM-6',
    because: 'its enable was refused, and the reference that it took is still there',
    when: (c) => pinning(c.state, c.op.module) === 'refusal',
    errno: 'EAGAIN',
  },
  {
    clause: 'IMM-5',
    because: 'a function of its patch was immediate, and nobody knows whether a task still runs in it',
    when: (c) => pinning(c.state, c.op.module) === 'function',
    errno: 'EAGAIN',
  },
  {
    clause: 'IMM-2',
    because: 'its patch was immediate, and nobody knows whether a task still runs in it',
    when: (c) => pinning(c.state, c.op.module) === 'patch',
    errno: 'EAGAIN',
  },
  {
    clause: 'MOD-4',
    because: 'patches on the module are reverted while it goes',
    when: ({ state, op, facts }) => {
      const { log, unlogged } = goingLines(state, op.module, facts);
      return isLoaded(state, op.module) && log.length + unlogged.length > 0;
    },
    errno: 'OK',
    log: ({ state, op, facts }) => goingLines(state, op.module, facts).log,
    unlogged: ({ state, op, facts }) => goingLines(state, op.module, facts).unlogged,
    next: ({ state, op, facts }) => withoutTarget(calledOnUnload(state, op.module, facts), op.module, facts),
  },
  {
    clause: 'UNR-5',
    because: 'nothing makes sure that a patch is unregistered before its module goes',
    when: ({ state, op }) => isDriven(state, op.module) && findPatch(state, op.module) !== undefined,
    errno: 'OK',
    // The list keeps what lay in the module: what follows can't be predicted, and nothing should be tried.
    next: withoutPatchModule,
    documented: { because: 'a patch has to be unregistered before its module is unloaded', errno: 'EAGAIN', next: ({ state }) => state },
  },
  {
    clause: 'FRC-3',
    because: 'its patch was not removed by force but later, with every task switched',
    when: ({ state, op }) => state.forced[op.module] === 'stayed',
    errno: 'OK',
    next: withoutPatchModule,
    documented: { because: 'the use of force disables the removal of patch modules for good', errno: 'EAGAIN', next: ({ state }) => state },
  },
  {
    clause: 'REP-2',
    because: 'another patch has replaced its patch, and nothing refers to the module any more',
    when: ({ state, op }) => state.replaced.includes(op.module),
    errno: 'OK',
    next: withoutPatchModule,
  },
  {
    clause: 'DIS-6',
    because: 'nothing refers to the module any more',
    when: ({ state, op }) => state.modules.some((m) => m.name === op.module && m.kind === 'livepatch'),
    errno: 'OK',
    next: withoutPatchModule,
  },
  {
    clause: null,
    because: 'a module that no patch names just goes',
    when: ({ state, op }) => state.modules.some((m) => m.name === op.module),
    errno: 'OK',
    next: ({ state, op, facts }) => withoutTarget(state, op.module, facts),
  },
  { clause: null, because: 'no such module', when: () => true, errno: 'ENOENT' },
];

/** What keeps the reference of a module whose patch is not on the stack any more. */
function pinning(state: State, name: string): 'refusal' | 'patch' | 'function' | undefined {
  if (references(state, name) === 0) return undefined;
  const patch = findPatch(state, name);
  const module = state.modules.find((m) => m.name === name);
  if (module?.kind !== 'livepatch' || (patch && (patch.stacked !== null || patch.presence === 'leaving'))) return undefined;
  if (state.transition?.patch === name) return undefined;
  if (state.refused.includes(name) && pinsItsModule(module)) return 'refusal';
  if (module.immediate) return 'patch';
  return pinsItsModule(module) ? 'function' : undefined;
}

/** The clause of references that outlive the disable of an immediate patch. */
export function pinnedBy(state: State, module: string): ClauseId | undefined {
  const why = pinning(state, module);
  return why && { refusal: 'IMM-6', patch: 'IMM-2', function: 'IMM-5' }[why];
}

/** Whether a module is referenced though its patch has left: force was used. */
export function isPinned(state: State, module: string): boolean {
  return references(state, module) > 0 && !findPatch(state, module) && state.forced[module] !== undefined;
}

function isDriven(state: State, module: string): boolean {
  return state.modules.some((m) => m.kind === 'livepatch' && m.name === module && m.driven === true);
}

function withoutPatchModule({ state, op }: Unload): State {
  return {
    ...state,
    modules: state.modules.filter((m) => m.name !== op.module),
    patches: state.patches.filter((p) => p.description.name !== op.module),
    references: Object.fromEntries(Object.entries(state.references).filter(([name]) => name !== op.module)),
    forced: Object.fromEntries(Object.entries(state.forced).filter(([name]) => name !== op.module)),
    replaced: state.replaced.filter((name) => name !== op.module),
    refused: state.refused.filter((name) => name !== op.module),
    initialised: state.initialised.filter((name) => name !== op.module),
    unloadedSince: state.unloadedSince.filter((key) => !key.startsWith(`${op.module} `)),
    relocated: state.relocated.filter((key) => !key.startsWith(`${op.module} `)),
  };
}

/** The ways an rmmod may end. */
export function unload(state: State, op: OperationOf<'unload'>, facts: Facts): readonly Outcome[] {
  return decide(rules, { state, op, facts });
}
