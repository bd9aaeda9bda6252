// SPDX-License-Identifier: MIT
import { type LivepatchDescription, type PatchedObject, type ReplacedFunction, objectsOf } from './description.js';
import type { Patch, State } from './state.js';

/*
 * Atomic replace: a patch with the flag `replace` takes the place of all that are there (cumulative-patches.rst; 5.1 and later).
 */

/** What a patch gets beside its own objects: the functions that only patches before it have (klp_add_nops). */
export function nopsFor(state: State, description: LivepatchDescription): readonly PatchedObject[] {
  if (description.replace !== true) return [];
  const nops: { name: string; literal?: true; functions: ReplacedFunction[] }[] = [];
  for (const old of state.patches.filter((p) => p.presence === 'listed')) {
    for (const object of objectsOf(old.description)) {
      const own = objectsOf(description).find((o) => sameObject(o, object));
      let added = nops.find((o) => sameObject(o, object));
      const missing = (object.functions ?? []).filter((f) => ![own, added].some((o) => o?.functions?.some((g) => sameFunction(f, g))));
      if (!added && (missing.length > 0 || !own)) {
        added = { name: object.name, ...(object.literal ? { literal: true } : {}), functions: [] };
        nops.push(added);
      }
      added?.functions.push(...missing.map(({ name, sympos }) => ({ name, ...(sympos === undefined ? {} : { sympos }) })));
    }
  }
  return nops;
}

function sameObject(a: PatchedObject, b: PatchedObject): boolean {
  return a.name === b.name && a.literal === b.literal;
}

/** Positions 0 and 1 are taken for the same (klp_find_func). */
function sameFunction(a: ReplacedFunction, b: ReplacedFunction): boolean {
  return a.name === b.name && Math.max(1, a.sympos ?? 0) === Math.max(1, b.sympos ?? 0);
}

/** A patch's objects, and while it is being put in the place of others, those that only they have. */
export function objectsInForce({ description, nops }: Patch): readonly PatchedObject[] {
  return [...objectsOf(description), ...nops];
}

/** Whether the transition under way replaces patches that have not been taken from their stacks yet. */
export function isReplacing(state: State): boolean {
  const { transition } = state;
  if (transition?.target !== 1) return false;
  const patch = state.patches.find((p) => p.description.name === transition.patch);
  return patch?.description.replace === true && (patch.nops.length > 0 || replacedBy(state, transition.patch).some((p) => p.enabled));
}

/** The end of such a transition: those before are disabled and their functions gone, and so is what was there because of them. */
export function unpatchReplaced(state: State): State {
  const name = state.transition?.patch ?? '';
  const gone = replacedBy(state, name);
  return {
    ...state,
    replaced: [...new Set([...state.replaced, ...gone.map((p) => p.description.name)])],
    patches: state.patches.map((p) => {
      if (p.description.name === name) return { ...p, nops: [] };
      return gone.includes(p) ? { ...p, enabled: false, stacked: null } : p;
    }),
  };
}

/** Whether a patch has others to replace. */
export function isReplacement(state: State, { description }: Patch): boolean {
  return description.replace === true && replacedBy(state, description.name).length > 0;
}

/** The patches that the newest one replaces: all that are in the list before it. */
export function replacedBy(state: State, name: string): readonly Patch[] {
  return state.patches.filter((p) => p.presence === 'listed' && p.description.name !== name);
}
