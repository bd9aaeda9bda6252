// SPDX-License-Identifier: MIT

/** The harness writes a mark into the guest's log after each operation: `klp-harness: <what>: <result>`. */
const mark = 'klp-harness: ';

/** Lines of a log, from 0; `end` is none of them any more. */
export interface LogRange {
  readonly begin: number;
  readonly end: number;
}

/**
 * Where in the kernel's log something was judged: what came between the operation before and the one it belongs to, or of
 * something looked at, between the operation before and the next.
 *
 * @param log        lines that end with the record's text
 * @param operations `what → result`, in order
 * @param done       how many operations had been done when it was judged
 * @param what       is judged
 * @returns its lines, the mark that ends them included; undefined where the log has none of the marks
 */
export function logPlace(log: readonly string[], operations: readonly string[], done: number, what: string): LogRange | undefined {
  const marks = marksOf(log, operations);
  const last = operations[done - 1];
  const ofOperation = last?.startsWith(`${what} → `) === true;
  const from = ofOperation ? done - 2 : done - 1;
  const before = marks.slice(0, from + 1).findLast((m) => m !== undefined);
  const end = marks[from + 1];
  if (before === undefined && end === undefined) return undefined;
  return { begin: before === undefined ? 0 : before + 1, end: end === undefined ? log.length : end + 1 };
}

/** The line of each operation's mark. Some write none, and of a long log only the end is kept. */
function marksOf(log: readonly string[], operations: readonly string[]): readonly (number | undefined)[] {
  const found: (number | undefined)[] = [];
  // From the end: of two operations alike, an early one may have lost its mark, a late one has not.
  let until = log.length;
  for (const operation of [...operations].reverse()) {
    const arrow = operation.lastIndexOf(' → ');
    const text = `${mark}${operation.slice(0, arrow)}: ${operation.slice(arrow + 3)}`;
    const at = log.slice(0, until).findLastIndex((line) => line.endsWith(text));
    if (at >= 0) until = at;
    found.unshift(at < 0 ? undefined : at);
  }
  return found;
}
