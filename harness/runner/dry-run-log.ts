// SPDX-License-Identifier: MIT

/**
 * A line that a pattern of the model matches: of what the pattern leaves open, the shortest; of alternatives, the first.
 *
 * @throws RangeError for a pattern of a kind that the model does not use
 */
export function lineFor(pattern: RegExp): string {
  const line = new Sample(pattern.source).alternatives();
  if (!pattern.test(line)) throw new RangeError(`no line can be made for the pattern ${pattern.source}`);
  return line;
}

/** Texts that a class of characters stands for; any other escape stands for its own character. */
const classes: Readonly<Record<string, string>> = { S: 'x', w: 'x', d: '1', s: ' ', b: '' };

/** Reads the source of a pattern from its start, and writes what it matches. */
class Sample {
  #at = 0;

  constructor(private readonly source: string) {}

  /** Up to the end of the source or of the group; what comes after a bar is read over. */
  alternatives(): string {
    const first = this.#sequence();
    while (this.#take('|')) this.#sequence();
    return first;
  }

  #sequence(): string {
    let text = '';
    while (this.#at < this.source.length && !/[|)]/.test(this.source.charAt(this.#at))) {
      const atom = this.#atom();
      const none = this.#take('*') || this.#take('?');
      if (!none) this.#take('+');
      if (!none) text += atom;
    }
    return text;
  }

  #atom(): string {
    const char = this.source.charAt(this.#at++);
    if (char === '.') return 'x';
    if (char === '^' || char === '$') return '';
    if (char === '(') {
      if (this.#take('?')) this.#take(':');
      const inside = this.alternatives();
      this.#take(')');
      return inside;
    }
    if (char === '[') {
      const end = this.source.indexOf(']', this.#at);
      const [first = ''] = this.source.slice(this.#at, end);
      this.#at = end + 1;
      return first;
    }
    if (char !== '\\') return char;
    const escaped = this.source.charAt(this.#at++);
    return classes[escaped] ?? escaped;
  }

  #take(char: string): boolean {
    const there = this.source.charAt(this.#at) === char;
    if (there) this.#at++;
    return there;
  }
}
