// SPDX-License-Identifier: MIT
import { code, text } from './markdown.js';
import { type Block, type Inline, type Line, type Page, plain } from './page.js';
import { clean } from './text.js';

/** Rows shown of a table or a list: a job's summary on GitHub may have 1 MiB. */
const rowsShown = 200;
const detailsShown = 20;

/** A page as GitHub-flavoured Markdown; all foreign text is escaped. */
export function pageMarkdown(page: Page): string {
  const lines = [
    `## ${text(page.title)}`,
    '',
    `**${text(plain(page.conclusion))}**`,
    '',
    ...page.sections.flatMap((s) => [`### ${text(s.title)}`, '', ...s.blocks.flatMap(block)]),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function block(of: Block): string[] {
  switch (of.kind) {
    case 'text':
      return [line(of.line), ''];
    case 'facts':
      return ['| | |', '|---|---|', ...of.rows.map(([label, words]) => `| ${text(label)} | ${line(words)} |`), ''];
    case 'items':
      return [
        ...of.items.slice(0, rowsShown).flatMap(({ head, details = [], command }) => [
          `- ${line(head)}`,
          ...details.slice(0, detailsShown).map((detail) => `  - ${text(detail)}`),
          ...(details.length > detailsShown ? [`  - … and ${details.length - detailsShown} more lines`] : []),
          ...(command === undefined ? [] : ['', ...code(command), '']),
        ]),
        ...left(of.items.length, '- '),
        '',
      ];
    case 'table':
      return [
        `| ${of.columns.map((c) => text(c.title)).join(' | ')} |`,
        `|${of.columns.map((c) => (c.numeric === true ? '--:' : '---')).join('|')}|`,
        ...of.rows.slice(0, rowsShown).map((row) => `| ${row.map(line).join(' | ')} |`),
        '',
        ...left(of.rows.length, ''),
      ];
  }
}

function left(count: number, mark: string): string[] {
  return count > rowsShown ? [`${mark}… and ${count - rowsShown} more`, ''] : [];
}

function line(pieces: Line): string {
  return pieces.map(inline).join('');
}

function inline(piece: Inline): string {
  if (typeof piece === 'string') return text(piece);
  if ('verdict' in piece) return `**${piece.verdict}**`;
  if ('strong' in piece) return `**${text(piece.strong)}**`;
  // A code span takes no escapes: what could end it, or a cell, makes it plain text.
  return /[`|\\]/.test(piece.code) || piece.code.trim() === '' ? text(piece.code) : `\`${clean(piece.code)}\``;
}
