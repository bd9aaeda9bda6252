// SPDX-License-Identifier: MIT
import type { Verdict } from './results-schema.js';

/*
 * A report as data, for a terminal, as Markdown and as HTML: what it says is decided once, in what makes the page. Texts are
 * plain and may be foreign; each form escapes them its own way.
 */

/** A piece of a line. */
export type Inline = string | { readonly verdict: Verdict } | { readonly code: string } | { readonly strong: string };
export type Line = readonly Inline[];

export interface Item {
  readonly head: Line;
  /** Lines below it, as they are. */
  readonly details?: readonly string[];
  /** What to type, to see it again. */
  readonly command?: string;
}

export interface Column {
  readonly title: string;
  /** Numbers: to the right. */
  readonly numeric?: boolean;
}

export type Block =
  | { readonly kind: 'text'; readonly line: Line }
  | { readonly kind: 'facts'; readonly rows: readonly (readonly [label: string, line: Line])[] }
  | { readonly kind: 'items'; readonly items: readonly Item[] }
  | { readonly kind: 'table'; readonly columns: readonly Column[]; readonly rows: readonly (readonly Line[])[] };

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export interface Page {
  readonly title: string;
  /** What it all comes to, in a sentence or two. */
  readonly conclusion: Line;
  /** How the conclusion is to be taken. */
  readonly mood: 'good' | 'bad' | 'open';
  readonly sections: readonly Section[];
}

/** A section of these blocks; none when there are none, or all are empty. */
export function section(title: string, ...blocks: readonly Block[]): Section[] {
  const full = blocks.filter((b) => b.kind === 'text' || (b.kind === 'items' ? b.items : b.rows).length > 0);
  return full.length > 0 ? [{ title, blocks: full }] : [];
}

export const text = (...line: Line): Block => ({ kind: 'text', line });
export const facts = (...rows: readonly (readonly [string, Line])[]): Block => ({ kind: 'facts', rows });
export const items = (all: readonly Item[]): Block => ({ kind: 'items', items: all });
export const table = (columns: readonly Column[], rows: readonly (readonly Line[])[]): Block => ({ kind: 'table', columns, rows });

/** Prose of the catalogue: what stands between backticks is code. */
export function prose(words: string): Line {
  return words.split('`').map((part, i) => (i % 2 === 1 ? { code: part } : part)).filter((piece) => piece !== '');
}

/** Words with commas between them, each a piece of its own: no form cuts a list short. */
export function listed(words: readonly string[], between = ', '): Line {
  return words.flatMap((word, i) => (i === 0 ? [word] : [between, word]));
}

/** The line's own text, without what sets its pieces apart. */
export function plain(line: Line): string {
  return line.map((piece) => {
    if (typeof piece === 'string') return piece;
    if ('verdict' in piece) return piece.verdict;
    return 'code' in piece ? piece.code : piece.strong;
  }).join('');
}

export type PageForm = 'text' | 'markdown' | 'html';
