// SPDX-License-Identifier: MIT
import type { ClauseId } from './types.js';

/**
 * Everything that may stand before the dash. The first line is the 4.14 generation; the second the later
 * ones: atomic replace, callbacks, shadow variables, states, force, fake signal.
 */
export const clausePrefixes = [
  ...(['REG', 'ENA', 'DIS', 'UNR', 'SYS', 'TRN', 'CHK', 'IMM', 'MOD', 'FTR', 'ELF'] as const),
  ...(['REP', 'CBK', 'SHD', 'STA', 'FRC', 'SIG'] as const),
] as const;

const numbered = new RegExp(`^(?:${clausePrefixes.join('|')})-[1-9][0-9]{0,2}$`);
const fault = /^EF-(?:0[1-9]|[1-4][0-9]|5[0-3])$/;

/**
 * Whether a text has the form of a clause id: a prefix, a dash and a number without leading zeros, or one of
 * the module faults EF-01 to EF-53. Says nothing of whether the catalogue has the clause.
 */
export function isClauseId(text: string): boolean {
  return numbered.test(text) || fault.test(text);
}

/** An id that the catalogue does not have. */
export class UnknownClauseError extends RangeError {
  readonly id: string;
  readonly nearest: ClauseId | undefined;

  constructor(id: string, known: Iterable<ClauseId>) {
    const nearest = nearestId(id, known);
    const form = isClauseId(id) ? '' : ', which is not the form of an id (REG-1, EF-07)';
    const hint = nearest === undefined ? '' : `; the nearest is ${nearest}`;
    super(`there is no clause '${id}'${form}${hint}`);
    this.name = new.target.name;
    this.id = id;
    this.nearest = nearest;
  }
}

/** The known id with the fewest single-character edits from `id`, ignoring its case; the first on a tie. */
function nearestId(id: string, known: Iterable<ClauseId>): ClauseId | undefined {
  let nearest: { id: ClauseId; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(id.toUpperCase(), candidate);
    if (nearest === undefined || distance < nearest.distance) nearest = { id: candidate, distance };
  }
  return nearest?.id;
}

/** Levenshtein distance, one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j + 1] ?? 0) + 1, (row[j] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
