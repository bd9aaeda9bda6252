// SPDX-License-Identifier: MIT

/** To the line's begin, then everything from there on is erased. */
export const eraseLive = '\r\x1b[J';

/**
 * The last lines of a terminal, rewritten again and again beneath the lines that stay. The cursor rests at the begin of the
 * first of them. So erasing needs no count of rows: a terminal that was made narrower since, and has broken the lines anew,
 * keeps the cursor where they begin. Nothing else of the terminal is changed, and whatever ends the program leaves it usable.
 */
export class LiveLines {
  /** What stands there now, with the width it was made for. */
  #shown = '';

  /**
   * @param permanent lines that stay, written in place of the live ones, which come again beneath
   * @param lines     the live ones, each narrower than the terminal; fewer than it has rows
   * @param columns   of the terminal, now
   * @returns what to write; '' when nothing changes
   */
  draw(permanent: readonly string[], lines: readonly string[], columns: number): string {
    const shown = lines.length === 0 ? '' : `${columns}\n${lines.join('\n')}`;
    if (permanent.length === 0 && shown === this.#shown) return '';
    const text = this.hide() + permanent.map((line) => `${line}\n`).join('');
    this.#shown = shown;
    if (lines.length === 0) return text;
    const back = lines.length > 1 ? `\x1b[${lines.length - 1}A` : '';
    return `${text}${lines.join('\n')}${back}\r`;
  }

  /** @returns what takes the live lines away; '' when there are none */
  hide(): string {
    if (this.#shown === '') return '';
    this.#shown = '';
    return eraseLive;
  }
}
