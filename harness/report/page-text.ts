// SPDX-License-Identifier: MIT
import type { Block, Inline, Line, Page } from './page.js';
import { plain } from './page.js';
import { type Paint, verdictColour } from './paint.js';
import type { Display } from './reporter.js';
import { clean, width, wrap } from './text.js';

const commandLimit = 4000;
/** Columns of a label; a longer one has its line to itself. */
const labelColumns = 16;

/** A page for a terminal or a plain file, wrapped to its columns. */
export function pageText(page: Page, { columns }: Pick<Display, 'columns'>, paint: Paint): string {
  const room = Math.max(40, columns);
  const colour = { good: 'green', bad: 'red', open: 'yellow' } as const;
  const lines = [
    paint('bold', clean(page.title)),
    ...wrapped(page.conclusion, room, '', '', (line) => paint(colour[page.mood], line)),
    ...page.sections.flatMap((s) => ['', paint('bold', clean(s.title)), ...s.blocks.flatMap((b) => block(b, room, paint))]),
  ];
  return `${lines.join('\n')}\n`;
}

function block(of: Block, columns: number, paint: Paint): string[] {
  switch (of.kind) {
    case 'text':
      return wrapped(of.line, columns, '  ', '  ');
    case 'facts':
      return of.rows.flatMap(([label, line]) => fact(clean(label), line, columns, paint));
    case 'items':
      return of.items.flatMap(({ head, details = [], command }) => [
        ...wrapped(head, columns, '  ', '      ', (line) => coloured(line, head, paint)),
        // Behind a bar: a line that begins with `::` would be a command to GitHub's runner.
        ...details.map((line) => `      | ${clean(line)}`),
        ...(command === undefined ? [] : [`      ${paint('bold', 'repeat:')} ${clean(command, commandLimit)}`]),
      ]);
    case 'table':
      return grid([of.columns.map((c) => clean(c.title)), ...of.rows.map((row) => row.map((cell) => clean(plain(cell))))], of.columns.map((c) => c.numeric === true), columns, paint);
  }
}

function fact(label: string, line: Line, columns: number, paint: Paint): string[] {
  const rest = `  ${' '.repeat(labelColumns)} `;
  const lines = wrapped(line, columns, rest, rest);
  const head = `  ${paint('dim', label)}`;
  if (width(label) > labelColumns) return [head, ...lines];
  const [first = ''] = lines;
  return [`${head}${' '.repeat(labelColumns - width(label))}${first.slice(labelColumns + 2)}`.trimEnd(), ...lines.slice(1)];
}

function wrapped(line: Line, columns: number, first: string, rest: string, finish = (text: string): string => text): string[] {
  return wrap(line.map((piece) => clean(plain([piece]), commandLimit)).join('').split(' '), columns, first, rest).map(finish);
}

/** The verdicts that the head's pieces name, where they stand in this line of it. */
function coloured(line: string, head: readonly Inline[], paint: Paint): string {
  const verdicts = head.flatMap((piece) => (typeof piece === 'object' && 'verdict' in piece ? [piece.verdict] : []));
  let from = 0;
  let done = '';
  for (const verdict of verdicts) {
    const at = line.indexOf(verdict, from);
    if (at === -1) break;
    done += line.slice(from, at) + paint(verdictColour[verdict], verdict);
    from = at + verdict.length;
  }
  return done + line.slice(from);
}

function grid(rows: readonly (readonly string[])[], numeric: readonly boolean[], columns: number, paint: Paint): string[] {
  const widths = numeric.map((_, i) => Math.max(...rows.map((row) => width(row[i] ?? ''))));
  if (widths.reduce((sum, each) => sum + each + 2, 0) > columns) return stacked(rows, columns, paint);
  return rows.map((row, number) => {
    const cells = row.map((cell, i) => {
      const blanks = ' '.repeat((widths[i] ?? 0) - width(cell));
      return numeric[i] === true ? blanks + cell : cell + blanks;
    });
    const line = `  ${cells.join('  ')}`.trimEnd();
    return number === 0 ? paint('dim', line) : line;
  });
}

/** A table that is wider than the terminal: each row's first cell, and the others below it with their titles. */
function stacked([titles = [], ...rows]: readonly (readonly string[])[], columns: number, paint: Paint): string[] {
  const label = Math.max(...titles.slice(1).map(width));
  return rows.flatMap(([head = '', ...cells]) => [
    ...wrap(head.split(' '), columns, '  ', '    '),
    ...cells.flatMap((cell, i) => {
      const title = titles[i + 1] ?? '';
      const rest = ' '.repeat(label + 6);
      const [first = '', ...more] = wrap(cell.split(' '), columns, rest, rest);
      return [`    ${paint('dim', title)}${' '.repeat(label - width(title))}${first.slice(label + 4)}`.trimEnd(), ...more];
    }),
  ]);
}
