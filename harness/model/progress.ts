// SPDX-License-Identifier: MIT
import { called, loadedObjects } from './callbacks.js';
import { type LivepatchDescription, entriesOf } from './description.js';
import { isReplacement, isReplacing, replacedBy, unpatchReplaced } from './replace.js';
import { type Facts, type State, type Transition, patchInTransition, refer } from './state.js';
import { holders, isHeld, leavesOnFakeSignal, movedBySignal } from './tasks.js';

/*
 * What the kernel does by itself: transitions that nothing holds come to their end, directories go away.
 */

/**
 * States the kernel may reach by itself from here, this one first: a transition ends, a directory goes away, in either
 * order; what holds a transition for long is sent a signal.
 */
export function closure(state: State, facts: Facts): readonly State[] {
  return reachable(state, (from) => [...successors(from, facts), ...signalled(from, facts)]);
}

/** The state in which all has come to rest, as far as nothing holds it, and before anything has been held for long. */
export function settled(state: State, facts: Facts): State {
  return passed(state, facts).at(-1) ?? state;
}

/** The states on the way to {@link settled}, that one last. */
export function passed(state: State, facts: Facts): readonly State[] {
  return reachable(state, (from) => successors(from, facts));
}

function reachable(state: State, follow: (from: State) => readonly State[]): readonly State[] {
  const reached = [state];
  const known = new Set([JSON.stringify(state)]);
  for (const from of reached) {
    for (const next of follow(from)) {
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
  if (transition?.phase === 'finishing') next.push(isReplacing(state) ? unpatchReplaced(state) : complete(state, transition, facts));
  if (transition?.phase === 'running' && !isHeld(state, facts)) {
    next.push({ ...state, transition: { ...transition, phase: 'finishing' } });
  }
  const free = state.patches.filter((p) => p.presence === 'leaving' && !state.heldKobjects.includes(p.description.name));
  for (const leaving of free) {
    // The directory first, then the reference; both are seen as one step (klp_free_patch_finish, 5.1 and later).
    const without = { ...state, patches: state.patches.filter((p) => p !== leaving) };
    next.push(leaving.pinned ? without : refer(without, leaving.description.name, -1));
  }
  return next;
}

/** Every 15 seconds tasks that hold the transition are sent a signal which user space does not see, or are woken (5.1 and later). */
function signalled(state: State, { capabilities }: Facts): readonly State[] {
  if (!capabilities.has('fake-signals')) return [];
  return holders(state).flatMap(({ task }) => (leavesOnFakeSignal(task) ? [movedBySignal(state, task)] : []));
}

/**
 * The end of a transition, or of an immediate patch's enable or disable (klp_complete_transition).
 */
export function complete(before: State, { target, turned }: Transition, facts: Facts): State {
  const patch = patchInTransition(before);
  if (!patch) return { ...before, transition: null };
  const { description, presence } = patch;
  const ordinary = target === 0 ? 'CBK-2' : isReplacement(before, patch) ? 'CBK-6' : 'CBK-1';
  const which = target === 1 ? 'post_patch' : 'post_unpatch';
  const state = called(before, description, loadedObjects(before, description), which, turned ? 'CBK-3' : ordinary);
  const rest = { ...state, transition: null };
  if (target === 1) {
    const gone = description.replace ? replacedBy(state, description.name) : [];
    return { ...rest, patches: state.patches.map((p) => (gone.includes(p) ? { ...p, presence: 'leaving' } : p)) };
  }
  if (!facts.capabilities.has('registration')) {
    return { ...rest, patches: state.patches.map((p) => (p === patch ? { ...p, stacked: null, presence: 'leaving' } : p)) };
  }
  const patches =
    presence === 'unlisted'
      ? state.patches.filter((p) => p !== patch)
      : state.patches.map((p) => (p === patch ? { ...p, stacked: null } : p));
  const unstacked = { ...rest, patches };
  return pinsItsModule(description) ? unstacked : refer(unstacked, description.name, -1);
}

/** Nobody can know whether a task still runs in an immediate replacement: its module stays for good (livepatch.txt 223). */
export function pinsItsModule(patch: LivepatchDescription): boolean {
  return patch.immediate === true || entriesOf(patch).some((e) => e.entry.immediate === true);
}
