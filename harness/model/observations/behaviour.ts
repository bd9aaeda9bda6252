// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { type FunctionName, entriesOf, functionKey } from '../description.js';
import { isPinned, pinnedBy } from '../operations/unload.js';
import { settled } from '../progress.js';
import { type Facts, type State, entryFor, findPatch, isLoaded, references, stackOf } from '../state.js';
import { holders, isHeld, reachableBodies, stragglers } from '../tasks.js';
import { bystanders } from './kinds.js';
import { type Prediction, type Rule, equal, prediction } from './types.js';

/** The clause that a call of a function speaks to: what it falls back to, what a loading module gets, or who wins. */
function callClause(state: State, f: FunctionName, caller: number): ClauseId {
  const [top] = stackOf(state, f);
  if (!state.ftraceOn) return 'FTR-5';
  if (!top) {
    if (wasRefused(state, f)) return 'ENA-10';
    return state.patches.some((p) => p.enabled && p.description.replace) ? 'REP-1' : 'DIS-4';
  }
  const { description } = top;
  if (!entryFor(description, f)) return 'REP-1';
  const held = holders(state).some((h) => h.task.tid === caller);
  if (held && state.transition?.patch === description.name) return 'ENA-14';
  const loaded = state.modules.map((m) => m.name);
  // A driven module's patch is enabled at some time after it was loaded.
  const cameLater = description.driven !== true && loaded.indexOf(f.object) > loaded.indexOf(description.name);
  if (cameLater) return state.transition?.patch === description.name ? 'MOD-6' : 'MOD-1';
  if (f.position !== undefined) return 'REG-14';
  return 'ENA-12';
}

/** Whether ftrace has refused the enable of a patch that replaces `f`: then it must be as it was. */
export function wasRefused(state: State, f: FunctionName): boolean {
  return state.modules.some((m) => m.kind === 'livepatch' && state.refused.includes(m.name) && entryFor(m, f) !== undefined);
}

/** Which body a call reaches. The document has an immediate function redirected for everybody at once. */
export const callRule: Rule<'call'> = (state, { function: f, caller, body }) => {
  const bodies = reachableBodies(state, f, caller);
  const what = `call of ${functionKey(f)}`;
  const ordinary = prediction(callClause(state, f, caller), what, body, bodies.join(' or '), bodies.includes(body));
  const [top] = stackOf(state, f);
  const immediate = top && entryFor(top.description, f)?.entry.immediate === true;
  if (!top || !immediate || state.transition?.patch !== top.description.name) return [ordinary];
  const demanded = top.description.name;
  const documented = { allowed: `${demanded} at once`, holds: body === demanded };
  return bodies.includes(demanded) ? [ordinary] : [{ ...ordinary, clause: 'IMM-4', documented }];
};

/** References of a module, once what the kernel does by itself has been waited for. */
export const referencesRule: Rule<'references'> = (state, { module, count }, facts) => {
  const allowed = references(settled(state, facts), module);
  return [equal(referencesClause(state, module, facts), `references of module ${module}`, count, allowed)];
};

function referencesClause(state: State, module: string, { capabilities }: Facts): ClauseId {
  const patch = findPatch(state, module);
  const pinned = pinnedBy(state, module);
  if (pinned !== undefined) return references(state, module) > 1 ? 'IMM-3' : pinned;
  if (patch?.enabled) return 'ENA-9';
  if (isPinned(state, module)) return state.forced[module] === 'removed' ? 'FRC-2' : 'FRC-3';
  if (state.replaced.includes(module)) return 'REP-2';
  const neverEnabled = state.references[module] === undefined && patch !== undefined;
  return neverEnabled && capabilities.has('registration') ? 'REG-20' : 'DIS-6';
}

/** Whether a transition ends, and what the log says of it then. */
export const transitionEndRule: Rule<'transition-end'> = (state, { patch, ended, log }, facts) => {
  const inTransition = state.transition?.patch === patch;
  const held = inTransition && isHeld(state, facts);
  const what = `end of the transition of ${patch}`;
  const mayLast = inTransition && stragglers(state).length > 0;
  const free = held || mayLast ? [] : bystanders(state, what, ended);
  const known = findPatch(state, patch);
  const clauses = (clause: ClauseId): readonly ClauseId[] => {
    const lacks = known !== undefined && entriesOf(known.description).some((e) => !isLoaded(state, e.object.name));
    return lacks && !held ? [clause, 'CHK-9'] : [clause];
  };
  const may = held ? 'held' : mayLast ? 'held or ended' : 'ended';
  if (!ended) return [
    ...clauses('TRN-7').map((clause) => prediction(clause, what, 'not ended', may, held || mayLast)),
    ...free,
  ];
  const predictions = [...clauses('TRN-5').map((clause) => prediction(clause, what, 'ended', held ? 'held' : 'ended', !inTransition)), ...free];
  // Of a patch that has left already nobody knows which way it went last.
  if (log && known) predictions.push(...completion(patch, known.enabled, log));
  return predictions;
};

/** A transition that has begun in this part of the log says that it is complete; nothing is known of an earlier one. */
function completion(patch: string, enabled: boolean, log: readonly string[]): readonly Prediction[] {
  const direction = enabled ? 'patching' : 'unpatching';
  const text = `livepatch: '${patch}': ${direction} complete`;
  const seen = log.filter((line) => line.includes('livepatch: ')).join(' ⏎ ') || 'nothing of livepatch';
  if (!log.some((line) => new RegExp(`'${patch}': (starting )?${direction}\\b(?! complete)`).test(line))) return [];
  return [prediction(enabled ? 'ENA-4' : 'DIS-4', `${patch}: kernel log`, seen, text, log.some((line) => line.trimEnd() === text))];
}

/** Addresses that livepatch relocations hold: written when the patch is taken, or while its module loads. */
export const resolvedSymbolsRule: Rule<'resolved-symbols'> = (state, { patch, symbols }, facts) => {
  const written = findPatch(state, patch) !== undefined || facts.capabilities.has('relocations-at-load');
  return symbols.map((s) =>
    written
      ? equal('REG-19', `${s.name} in ${patch}`, s.address ?? 'absent', s.truth)
      : prediction('REG-19', `${s.name} in ${patch}`, s.address ?? 'absent', 'not resolved yet', s.address !== s.truth),
  );
};

/** The taint of a livepatch module. */
export const taintRule: Rule<'taint'> = (state, { module, letters, kernel }) => {
  const description = state.modules.find((m) => m.name === module);
  const marked = description?.kind === 'livepatch' && description.fault !== 'EF-01';
  return [
    equal('REG-4', `taint of module ${module}: K`, letters.includes('K') ? 'set' : 'unset', marked ? 'set' : 'unset'),
    equal('REG-4', 'bit 15 of the taint of the kernel', kernel ? 'set' : 'unset', state.tainted ? 'set' : 'unset'),
  ];
};

/** A call of klp_unregister_patch() waits as long as somebody holds the patch's kobject. */
export const unregisterWaitsRule: Rule<'unregister-waits'> = (state, { patch, waits }) => {
  const allowed = state.heldKobjects.includes(patch) ? 'waits' : 'has returned';
  return [equal('UNR-4', `unregister of ${patch}`, waits ? 'waits' : 'has returned', allowed)];
};
