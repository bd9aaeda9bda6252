// SPDX-License-Identifier: MIT
import { parseBoolean } from '../booleans.js';
import { type Facts, type Patch, type State, findPatch } from '../state.js';
import { disableRules, enableRules, reversalLines, reversed } from './enable.js';
import { type Context, type OperationOf, type Outcome, type Rule, decide, staged } from './types.js';

type Write = Context<OperationOf<'write-enabled'>>;

/** What enabled_store() checks before it enables or disables (kernel/livepatch/core.c). */
const writeRules: readonly Rule<Write>[] = [
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
    clause: 'SYS-3',
    because: 'the value written is the current one',
    when: (c) => patchWritten(c).enabled === parseBoolean(c.op.text, c.facts),
    errno: 'EINVAL',
  },
  {
    clause: 'TRN-6',
    because: 'the opposite value reverses the transition under way',
    when: ({ op, state }) => state.transition?.patch === op.patch && state.transition.phase === 'running',
    errno: 'OK',
    log: (c) => reversalLines(c.state, patchWritten(c).description),
    next: ({ state, facts }) => reversed(state, facts),
  },
  {
    clause: 'ENA-7',
    because: 'another patch is in transition',
    when: ({ state }) => state.transition !== null,
    errno: 'EBUSY',
  },
  {
    clause: 'ENA-13',
    because: 'this generation cannot enable a patch a second time',
    when: (c) => !patchWritten(c).enabled && !c.facts.capabilities.has('registration'),
    errno: 'EINVAL',
    documented: { because: 'a disabled patch is enabled by writing 1', errno: 'OK', next: ({ state }) => state },
  },
];

function patchWritten({ op, state }: Write): Patch {
  const patch = findPatch(state, op.patch);
  if (!patch) throw new RangeError(`the model has no patch ${op.patch}`); // the first rule has caught it
  return patch;
}

/** The ways a write into `enabled` may end. */
export function writeEnabled(state: State, op: OperationOf<'write-enabled'>, facts: Facts): readonly Outcome[] {
  const patch = findPatch(state, op.patch);
  if (patch?.presence === 'leaving' && !state.heldKobjects.includes(op.patch)) return writeToLeaving(state);
  const decided = decide(writeRules, { state, op, facts });
  const outcomes =
    decided.length > 0 || !patch
      ? decided
      : decide(patch.enabled ? disableRules : enableRules, { state, patch, facts, via: 'write' });
  // That a word is taken for a digit is what the word is asked for.
  const isWord = !/^[01]\n?$/.test(op.text);
  return outcomes.map((o) => (isWord && o.errno === 'OK' ? { ...o, clause: 'SYS-2' } : o));
}

/** The directory is being taken away: gone, going, or still there with a patch that can't be enabled again. */
function writeToLeaving(state: State): readonly Outcome[] {
  const because = 'the disabled patch is being removed';
  return (['ENOENT', 'ENODEV', 'EINVAL'] as const).map((errno) => ({ ...staged(because, state), errno }));
}
