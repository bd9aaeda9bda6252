// SPDX-License-Identifier: MIT
import { type Clause, catalogueVersion, clauses, sections } from '../../model/catalogue/index.js';

/** Documents of one generation, and where mainline differs from them. */
interface Texts {
  readonly generation: string;
  readonly documents: Clause['documents'];
  readonly deviation?: Clause['deviation'];
}

/** A clause as the page shows it. */
export interface ClauseText {
  readonly id: string;
  readonly section: string;
  readonly statement: string;
  readonly mainline?: string;
  readonly code?: readonly string[];
  readonly texts?: readonly Texts[];
  readonly notes?: readonly string[];
  /** Of which version of the catalogue the texts are, when it is not the run's. */
  readonly catalogue?: number;
}

export interface SectionText {
  readonly id: string;
  readonly title: string;
}

const byId = new Map(clauses.map((c) => [c.id, c]));

/**
 * What the catalogue says of a clause. The journal has the statement only, which is what was judged; of a run with another
 * catalogue the rest is shown with its version.
 */
export function clauseText(id: string, statement: string, catalogue: number): ClauseText {
  const known = byId.get(id);
  if (!known) return { id, section: id.split('-')[0] ?? id, statement };
  const { section, mainline, code, documents, deviation, later, notes } = known;
  const early: Texts = { generation: 'up to 5.0', documents, ...(deviation && { deviation }) };
  return {
    id,
    section,
    statement,
    mainline,
    code,
    texts: [early, ...(later ? [{ generation: '5.1 and later', ...later }] : [])],
    ...(notes && { notes }),
    ...(catalogue !== catalogueVersion && { catalogue: catalogueVersion }),
  };
}

/** The sections of some clauses, in the catalogue's order; those it does not know come last. */
export function sectionsOf(some: readonly ClauseText[]): SectionText[] {
  const used = new Set<string>(some.map((c) => c.section));
  const known = sections.filter((s) => used.has(s.id)).map(({ id, title }) => ({ id, title }));
  for (const { id } of sections) used.delete(id);
  return [...known, ...[...used].sort().map((id) => ({ id, title: id }))];
}
