// SPDX-License-Identifier: MIT
import { elf } from './elf.js';
import { ftrace } from './ftrace.js';
import { UnknownClauseError } from './ids.js';
import { immediate } from './immediate.js';
import { lifeCycle } from './life-cycle.js';
import { modules } from './modules.js';
import { registration } from './registration.js';
import { stackCheck } from './stack-check.js';
import { sysfs } from './sysfs.js';
import { transition } from './transition.js';
import type { Clause, ClauseId } from './types.js';

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
} from './types.js';

/** Stands in every result; goes up whenever a clause is added, withdrawn or changes its meaning. */
export const catalogueVersion = 1;

/** Every clause, in the order of {@link sections} and of the numbers. */
export const clauses: readonly Clause[] = [
  ...registration,
  ...lifeCycle,
  ...sysfs,
  ...transition,
  ...stackCheck,
  ...immediate,
  ...modules,
  ...ftrace,
  ...elf,
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
