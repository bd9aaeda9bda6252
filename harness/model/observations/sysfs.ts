// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { type PatchedObject, entriesOf, objectsOf } from '../description.js';
import { directoryOf } from '../operations/register.js';
import { objectsInForce } from '../replace.js';
import { type Facts, type Patch, type State, findPatch, isLoaded, patchInTransition } from '../state.js';
import { type Prediction, type Rule, type SeenEntry, equal, prediction } from './types.js';

// ---- sysfs -----------------------------------------------------------------------------------------------------

const octal = (mode: number): string => `0${mode.toString(8)}`;

/** Attribute files of a patch's directory, with their modes, by generation. */
function patchAttributes({ capabilities }: Facts): readonly (readonly [string, number])[] {
  const all: (readonly [string, number])[] = [
    ['enabled', 0o644],
    ['transition', 0o444],
  ];
  if (capabilities.has('sysfs-signal')) all.push(['signal', 0o200]);
  if (capabilities.has('sysfs-force')) all.push(['force', 0o200]);
  if (capabilities.has('sysfs-replace')) all.push(['replace', 0o444]);
  if (capabilities.has('sysfs-stack-order')) all.push(['stack_order', 0o444]);
  return all;
}

/**
 * Whether the kernel has redirected an object's functions for a patch, even back to the original for the time of a disable:
 * what the object's file `patched` says (obj->patched, kernel/livepatch/patch.c).
 */
export function isPatched(state: State, { description, enabled }: Patch, { name, literal }: PatchedObject): boolean {
  return literal !== true && isLoaded(state, name) && (enabled || state.transition?.patch === description.name);
}

function directories(patch: Patch): readonly string[] {
  const all = entriesOf({ objects: objectsInForce(patch) }).map((e) => `${e.object.name}/${directoryOf(e)}`);
  return [...new Set([...objectsInForce(patch).map((o) => o.name), ...all])];
}

/** The clause that says why a patch has no directory. */
function absenceClause(state: State, name: string, facts: Facts): ClauseId {
  const module = state.modules.find((m) => m.name === name);
  if (!module) return 'REG-10';
  if (state.replaced.includes(name)) return 'REP-2';
  if (module.kind !== 'livepatch' || module.driven !== true || !facts.capabilities.has('registration')) return 'DIS-7';
  return state.initialised.includes(name) ? 'UNR-4' : 'REG-23';
}

/** The clause of a value of `enabled`: that of the patch itself, or what becomes of it as another replaces it. */
function enabledClause(state: State, name: string): ClauseId {
  if (state.replaced.includes(name)) return 'REP-2';
  const other = patchInTransition(state);
  return other?.description.replace && other.description.name !== name ? 'REP-4' : 'ENA-3';
}

/** A patch's tree in /sys/kernel/livepatch. */
export const sysfsRule: Rule<'sysfs'> = (state, { patch: name, entries }, facts) => {
  const patch = findPatch(state, name);
  const where = `/sys/kernel/livepatch/${name}`;
  if (!patch) {
    return [equal(absenceClause(state, name, facts), where, entries ? 'present' : 'absent', 'absent')];
  }
  if (!entries) {
    const allowed = patch.presence === 'leaving' ? 'absent or going' : 'present';
    return [prediction('DIS-7', where, 'absent', allowed, patch.presence === 'leaving')];
  }
  const predictions: Prediction[] = [];
  const files = entries.filter((e) => e.type === 'file');
  const top = files.filter((e) => !e.path.includes('/'));
  const attributes = patchAttributes(facts);
  const list = (pairs: readonly (readonly [string, number])[]): string =>
    pairs.map(([file, mode]) => `${file} ${octal(mode)}`).sort().join(', ');
  const basic = (file: string): boolean => file === 'enabled' || file === 'transition';
  const seenPairs = top.map((e) => [e.path, e.mode] as const);
  // While the directory is being taken away, any part of it may be missing.
  if (patch.presence === 'listed') {
    predictions.push(
      equal('SYS-1', `${where}: modes`, list(seenPairs.filter(([f]) => basic(f))), list(attributes.filter(([f]) => basic(f)))),
      equal(
        'SYS-5',
        `${where}: files of later generations`,
        list(seenPairs.filter(([f]) => !basic(f))) || 'none',
        list(attributes.filter(([f]) => !basic(f))) || 'none',
      ),
      equal(
        'REG-9',
        `${where}: directories`,
        entries.filter((e) => e.type === 'directory').map((e) => e.path).sort().join(' '),
        [...directories(patch)].sort().join(' '),
      ),
    );
    const absent = objectsOf(patch.description).filter((o) => !isLoaded(state, o.name)).map((o) => o.name);
    if (absent.length > 0) {
      const there = absent.filter((o) => entries.some((e) => e.path === o));
      predictions.push(equal('REG-15', `${where}: objects that are not loaded`, there.join(' ') || 'none', absent.join(' ')));
    }
    const below = files.filter((e) => e.path.split('/').length > 2).map((e) => e.path);
    predictions.push(objectFiles(state, patch, files, facts));
    predictions.push(equal('SYS-4', `${where}: files of function directories`, below.join(' ') || 'none', 'none'));
  }
  const enabled = top.find((e) => e.path === 'enabled')?.value ?? null;
  if (enabled !== null) predictions.push(equal(enabledClause(state, name), `${where}/enabled`, enabled, patch.enabled ? '1' : '0'));
  predictions.push(...replaceFiles(state, patch, top));
  const transition = top.find((e) => e.path === 'transition')?.value ?? null;
  if (transition !== null) {
    const inTransition = state.transition?.patch === name;
    const clause = patch.description.immediate === true ? 'IMM-1' : 'ENA-2';
    predictions.push(equal(clause, `${where}/transition`, transition, inTransition ? '1' : '0'));
  }
  return predictions;
};

/** Files of object directories, where the generation has them. */
function objectFiles(state: State, patch: Patch, files: readonly SeenEntry[], { capabilities }: Facts): Prediction {
  const seen = files.filter((e) => e.path.split('/').length === 2).map((e) => `${e.path} ${octal(e.mode)} ${e.value}`);
  const objects = capabilities.has('sysfs-patched') ? objectsInForce(patch) : [];
  const allowed = objects.map((o) => `${o.name}/patched 0444 ${isPatched(state, patch, o) ? 1 : 0}`);
  const text = (list: readonly string[]): string => [...new Set(list)].sort().join(', ') || 'none';
  return equal('SYS-5', `/sys/kernel/livepatch/${patch.description.name}: files of object directories`, text(seen), text(allowed));
}

/** Files that tell of atomic replace, where the generation has them. */
function replaceFiles(state: State, patch: Patch, files: readonly SeenEntry[]): readonly Prediction[] {
  if (patch.presence !== 'listed') return [];
  const place = 1 + state.patches.filter((p) => p.presence === 'listed').indexOf(patch);
  const values = { replace: patch.description.replace ? '1' : '0', stack_order: String(place) };
  return Object.entries(values).flatMap(([file, allowed]) => {
    const value = files.find((e) => e.path === file)?.value ?? null;
    return value === null ? [] : [equal('REP-5', `/sys/kernel/livepatch/${patch.description.name}/${file}`, value, allowed)];
  });
}

/** Which patches have a directory. */
export const patchesRule: Rule<'patches'> = (state, { names }) => {
  const allowed = state.patches.filter((p) => p.presence === 'listed').map((p) => p.description.name);
  const leaving = state.patches.filter((p) => p.presence === 'leaving').map((p) => p.description.name);
  const seen = names.filter((name) => !leaving.includes(name));
  const text = (list: readonly string[]): string => [...list].sort().join(' ') || 'none';
  const ordinary = equal('REG-23', 'patches in /sys/kernel/livepatch', text(seen), text(allowed));
  // The ABI text gives every livepatch module that is loaded a directory.
  const modules = state.modules.filter((m) => m.kind === 'livepatch').map((m) => m.name);
  if (text(modules) === text(allowed)) return [ordinary];
  return [{ ...ordinary, documented: { allowed: text(modules), holds: text(seen) === text(modules) } }];
};

/** Whether a disabled patch's directory goes away. */
export const leftSysfsRule: Rule<'left-sysfs'> = (state, { patch, left }, facts) => {
  const known = findPatch(state, patch);
  const staysForGood = known !== undefined && (facts.capabilities.has('registration') || state.heldKobjects.includes(patch));
  const allowed = staysForGood ? 'stays' : 'is taken away';
  return [
    prediction(state.replaced.includes(patch) ? 'REP-2' : 'DIS-7', `directory of ${patch} after its disable`, left ? 'is taken away' : 'stays', allowed, left ? !known : staysForGood),
  ];
};
