// SPDX-License-Identifier: MIT
import { jsonText } from '../text.js';

/** Of one piece of foreign text so many UTF-16 units are put on the page. */
const longest = 2000;

/** Foreign text as the page has it: cut, with a note of what there was. What does not print is left to the script. */
export function cut(text: string, limit = longest): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}… (cut: ${text.length} characters)`;
}

/** The first or last lines of many, each cut, with a note of how many there were. */
export function cutLines(lines: readonly string[], most: number, keep: 'first' | 'last' = 'first'): string[] {
  const kept = (keep === 'first' ? lines.slice(0, most) : lines.slice(-most)).map((line) => cut(line, 600));
  if (lines.length <= most) return kept;
  return keep === 'first' ? [...kept, `… (cut: ${lines.length} lines)`] : [`… (cut: ${lines.length} lines)`, ...kept];
}

/** Values that are kept once, however often they occur; what refers to them is their index. */
export class Pool<T> {
  readonly items: T[] = [];
  readonly #places = new Map<string, number>();
  #bytes = 0;

  /** What the items take on the page. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @returns the index of a value that is written as JSON just so */
  add(value: T): number {
    const key = JSON.stringify(value);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.items.length);
    this.#bytes += bytesOf(value) + 1;
    return this.items.push(value) - 1;
  }
}

/** A name as part of an address. Half a character cannot be written there; the page's text has U+FFFD for it, too. */
export function encoded(name: string): string {
  return encodeURIComponent(name.replace(/\p{Cs}/gu, '\ufffd'));
}

/** What a value takes on the page, in bytes. */
export function bytesOf(value: unknown): number {
  return new TextEncoder().encode(embedded(value)).length;
}

/** JSON that can stand in a `<script>`: no `<`, so that nothing in it ends the element or begins a comment. */
export function embedded(value: unknown): string {
  return jsonText(value).replaceAll('<', '\\u003c');
}

/** The catalogue's prose in HTML: what stands between backticks is code. */
export function prose(text: string): string {
  return text
    .split('`')
    .map((part, i) => (i % 2 === 1 ? `<code>${escaped(part)}</code>` : escaped(part)))
    .join('');
}

/** Text in HTML, in elements and in quoted attributes; what does not print becomes visible. */
export function escaped(text: string): string {
  return cut(text)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
