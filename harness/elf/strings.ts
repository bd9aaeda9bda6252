// SPDX-License-Identifier: MIT

/** Bytes as text, one character for one byte, so that no name is altered by decoding it. */
export function bytesToText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

/** The inverse of `bytesToText`. Throws RangeError for a character that is not one byte. */
export function textToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw new RangeError(`character ${i} of '${text}' is not a single byte`);
    bytes[i] = code;
  }
  return bytes;
}

/**
 * A string table section (ELF gABI, "String Table"). The text is decoded once and names are slices of it, and
 * the terminators are found once: a hostile table of overlapping names costs no more than an honest one.
 */
export class StringTable {
  readonly size: number;
  readonly #text: string;
  readonly #ends: number[] = [];

  constructor(data: Uint8Array) {
    this.size = data.length;
    this.#text = bytesToText(data);
    for (let end = data.indexOf(0); end >= 0; end = data.indexOf(0, end + 1)) this.#ends.push(end);
  }

  /**
   * The name at an offset; undefined if it begins or runs on outside the table. Index 0 is always the empty
   * name.
   */
  at(offset: number): string | undefined {
    if (offset === 0 && this.size === 0) return '';
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    const end = this.#ends[low];
    return end === undefined ? undefined : this.#text.slice(offset, end);
  }
}

/**
 * A string table with names added at its end: those already in it keep their offsets. `offsets` has the place
 * of each name, in the order given. Throws RangeError for a name with a NUL or a wide character.
 */
export function appendNames(
  data: Uint8Array,
  names: readonly string[],
): { data: Uint8Array; offsets: number[] } {
  const missing = names.find((name) => name.includes('\0'));
  if (missing !== undefined) throw new RangeError(`a name cannot hold a NUL: ${JSON.stringify(missing)}`);
  // Offset 0 must stay the empty name, and the last name there may lack its terminator.
  const lead = data.length === 0 || data[data.length - 1] !== 0 ? '\0' : '';
  const known = new Map<string, number>([['', 0]]);
  const offsets: number[] = [];
  const added: string[] = [lead];
  let end = data.length + lead.length;
  for (const name of names) {
    let offset = known.get(name);
    if (offset === undefined) {
      offset = end;
      known.set(name, offset);
      added.push(name, '\0');
      end += name.length + 1;
    }
    offsets.push(offset);
  }
  const grown = new Uint8Array(end);
  grown.set(data);
  grown.set(textToBytes(added.join('')), data.length);
  return { data: grown, offsets };
}
