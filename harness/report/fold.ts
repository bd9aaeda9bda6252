// SPDX-License-Identifier: MIT
import { width } from './text.js';

/** A colour's escape sequence, which takes no column; else one character. */
const token = /\x1b\[[0-9;]*m|[^]/gu; // eslint-disable-line no-control-regex

/** Terminal columns of a line that may have colours. */
export function paintedWidth(line: string): number {
  return width(line.replace(/\x1b\[[0-9;]*m/g, '')); // eslint-disable-line no-control-regex
}

/**
 * A line in as many as it takes for none to be wider than a terminal: broken between words where that can be, else within
 * one. What follows is indented as the line itself is, further by two, or stands behind the same bar.
 *
 * @param line may have colours; a colour that goes over a break goes on
 */
export function fold(line: string, columns: number): string[] {
  if (paintedWidth(line) <= columns) return [line];
  const [start = ''] = /^ *(?:[|>] )?/.exec(line) ?? [];
  // Where next to nothing would be left for the text, it begins at the edge.
  const hang = start.length + 12 <= columns ? (start.trim() === '' ? `${start}  ` : start) : '';
  const lines: string[] = [];
  let current = '';
  let used = 0;
  /** Where the line may be broken: behind its last blank, if there is anything but indentation before it. */
  let blank = 0;
  let begun = false;
  for (const [part] of line.matchAll(token)) {
    const wide = part.length > 1 && part.startsWith('\x1b') ? 0 : width(part);
    // Twice where the word that goes to the next line is as long as that is wide, indented.
    while (used + wide > columns && current.length > 0) {
      const at = blank > 0 && part !== ' ' ? blank : current.length;
      lines.push(current.slice(0, at).trimEnd());
      current = hang + current.slice(at).trimStart();
      used = paintedWidth(current);
      blank = 0;
      begun = current.length > hang.length;
    }
    // The blank that a line was broken at is not carried over.
    if (part === ' ' && !begun && lines.length > 0) continue;
    current += part;
    used += wide;
    if (part === ' ') blank = begun ? current.length : 0;
    else if (wide > 0) begun = true;
  }
  return current.trim() === '' ? lines : [...lines, current];
}
