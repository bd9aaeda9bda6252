// SPDX-License-Identifier: MIT

/** Escape sequences, line breaks, or one character. */
const token = /\x1b\[(\?[0-9;]*|[0-9;]*)([A-Za-z])|[^]/gu; // eslint-disable-line no-control-regex

/**
 * As much of a terminal as the reporters use: it writes, wraps, scrolls, goes up, and erases to the screen's end. All rows that
 * were ever there are kept.
 */
export class Screen {
  readonly rows: string[][] = [[]];
  /** How often a line went over the right edge. */
  wraps = 0;
  #row = 0;
  #column = 0;

  constructor(
    public columns: number,
    private readonly columnsOf: (char: string) => number,
  ) {}

  write(text: string): void {
    for (const [part, parameters = '', command] of text.matchAll(token)) {
      if (command !== undefined) this.#obey(parameters, command);
      else if (part === '\n') this.#move(this.#row + 1);
      else if (part === '\r') this.#column = 0;
      else this.#put(part);
    }
  }

  /** What stands there, row by row. */
  get lines(): string[] {
    return this.rows.map((row) => row.join('').trimEnd());
  }

  get cursor(): readonly [row: number, column: number] {
    return [this.#row, this.#column];
  }

  #move(row: number): void {
    this.#row = row;
    while (this.rows.length <= row) this.rows.push([]);
    // What the terminal driver makes of a line feed.
    this.#column = 0;
  }

  #put(char: string): void {
    const wide = this.columnsOf(char);
    if (this.#column + wide > this.columns) {
      this.wraps += 1;
      this.#move(this.#row + 1);
    }
    const row = this.rows[this.#row] ?? [];
    while (row.length < this.#column) row.push(' ');
    // A wide character takes a second cell, which is empty.
    row.splice(this.#column, wide, char, ...Array.from({ length: wide - 1 }, () => ''));
    this.#column += wide;
  }

  #obey(parameters: string, command: string): void {
    if (command === 'm') return;
    if (command === 'A') this.#row = Math.max(0, this.#row - Number(parameters || 1));
    else if (command === 'J' && parameters === '') {
      this.rows.length = this.#row + 1;
      this.rows[this.#row]?.splice(this.#column);
    } else throw new Error(`the screen does not know ${JSON.stringify(parameters + command)}`);
  }
}
