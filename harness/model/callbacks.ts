// SPDX-License-Identifier: MIT
import type { ClauseId } from './catalogue/types.js';
import { type CallbackName, type LivepatchDescription, type PatchedObject, type SystemState, objectsOf, vmlinux } from './description.js';
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
  return objects.reduce((before, o) => {
    if (o.callbacks?.includes(which) !== true) return before;
    const text = `${patch.name} ${o.name} ${which}`;
    if (o.name !== vmlinux) return said(before, clause, `${text} ${as}`);
    if (!patch.states) return said(before, clause, text);
    const next = which === 'pre_patch' ? takenOver(before, patch, patch.states) : before;
    return said(next, 'STA-3', `${text}${patch.states.map(({ id }) => ` state ${id}: ${heldIn(next, patch, id, which)}`).join('')}`);
  }, state);
}

function said(state: State, clause: ClauseId, text: string): State {
  return { ...state, callbacks: [...state.callbacks, { clause, text }] };
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

// ---- system states -----------------------------------------------------------------------------------------------

/** What the newest of the patches before this one keeps in a state (klp_get_prev_state(), kernel/livepatch/state.c). */
function keptBefore(state: State, patch: LivepatchDescription, id: number): string | undefined {
  const listed = state.patches.filter((p) => p.presence === 'listed' || p.description.name === patch.name);
  const place = listed.findIndex((p) => p.description.name === patch.name);
  const before = (place < 0 ? listed : listed.slice(0, place)).findLast((p) => p.description.states?.some((s) => s.id === id));
  return before && state.kept[keyOf(before.description, id)];
}

function takenOver(state: State, patch: LivepatchDescription, states: readonly SystemState[]): State {
  const kept = states.map(({ id }): [string, string] => {
    const before = keptBefore(state, patch, id);
    return [keyOf(patch, id), before === undefined ? patch.name : `${before}+${patch.name}`];
  });
  return { ...state, kept: { ...state.kept, ...Object.fromEntries(kept) } };
}

/** What a callback finds: post_unpatch the state of the patch before, which tells a reversal from a disable; any other its own. */
function heldIn(state: State, patch: LivepatchDescription, id: number, which: CallbackName): string {
  const found = which === 'post_unpatch' ? keptBefore(state, patch, id) : state.kept[keyOf(patch, id)];
  return found ?? 'nothing';
}

function keyOf({ name }: LivepatchDescription, id: number): string {
  return `${name} ${id}`;
}
