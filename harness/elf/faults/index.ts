// SPDX-License-Identifier: MIT
import { outcomeOf } from '../lint/lint.js';
import { outcomeOn, type LintGeneration, type LintMachine, type Outcome } from '../lint/outcome.js';
import { ruleOf } from '../lint/rules.js';
import type { Fault } from './fault.js';
import { moduleFaults } from './module-faults.js';
import { sectionFaults } from './section-faults.js';
import { symbolFaults } from './symbol-faults.js';

export { renameSection, setSectionFlags } from './edits.js';
export { explained } from './explained.js';
export type { Fault } from './fault.js';
export { behaviours, behaviourOf, disagreements, expectedBehaviour, seenText, type Behaviour, type FaultSeen, type Reference } from './seen.js';

/** Every fault, by its identifier. */
export const faults = { ...moduleFaults, ...sectionFaults, ...symbolFaults };

export type FaultId = keyof typeof faults;

/** The identifiers, in the order of the rows. */
export const faultIds = (Object.keys(faults) as FaultId[]).sort();

/** What is expected of a kernel that is given a broken module. Where it does otherwise, the kernel is right. */
export interface Prediction {
  readonly outcome: Outcome;
  /** What it may come to as well: memory that is none of the module's decides. */
  readonly also: readonly Outcome[];
  /** Whether the kernel is tainted as patched (K) afterwards; undefined: nobody can tell. */
  readonly tainted: boolean | undefined;
  /** What is left in sysfs: the module with its patch, nothing of either; undefined: nobody can tell. */
  readonly remains: 'module and patch' | 'nothing' | undefined;
}

/** What a kernel does with a sound module, a livepatch that is enabled as it loads, that was broken so. */
export function predict(id: FaultId, generation: LintGeneration, machine: LintMachine): Prediction {
  const fault: Fault = faults[id];
  const own = (machine === 'arm64' ? fault.arm64 : undefined) ?? fault.kernels;
  const outcome = own ? outcomeOn(own, generation) : outcomeOf(ruleOf(fault.rules[0]), generation, machine);
  const also = outcome.ending === 'crashes' ? (fault.also ?? []) : [];
  if (outcome.ending === 'crashes') return { outcome, also, tainted: undefined, remains: undefined };
  const marked = id !== 'EF-01' && id !== 'EF-52';
  if (outcome.ending === 'refused') return { outcome, also, tainted: marked && fault.early !== true, remains: 'nothing' };
  return { outcome, also, tainted: marked, remains: 'module and patch' };
}
