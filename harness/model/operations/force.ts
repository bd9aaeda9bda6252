// SPDX-License-Identifier: MIT
import { parseBoolean } from '../booleans.js';
import { type Facts, type State, findPatch } from '../state.js';
import { type Context, type OperationOf, type Outcome, type Rule, decide, lines, staged } from './types.js';

type Force = Context<OperationOf<'write-force'>>;

/** What force_store() checks (kernel/livepatch/core.c). */
const rules: readonly Rule<Force>[] = [
  {
    clause: null,
    because: 'the patch has no directory any more',
    when: ({ op, state }) => !findPatch(state, op.patch),
    errno: 'ENOENT',
  },
  {
    clause: 'SYS-2',
    because: 'the text is no boolean',
    when: ({ op, facts }) => parseBoolean(op.text, facts) === undefined,
    errno: 'EINVAL',
  },
  {
    clause: 'FRC-4',
    because: 'nothing is to be forced',
    when: ({ op, facts }) => parseBoolean(op.text, facts) === false,
    errno: 'OK',
    unlogged: () => lines('FRC-4', forcing),
  },
  {
    clause: 'FRC-4',
    because: 'the patch is not in transition',
    when: ({ op, state }) => state.transition?.patch !== op.patch,
    errno: 'EINVAL',
    unlogged: () => lines('FRC-4', forcing),
  },
  {
    clause: 'FRC-1',
    because: 'every task that has not switched is switched',
    when: () => true,
    errno: 'OK',
    log: () => lines('FRC-1', forcing),
    next: ({ state }) => forced(state, removedByTransition(state)),
  },
];

const forcing = 'livepatch: forcing remaining tasks to the patched state';

/** Patches whose code nobody should run after the transition: the one that is disabled, or those that are replaced. */
function removedByTransition(state: State): readonly string[] {
  const names = listed(state);
  const { transition } = state;
  if (transition?.target === 0) return [transition.patch];
  const patch = state.patches.find((p) => p.description.name === transition?.patch);
  return patch?.description.replace ? names.filter((name) => name !== transition?.patch) : [];
}

function listed(state: State): readonly string[] {
  return state.patches.filter((p) => p.presence === 'listed').map((p) => p.description.name);
}

/** All tasks switched; the modules of these patches keep their references when the patches leave. */
function forced(state: State, pinned: readonly string[]): State {
  const { transition } = state;
  if (!transition) return state;
  const removed = removedByTransition(state);
  return {
    ...state,
    transition: { ...transition, forced: true },
    patches: state.patches.map((p) => (pinned.includes(p.description.name) ? { ...p, pinned: true } : p)),
    forced: { ...state.forced, ...Object.fromEntries(listed(state).map((name) => [name, removed.includes(name) ? 'removed' : 'stayed'] as const)) },
  };
}

/**
 * The ways a write into `force` may end. On 5.10 it pins every patch that is there, and nothing shows which kind a
 * kernel is: both are allowed, and the document, which has all pinned, tells them apart at the rmmod (FRC-3).
 */
export function writeForce(state: State, op: OperationOf<'write-force'>, facts: Facts): readonly Outcome[] {
  if (!facts.capabilities.has('sysfs-force')) return [];
  const patch = findPatch(state, op.patch);
  if (patch?.presence === 'leaving' && !state.heldKobjects.includes(op.patch)) {
    const outcome = staged('the disabled patch is being removed', state);
    return (['ENOENT', 'ENODEV', parseBoolean(op.text, facts) === false ? 'OK' : 'EINVAL'] as const).map((errno) => ({ ...outcome, errno }));
  }
  const outcomes = decide(rules, { state, op, facts });
  const pinsAll = outcomes.filter((o) => o.clause === 'FRC-1' && removedByTransition(state).length < listed(state).length);
  return [...outcomes, ...pinsAll.map((o) => ({ ...o, next: forced(state, listed(state)) }))];
}
