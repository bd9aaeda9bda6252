// SPDX-License-Identifier: MIT
import type { LivepatchDescription } from '../description.js';
import { type Facts, type Patch, type State, findPatch } from '../state.js';
import { disableRules, enableRules, reversed } from './enable.js';
import { enableNew, withDemand } from './load.js';
import { acceptance, refusal, register } from './register.js';
import { type ApiCall, type Context, type LogLine, type OperationOf, type Outcome, type Rule, decide, lines, staged } from './types.js';

/** A call of the API, with the patch it names: by its module, which has been loaded. */
interface ApiContext extends Context<OperationOf<'api'>> {
  readonly description: LivepatchDescription;
  readonly patch: Patch | undefined;
}

const callsWithNull: readonly Rule<ApiContext>[] = [
  {
    clause: 'ENA-1',
    because: 'no patch is registered under a NULL pointer',
    when: ({ op, facts }) => op.call === 'enable' && facts.capabilities.has('registration'),
    errno: 'EINVAL',
  },
  { clause: 'DIS-1', because: 'no patch is registered under a NULL pointer', when: ({ op }) => op.call === 'disable', errno: 'EINVAL' },
  { clause: 'UNR-1', because: 'no patch is registered under a NULL pointer', when: ({ op }) => op.call === 'unregister', errno: 'EINVAL' },
  { clause: 'REG-1', because: 'there is no patch at all', when: () => true, errno: 'EINVAL' },
];

const registerRules: readonly Rule<ApiContext>[] = [
  {
    clause: 'REG-22',
    because: 'the patch was registered before, and its kobjects are initialised a second time',
    when: ({ state, op }) => state.initialised.includes(op.patch),
    errno: 'OK',
    log: initialisedTwice,
    next: ({ state, description }) => register(state, description),
  },
];

function initialisedTwice(): readonly LogLine[] {
  return lines('REG-22', 'kobject \\(.*\\): tried to init an initialized object');
}

const enableBefore: readonly Rule<ApiContext>[] = [
  { clause: 'ENA-1', because: 'the patch is not registered', when: ({ patch }) => !patch, errno: 'EINVAL' },
];

const disableBefore: readonly Rule<ApiContext>[] = [
  { clause: 'DIS-1', because: 'the patch is not registered', when: ({ patch }) => !patch, errno: 'EINVAL' },
  { clause: 'DIS-1', because: 'the patch is disabled', when: ({ patch }) => patch?.enabled === false, errno: 'EINVAL' },
  {
    clause: 'DIS-3',
    because: 'the patch is in transition itself',
    when: ({ state, op }) => state.transition?.patch === op.patch,
    errno: 'EBUSY',
    documented: {
      because: 'the function does what a write of 0 does, which turns the transition round',
      errno: 'OK',
      next: ({ state, facts }) => reversed(state, facts),
    },
  },
];

const unregisterRules: readonly Rule<ApiContext>[] = [
  { clause: 'UNR-1', because: 'the patch is not registered', when: ({ patch }) => !patch, errno: 'EINVAL' },
  { clause: 'UNR-2', because: 'the patch is enabled', when: ({ patch }) => patch?.enabled === true, errno: 'EBUSY' },
  {
    clause: 'UNR-3',
    because: 'only `enabled` is looked at: the patch goes in the middle of its own disable',
    when: ({ state, op }) => state.transition?.patch === op.patch,
    errno: 'OK',
    next: (c) => unlisted(c),
    documented: { because: 'its code is still in use', errno: 'EBUSY', next: ({ state }) => state },
  },
  {
    clause: 'UNR-4',
    because: 'the patch is taken out of the list, and its directory away',
    when: () => true,
    errno: 'OK',
    next: ({ state, patch }) => ({ ...state, patches: state.patches.filter((p) => p !== patch) }),
  },
];

function unlisted({ state, patch }: ApiContext): State {
  return { ...state, patches: state.patches.map((p) => (p === patch ? { ...p, presence: 'unlisted' as const } : p)) };
}

/** The ways a call of the livepatch API by a driven module may end. */
export function api(state: State, op: OperationOf<'api'>, facts: Facts): readonly Outcome[] {
  const description = state.modules.find((m): m is LivepatchDescription => m.kind === 'livepatch' && m.name === op.patch);
  if (!description || !exists(op.call, facts)) return [];
  const patch = findPatch(state, op.patch);
  const context = { state, op, facts, description, patch };
  if (op.which === 'null') return decide(callsWithNull, context);
  if (op.which === 'second') return second(context);
  switch (op.call) {
    case 'register':
      return registerPatch(context);
    case 'enable':
      if (!facts.capabilities.has('registration')) return enableOnly(context);
      return orElse(decide(enableBefore, context), () => (patch ? decide(enableRules, { state, patch, facts, via: 'api' }) : []));
    case 'disable':
      return orElse(decide(disableBefore, context), () => (patch ? decide(disableRules, { state, patch, facts, via: 'api' }) : []));
    case 'unregister':
      return decide(unregisterRules, context);
  }
}

function exists(call: ApiCall, { capabilities }: Facts): boolean {
  return capabilities.has('livepatch') && (call === 'enable' || capabilities.has('registration'));
}

function orElse(first: readonly Outcome[], rest: () => readonly Outcome[]): readonly Outcome[] {
  return first.length > 0 ? first : rest();
}

function registerPatch(context: ApiContext): readonly Outcome[] {
  const { state, facts, description, patch } = context;
  // A patch that is in the list is never handed in once more: its list entry and kobject would be wiped while in use.
  if (patch) return [];
  const refused = refusedBy(description, state, facts);
  if (refused) return [refused];
  const clause = acceptance(description, state, facts, 'REG-20');
  const taken = { ...staged('the patch is in the list, disabled', register(state, description)), clause };
  return orElse(decide(registerRules, context), () => withDemand(taken, state));
}

function refusedBy(description: LivepatchDescription, state: State, facts: Facts): Outcome | undefined {
  const r = refusal(description, state, facts);
  return r && { ...r, next: initialise(state, r.clause, description), oracle: 'mainline', forbidden: false };
}

/** A patch whose objects were looked at has an initialised kobject, even if it was refused. */
function initialise(state: State, clause: string, { name, objects }: LivepatchDescription): State {
  if (['REG-1', 'REG-2', 'REG-5'].includes(clause) || objects === null) return state;
  return { ...state, initialised: [...new Set([...state.initialised, name])] };
}

/** klp_enable_patch() of 5.1 and later. Of a patch that is in use it would wipe kobject and list entry: that is never tried. */
function enableOnly({ state, facts, description, patch }: ApiContext): readonly Outcome[] {
  if (patch) return [];
  const refused = refusedBy(description, state, facts);
  const outcomes = refused ? [refused] : enableNew(state, description, facts);
  const again = state.initialised.includes(description.name) ? initialisedTwice() : [];
  return outcomes.map((o) => ({ ...o, log: [...again, ...o.log] }));
}

/** Another patch of the same module, handed in while the first is in the list. */
function second({ state, op, facts, description, patch }: ApiContext): readonly Outcome[] {
  const entering = op.call === 'register' || (op.call === 'enable' && !facts.capabilities.has('registration'));
  if (!entering || !patch) return [];
  const refused = refusedBy(description, state, facts);
  return refused ? [{ ...refused, next: state }] : [];
}
