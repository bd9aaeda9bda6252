// SPDX-License-Identifier: MIT

/** A code span: a run of backticks, what is between, and a run of the same length. */
const span = /(?<!`)(`+)(?!`)([^]*?[^`])\1(?!`)/g;

/**
 * Prose of the catalogue as Markdown. Code spans stay as they are; elsewhere every character that could be
 * markup is escaped, so that a reader sees exactly the text. Line ends become spaces.
 */
export function escapeMarkdown(text: string): string {
  const line = text.replace(/\s*[\r\n]+\s*/g, ' ');
  let escaped = '';
  let from = 0;
  for (const found of line.matchAll(span)) {
    escaped += escapeProse(line.slice(from, found.index)) + found[0];
    from = found.index + found[0].length;
  }
  escaped += escapeProse(line.slice(from));
  // What would begin a list, a heading or a rule at the start of a line.
  return escaped.replace(/^(\s*)([-+=])/, '$1\\$2').replace(/^(\s*[0-9]+)([.)])(?=\s|$)/, '$1\\$2');
}

/** The same for a cell of a table, where a pipe ends the cell even inside a code span. */
export function escapeCell(text: string): string {
  return escapeMarkdown(text).replace(/\\*\|/g, (pipe) =>
    pipe.length % 2 === 0 ? pipe : `${pipe.slice(0, -1)}\\|`,
  );
}

/** A text as code: the fence is longer than any run of backticks within. */
export function code(text: string): string {
  const longest = Math.max(0, ...Array.from(text.matchAll(/`+/g), (run) => run[0].length));
  const fence = '`'.repeat(longest + 1);
  const pad = text.startsWith('`') || text.endsWith('`') ? ' ' : '';
  return fence + pad + text + pad + fence;
}

function escapeProse(text: string): string {
  return text.replace(/[\\`*_[\]<>|#~&]/g, '\\$&');
}
