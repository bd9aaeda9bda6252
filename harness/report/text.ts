// SPDX-License-Identifier: MIT
/*
 * Text that came from a guest is hostile until it has passed through here: it may hold escape sequences,
 * control and direction characters, words a CI system obeys, or a mebibyte without a line break.
 */

/** Characters shown of one line of foreign text. */
export const lineLimit = 400;

const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
/**
 * Commands that GitHub's and Azure's log viewers obey: `##[` anywhere, `::` where a line may come to begin.
 */
const ciCommand = /##(?=\[|vso\[)/g;
const ciLineCommand = /(?<=^|\s)::/g;

function visible(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (char === '\t') return ' ';
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** Columns a character takes in a terminal; never fewer, so that a line measured with it never wraps. */
function charWidth(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x1100) return 1;
  const wide =
    code <= 0x115f ||
    (code >= 0x231a && code <= 0x23ff) ||
    (code >= 0x25fd && code <= 0x27bf) ||
    (code >= 0x2b1b && code <= 0x2b55) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xa960 && code <= 0xa97f) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    code >= 0x10000;
  return wide ? 2 : 1;
}

/** Terminal columns of text without control characters. */
export function width(text: string): number {
  let columns = 0;
  for (const char of text) columns += charWidth(char);
  return columns;
}

/** `text` cut to at most `columns` terminal columns, with `…` where something was cut off. */
export function fit(text: string, columns: number): string {
  if (text.length <= columns && width(text) <= columns) return text;
  let kept = '';
  let used = 0;
  for (const char of text) {
    used += charWidth(char);
    if (used > columns - 1) break;
    kept += char;
  }
  return columns > 0 ? `${kept}…` : '';
}

/**
 * One printable line: line breaks become spaces, what a terminal or a CI system would obey becomes visible,
 * and at most `limit` characters stay (with a count of what there was).
 */
export function clean(text: string, limit = lineLimit): string {
  const head = text.length > limit ? text.slice(0, limit) : text;
  const printable = head
    .replace(/\r?\n/g, ' ')
    .replace(unprintable, visible)
    .replace(ciCommand, '# #')
    .replace(ciLineCommand, ': :');
  return head.length === text.length ? printable : `${printable}… (${String(text.length)} characters)`;
}

/**
 * The lines of a text, each as {@link clean} gives it; at most `max`, then a line that says how many are left
 * out.
 */
export function cleanLines(text: string, max = 12): string[] {
  // The limit keeps a mebibyte of line breaks from becoming a million strings.
  const lines = text.split(/\r?\n/, max + 1);
  const shown = lines.slice(0, max).map((line) => clean(line));
  return lines.length > max ? [...shown, '…'] : shown;
}

/**
 * Words on lines of at most `columns`, the first after `first`, the others after `rest`. Words are never
 * broken.
 */
export function wrap(words: readonly string[], columns: number, first: string, rest: string): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of words) {
    if (!empty && width(line) + 1 + width(word) > columns) {
      lines.push(line.trimEnd());
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line.trimEnd()];
}

/** `850 ms`, `3.2 s`, `4 min 05 s`, `2 h 03 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${milliseconds.toFixed(0)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours === 0 ? `${minutes} min ${two(seconds % 60)} s` : `${hours} h ${two(minutes % 60)} min`;
}

/** `1 clause`, `2 clauses`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The order people expect: REG-2 before REG-10. */
export function naturally(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/**
 * JSON that any parser takes and that is harmless in a terminal: lone surrogates (which many parsers refuse)
 * become U+FFFD, and control, direction and unassigned characters are escaped. Parses to the same value
 * otherwise.
 *
 * @param space as for JSON.stringify
 */
export function jsonText(value: unknown, space?: number): string {
  const wellFormed = (_key: string, item: unknown): unknown =>
    typeof item === 'string' ? item.replace(/\p{Cs}/gu, '\ufffd') : item;
  // JSON.stringify has escaped everything below U+0020 already; outside of strings no other character is
  // unprintable.
  const escape = (char: string): string =>
    char === '\n'
      ? char
      : Array.from(
          { length: char.length },
          (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`,
        ).join('');
  return JSON.stringify(value, wellFormed, space).replace(unprintable, escape);
}
