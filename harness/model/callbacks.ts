// SPDX-License-Identifier: MIT
import type { ClauseId } from './catalogue/types.js';
import { type CallbackName, type LivepatchDescription, type PatchedObject, objectsOf } from './description.js';
import { type State, isLoaded } from './state.js';

/*
 * Callbacks of a patch's objects (callbacks.rst; 4.15 and later). The state keeps which have run since somebody last looked.
 */

/** What a callback sees of the module that its object is. */
export type ModuleState = 'live' | 'coming' | 'going';

/** The objects of a patch that are in the kernel, in their order: callbacks of others do not run. */
export function loadedObjects(state: State, patch: LivepatchDescription): readonly PatchedObject[] {
  return objectsOf(patch).filter((o) => o.literal !== true && isLoaded(state, o.name));
}

/** The state after one callback of these objects has run, in their order, where they have it. */
export function called(
  state: State,
  patch: LivepatchDescription,
  objects: readonly PatchedObject[],
  which: CallbackName,
  clause: ClauseId,
  as: ModuleState = 'live',
): State {
  const runs = objects
    .filter((o) => o.callbacks?.includes(which))
    .map((o) => ({ clause, text: `${patch.name} ${o.name} ${which}${o.name === 'vmlinux' ? '' : ` ${as}`}` }));
  return runs.length === 0 ? state : { ...state, callbacks: [...state.callbacks, ...runs] };
}

/**
 * The state after an enable that stopped at an object: those before it were patched and are not any more.
 * @param refused pre_patch of the object has failed; else ftrace refused one of its functions
 */
export function calledInVain(state: State, patch: LivepatchDescription, at: PatchedObject, refused: boolean): State {
  const objects = loadedObjects(state, patch);
  const before = objects.slice(0, objects.indexOf(at));
  const prepared = called(state, patch, [...before, at], 'pre_patch', 'CBK-5');
  const undone = called(prepared, patch, before, 'post_unpatch', 'CBK-5');
  return refused ? undone : called(undone, patch, [at], 'post_unpatch', 'CBK-7');
}

/** The state after a patch has let go of a module: pre_unpatch and post_unpatch, in a transition of the patch the second only. */
export function calledOnGoing(state: State, patch: LivepatchDescription, module: string, as: ModuleState, clause: ClauseId): State {
  const objects = objectsOf(patch).filter((o) => o.literal !== true && o.name === module);
  const inTransition = state.transition?.patch === patch.name;
  const before = inTransition ? state : called(state, patch, objects, 'pre_unpatch', clause, as);
  return called(before, patch, objects, 'post_unpatch', clause, as);
}
