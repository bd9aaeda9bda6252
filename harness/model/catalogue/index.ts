// SPDX-License-Identifier: MIT
import type { Capability } from '../capabilities.js';
import { callbacks } from './callbacks.js';
import { disable } from './disable.js';
import { elfApplied } from './elf-applied.js';
import { elfSections } from './elf-sections.js';
import { elfSymbols } from './elf-symbols.js';
import { enable } from './enable.js';
import { enabled } from './enabled.js';
import { force } from './force.js';
import { ftrace } from './ftrace.js';
import { UnknownClauseError } from './ids.js';
import { immediate } from './immediate.js';
import { modules } from './modules.js';
import { register } from './register.js';
import { registered } from './registered.js';
import { replace } from './replace.js';
import { shadow } from './shadow.js';
import { signals } from './signals.js';
import { stackCheck } from './stack-check.js';
import { symbols } from './symbols.js';
import { states } from './states.js';
import { sysfs } from './sysfs.js';
import { tasks } from './tasks.js';
import { transition } from './transition.js';
import type { Clause, ClauseId, Texts } from './types.js';
import { unregister } from './unregister.js';

export { documentLength } from './documents.js';
export { clausePrefixes, isClauseId, UnknownClauseError } from './ids.js';
export { renderSpecification } from './render.js';
export { sections } from './sections.js';
export type {
  Clause,
  ClauseId,
  Deviation,
  DocumentName,
  DocumentReference,
  Section,
  SectionId,
  Texts,
} from './types.js';

/** Stands in every result; goes up whenever a clause is added, withdrawn or changes its meaning. */
export const catalogueVersion = 5;

/** Every clause, in the order of {@link sections} and of the numbers. */
export const clauses: readonly Clause[] = [
  ...register,
  ...symbols,
  ...registered,
  ...enable,
  ...enabled,
  ...disable,
  ...unregister,
  ...sysfs,
  ...transition,
  ...tasks,
  ...stackCheck,
  ...immediate,
  ...modules,
  ...ftrace,
  ...elfSections,
  ...elfSymbols,
  ...elfApplied,
  ...replace,
  ...force,
  ...callbacks,
  ...shadow,
  ...states,
  ...signals,
];

const byId: ReadonlyMap<ClauseId, Clause> = new Map(clauses.map((each) => [each.id, each]));

/**
 * The clause with this id.
 *
 * @throws UnknownClauseError (a RangeError) that names the nearest id, when the catalogue does not have it
 */
export function clause(id: string): Clause {
  const found = byId.get(id);
  if (found === undefined) throw new UnknownClauseError(id, byId.keys());
  return found;
}

/**
 * What the documents of a kernel's own generation say of a clause: those of 4.14 up to 5.0, while patches are registered,
 * and of a kernel without livepatch; those of the kernel's time after. They are silent where the question does not arise.
 *
 * @throws UnknownClauseError (a RangeError), as {@link clause}
 */
export function textsFor(id: string, capabilities: ReadonlySet<Capability>): Texts {
  const found = clause(id);
  const early = capabilities.has('registration') || !capabilities.has('livepatch');
  return early ? found : (found.later ?? { documents: [] });
}
