// SPDX-License-Identifier: MIT
import { type LivepatchDescription, type PatchedObject, entriesOf } from '../description.js';
import { called, calledInVain, loadedObjects } from '../callbacks.js';
import { complete, pinsItsModule } from '../progress.js';
import { isReplacement } from '../replace.js';
import {
  type Facts,
  type Patch,
  type PatchState,
  type State,
  type Transition,
  entryFor,
  findPatch,
  refer,
  replacePatch,
} from '../state.js';
import { holders, switched } from '../tasks.js';
import { type Obstacle, ftraceObstacle, obstacleLines } from './obstacle.js';
import { isThere } from './register.js';
import { type LogLine, type Rule, lines, literally } from './types.js';

/** A registered patch that is to be enabled or disabled. */
export interface Switching {
  readonly state: State;
  readonly patch: Patch;
  readonly facts: Facts;
  /** `load`: from the init of its module, which then ends. */
  readonly via: 'load' | 'api' | 'write';
}

// ---- enable ----------------------------------------------------------------------------------------------------

/** klp_enable_patch() of a registered patch, and what 5.1 and later do once they have taken one. */
export const enableRules: readonly Rule<Switching>[] = [
  {
    clause: 'ENA-8',
    because: 'the patch is in transition itself',
    when: ({ state, patch }) => state.transition?.patch === patch.description.name,
    errno: 'EBUSY',
  },
  {
    clause: 'ENA-7',
    because: 'another patch is in transition',
    when: ({ state }) => state.transition !== null,
    errno: 'EBUSY',
  },
  {
    clause: 'ENA-8',
    because: 'the patch is enabled',
    when: ({ patch }) => patch.enabled,
    errno: 'EINVAL',
    log: () => lines('ENA-8', 'WARNING: .*kernel/livepatch/core\\.c'),
  },
  {
    clause: 'ENA-6',
    because: 'an older patch is disabled, and patches are enabled in the order of their registration',
    when: (c) => c.via === 'load' && olderDisabled(c),
    errno: 'EBUSY',
    documented: { because: 'patches may be enabled in another order than registered', errno: 'OK', next: enabled },
  },
  {
    clause: 'ENA-5',
    because: 'only the first disabled patch may be enabled',
    when: olderDisabled,
    errno: 'EBUSY',
    documented: { because: 'patches may be enabled in another order than registered', errno: 'OK', next: enabled },
  },
  {
    clause: 'CBK-5',
    because: 'a pre_patch callback fails',
    when: (c) => failingObject(c) !== undefined,
    errno: 'ENODEV',
    log: (c) => lines(
      'CBK-5',
      `livepatch: pre-patch callback failed for object '${failingObject(c)?.name ?? ''}'`,
      `livepatch: failed to enable patch '${literally(c.patch.description.name)}'`,
    ),
    next: cancelled,
  },
  {
    clause: 'FTR-1',
    because: 'ftrace cannot attach to a function that is not traced',
    when: (c) => obstacle(c)?.why === 'untraced',
    errno: 'EINVAL',
    log: refused,
    next: cancelled,
  },
  {
    clause: 'REG-16',
    because: 'ftrace cannot attach to data',
    when: (c) => obstacle(c)?.why === 'data',
    errno: 'EINVAL',
    log: refused,
    next: cancelled,
  },
  {
    clause: 'FTR-5',
    because: 'ftrace is switched off, and livepatch asks for an operation that must not be',
    when: (c) => obstacle(c)?.why === 'switched off',
    errno: 'EBUSY',
    log: refused,
    next: cancelled,
  },
  {
    clause: 'FTR-2',
    because: 'a kretprobe has the function, and the first user of its redirection wins',
    when: (c) => obstacle(c)?.why === 'return probe',
    errno: 'EBUSY',
    log: refused,
    next: cancelled,
  },
  {
    clause: 'FTR-3',
    because: 'a kprobe has the function, and the first user of its redirection wins',
    when: (c) => obstacle(c)?.why === 'entry probe',
    errno: 'EBUSY',
    log: refused,
    next: cancelled,
    documented: { because: 'only kretprobes conflict with patches', errno: 'OK', next: enabled },
  },
  {
    clause: 'FTR-2',
    because: 'a kretprobe has the function, and shares it with the patch',
    when: sharesWithReturnProbe,
    errno: 'OK',
    log: enablingLines,
    next: enabled,
    documented: { because: 'the second user of the redirection is rejected', errno: 'EBUSY', next: ({ state }) => state },
  },
  {
    clause: 'FTR-5',
    because: 'ftrace is switched off: the patch is enabled and changes nothing',
    when: ({ state }) => !state.ftraceOn,
    errno: 'OK',
    log: enablingLines,
    next: enabled,
  },
  {
    clause: 'ENA-13',
    because: 'a disabled patch is enabled again',
    when: ({ via }) => via === 'write',
    errno: 'OK',
    log: enablingLines,
    next: enabled,
  },
  {
    clause: 'ENA-4',
    because: 'the patch is enabled and in transition',
    when: () => true,
    errno: 'OK',
    log: enablingLines,
    next: enabled,
  },
];

function olderDisabled({ state, patch, facts }: Switching): boolean {
  if (!facts.capabilities.has('registration')) return false;
  const listed = state.patches.filter((p) => p.presence === 'listed');
  return listed.slice(0, listed.findIndex((p) => p.description.name === patch.description.name)).some((p) => !p.enabled);
}

function enablingLines({ patch }: Switching): readonly LogLine[] {
  const name = literally(patch.description.name);
  return lines('ENA-4', `livepatch: enabling patch '${name}'`, `livepatch: '${name}': (starting )?patching`);
}

function enabled({ state, patch, facts }: Switching): State {
  const place = 1 + Math.max(0, ...state.patches.map((p) => p.stacked ?? 0));
  const { description } = patch;
  const stacked = replacePatch(state, { ...patch, enabled: true, stacked: place });
  const prepared = called(stacked, description, loadedObjects(state, description), 'pre_patch', isReplacement(state, patch) ? 'CBK-6' : 'CBK-1');
  return start(refer(prepared, description.name, 1), patch, 1, facts);
}

function obstacle({ state, patch, facts }: Switching): Obstacle | undefined {
  return ftraceObstacle(
    entriesOf(patch.description).filter((e) => isThere(state, e.object)),
    state,
    facts,
  );
}

/** The object whose pre_patch stops an enable, unless ftrace has refused one before it. */
function failingObject(c: Switching): PatchedObject | undefined {
  const objects = loadedObjects(c.state, c.patch.description);
  const failing = objects.find((o) => o.failing);
  const refused = obstacle(c)?.object;
  return failing && refused && objects.indexOf(refused) < objects.indexOf(failing) ? undefined : failing;
}

function sharesWithReturnProbe({ state, patch }: Switching): boolean {
  return state.probes.some((p) => p.place === 'return' && p.alive && entryFor(patch.description, p.function) !== undefined);
}

/** What the kernel says of an enable that ftrace refuses. */
function refused(c: Switching): readonly LogLine[] {
  const { name, why } = obstacle(c) ?? { name: '', why: 'data' };
  const patch = literally(c.patch.description.name);
  return [
    ...obstacleLines(name, why, c.facts),
    ...(c.facts.capabilities.has('registration') ? [] : lines('ENA-10', 'livepatch: failed to patch object ')),
    ...lines('ENA-10', `livepatch: failed to enable patch '${patch}'`),
  ];
}

/** A failed enable: as before, but for the reference that an immediate patch never gives back (klp_cancel_transition, 4.14). */
function cancelled(c: Switching): State {
  const { description } = c.patch;
  const failing = failingObject(c);
  const at = failing ?? obstacle(c)?.object;
  const state = at ? calledInVain(c.state, description, at, failing !== undefined) : c.state;
  const refused = { ...state, refused: [...new Set([...state.refused, description.name])] };
  return pinsItsModule(description) ? refer(refused, description.name, 1) : refused;
}

// ---- disable ---------------------------------------------------------------------------------------------------

/** klp_disable_patch() of an enabled patch. */
export const disableRules: readonly Rule<Switching>[] = [
  {
    clause: 'ENA-7',
    because: 'another patch is in transition',
    when: ({ state }) => state.transition !== null,
    errno: 'EBUSY',
  },
  {
    clause: 'DIS-2',
    because: 'a newer patch is enabled, and patches are disabled in reverse order',
    when: newerEnabled,
    errno: 'EBUSY',
  },
  {
    clause: 'DIS-4',
    because: 'the patch is disabled; calls fall back to what lies below',
    when: () => true,
    errno: 'OK',
    log: ({ patch }) => lines('DIS-4', `livepatch: '${literally(patch.description.name)}': (starting )?unpatching`),
    next: ({ state, patch, facts }) => {
      const asked = called(state, patch.description, loadedObjects(state, patch.description), 'pre_unpatch', 'CBK-2');
      return start(replacePatch(asked, { ...patch, enabled: false }), patch, 0, facts);
    },
  },
];

function newerEnabled({ state, patch, facts }: Switching): boolean {
  if (!facts.capabilities.has('registration')) return false;
  return state.patches.slice(1 + state.patches.findIndex((p) => p.description.name === patch.description.name)).some((p) => p.enabled);
}

// ---- transitions -----------------------------------------------------------------------------------------------

/** A transition begins; one of an immediate patch is over in the same moment. */
function start(state: State, { description }: Patch, target: PatchState, facts: Facts, turned = false): State {
  const transition: Transition = { patch: description.name, target, phase: 'running', arrived: [], turned, forced: false };
  const started = { ...state, transition, tasks: state.tasks.map((t) => ({ ...t, signalled: false })) };
  return description.immediate === true ? complete(started, transition, facts) : started;
}

/** klp_reverse_transition: `enabled` and target flip at once; who had arrived must travel back (transition.c). */
export function reversed(state: State, facts: Facts): State {
  const { transition } = state;
  const patch = transition ? findPatch(state, transition.patch) : undefined;
  if (!transition || !patch) return state;
  const turned = replacePatch(state, { ...patch, enabled: !patch.enabled });
  // Those that hold it are at the new target already, which nothing but this says of a stack that is not reliable.
  const arrived = holders(state).flatMap((h) => (h.why === 'unreliable' ? [h.task.tid] : []));
  return switched(start(turned, patch, transition.target === 1 ? 0 : 1, facts, !transition.turned), ...arrived);
}

/** What the kernel says when a transition turns. */
export function reversalLines(state: State, patch: LivepatchDescription): readonly LogLine[] {
  const to = state.transition?.target === 1 ? 'unpatching' : 'patching';
  return lines('TRN-6', `livepatch: '${literally(patch.name)}': (starting )?${to}`);
}

