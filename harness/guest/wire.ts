// SPDX-License-Identifier: MIT
import { ProtocolError } from './errors.js';

/** Both directions of one kind of value. `read(write(x))` is `x`. */
export interface Codec<T> {
  readonly write: (out: Writer, value: T) => void;
  /** @throws ProtocolError when the bytes do not hold such a value */
  readonly read: (from: Reader) => T;
}

/** Bytes being put together. */
export class Writer {
  private readonly parts: Uint8Array[] = [];

  raw(bytes: Uint8Array): void {
    this.parts.push(bytes);
  }

  finish(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Bytes being taken apart, never beyond their end. */
export class Reader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  raw(size: number): Buffer {
    if (this.at + size > this.bytes.length) {
      throw new ProtocolError(`message ends at byte ${this.bytes.length}, ${size} bytes were due at byte ${this.at}`);
    }
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  /** How many bytes are not read yet. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  rest(): Buffer {
    return this.raw(this.left);
  }

  /** @throws ProtocolError when something is left over */
  end(): void {
    if (this.at < this.bytes.length) {
      throw new ProtocolError(`${this.bytes.length - this.at} bytes too many in a message of ${this.bytes.length}`);
    }
  }
}

/** A codec for what another one carries in another shape. */
export function mapped<A, B>(codec: Codec<A>, to: (value: A) => B, from: (value: B) => A): Codec<B> {
  return { write: (out, value) => codec.write(out, from(value)), read: (input) => to(codec.read(input)) };
}

/**
 * A little-endian number.
 * @throws RangeError from `write` for what the field cannot hold: wrong arguments never reach the guest
 */
function unsigned(size: number): Codec<number> {
  return {
    write: (out, value) => {
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
        throw new RangeError(`${value} does not fit ${size} bytes`);
      }
      const part = Buffer.alloc(size);
      part.writeUIntLE(value, 0, size);
      out.raw(part);
    },
    read: (from) => from.raw(size).readUIntLE(0, size),
  };
}

export const u8 = unsigned(1);
export const u32 = unsigned(4);
export const i32: Codec<number> = mapped(
  u32,
  (value) => value | 0,
  (value) => value >>> 0,
);
export const u64: Codec<bigint> = {
  write: (out, value) => {
    if (value < 0n || value >= 1n << 64n) throw new RangeError(`${value.toString()} does not fit 8 bytes`);
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(value);
    out.raw(part);
  },
  read: (from) => from.raw(8).readBigUInt64LE(),
};
export const bool: Codec<boolean> = mapped(
  u8,
  (value) => value !== 0,
  (value) => (value ? 1 : 0),
);
export const bytes: Codec<Buffer> = {
  write: (out, value) => {
    u32.write(out, value.length);
    out.raw(value);
  },
  read: (from) => from.raw(u32.read(from)),
};
export const text: Codec<string> = mapped(
  bytes,
  (value) => value.toString('utf8'),
  (value) => Buffer.from(value, 'utf8'),
);
/** Whatever follows, without a length. */
export const rest: Codec<Buffer> = { write: (out, value) => out.raw(value), read: (from) => from.rest() };
export const nothing: Codec<undefined> = { write: () => undefined, read: () => undefined };

/** One of a few words, carried as its place in the list. */
export function word<T extends string>(...words: readonly T[]): Codec<T> {
  return mapped(
    u8,
    (place) => {
      const found = words[place];
      if (found === undefined) throw new ProtocolError(`${place} is none of ${words.join(', ')}`);
      return found;
    },
    (value) => words.indexOf(value),
  );
}

export function list<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    write: (out, values) => {
      u32.write(out, values.length);
      for (const value of values) item.write(out, value);
    },
    read: (from) => {
      const values: T[] = [];
      // Not by a preset length: a hostile count ends at the first missing item, not in an allocation.
      for (let left = u32.read(from); left > 0; left--) values.push(item.read(from));
      return values;
    },
  };
}

/** As many as there are up to the end of the message: the last field of all. */
export function untilEnd<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    write: (out, values) => {
      for (const value of values) item.write(out, value);
    },
    read: (from) => {
      const values: T[] = [];
      while (from.left > 0) values.push(item.read(from));
      return values;
    },
  };
}

/** A byte that says whether the value follows. */
export function option<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write: (out, value) => {
      bool.write(out, value !== undefined);
      if (value !== undefined) codec.write(out, value);
    },
    read: (from) => (bool.read(from) ? codec.read(from) : undefined),
  };
}

/** An object whose fields are carried in the order in which they are given here. */
export function struct<T extends object>(fields: { readonly [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const names = Object.keys(fields) as (keyof T)[];
  return {
    write: (out, value) => {
      for (const name of names) fields[name].write(out, value[name]);
    },
    read: (from) => Object.fromEntries(names.map((name) => [name, fields[name].read(from)])) as T,
  };
}

/** All of a message in one codec. */
export function encode<T>(codec: Codec<T>, value: T): Buffer {
  const out = new Writer();
  codec.write(out, value);
  return out.finish();
}

/** @throws ProtocolError when the message is shorter, longer or other than the codec says */
export function decode<T>(codec: Codec<T>, message: Buffer): T {
  const from = new Reader(message);
  const value = codec.read(from);
  from.end();
  return value;
}
