// SPDX-License-Identifier: MIT
import { ProtocolError } from './errors.js';
import { frameLimit } from './protocol.js';

/*
 * How messages travel: {u32 session, message}, byte-stuffed (COBS: Cheshire and Baker, "Consistent Overhead Byte
 * Stuffing", 1999) so that no byte of it is 0, between two zeros. A channel that outlives its guest (a virtio port, after
 * the guest was restored) may begin in the middle of something, in either direction: the next zero ends that, and what is
 * of another session than the one just opened is of nobody's interest. The same code in C is images/agent/link.c.
 */

/** A session's first frame holds no message; the agent answers it with its Hello. Session 0: nobody has opened one yet. */
export interface Framed {
  readonly session: number;
  readonly message: Buffer;
}

const delimiter = Buffer.alloc(1);
/** What a frame at the limit becomes at most: a code byte for every 254, and the session. */
const longestEncoded = frameLimit + 4 + Math.ceil((frameLimit + 4) / 254) + 1;

/** @throws ProtocolError for a message over the limit */
export function frame(session: number, message: Buffer): Buffer {
  if (message.length > frameLimit) {
    throw new ProtocolError(`a message of ${message.length} bytes is over the limit of ${frameLimit}`);
  }
  const head = Buffer.alloc(4);
  head.writeUInt32LE(session);
  return Buffer.concat([delimiter, stuffed(Buffer.concat([head, message])), delimiter]);
}

/** Each run of up to 254 bytes without a zero, behind its length + 1; a zero follows each but those of 254 and the last. */
function stuffed(data: Buffer): Buffer {
  const out = Buffer.alloc(data.length + Math.floor(data.length / 254) + 1);
  let end = 0;
  for (let from = 0; from <= data.length; ) {
    const zero = data.indexOf(0, from);
    const length = Math.min((zero < 0 ? data.length : zero) - from, 254);
    out[end] = length + 1;
    end += 1 + data.copy(out, end + 1, from, from + length);
    from += length;
    if (length < 254 || from === data.length) from += 1;
  }
  return out.subarray(0, end);
}

/** @returns undefined for what `stuffed` never makes */
function unstuffed(data: Buffer): Buffer | undefined {
  const out = Buffer.alloc(data.length);
  let end = 0;
  for (let at = 0; at < data.length; ) {
    const code = data[at] ?? 0;
    const next = at + code;
    if (code === 0 || next > data.length) return undefined;
    end += data.copy(out, end, at + 1, next);
    // The zero behind a run; `out` holds one already.
    if (code < 255 && next < data.length) end += 1;
    at = next;
  }
  return out.subarray(0, end);
}

/** Cuts a byte stream, in whatever chunks it comes, into frames. */
export class FrameDecoder {
  private chunks: Buffer[] = [];
  private size = 0;
  /** Bytes between two zeros that were no frame, so far. */
  garbage = 0;

  /**
   * @returns the frames that are complete now; what is none is dropped and counted
   * @throws ProtocolError when so much came without an end that it can be no frame
   */
  push(chunk: Buffer): Framed[] {
    const frames: Framed[] = [];
    let from = 0;
    for (let zero = chunk.indexOf(0); zero >= 0; zero = chunk.indexOf(0, from)) {
      this.keep(chunk.subarray(from, zero));
      from = zero + 1;
      const encoded = Buffer.concat(this.chunks);
      this.chunks = [];
      this.size = 0;
      if (encoded.length === 0) continue;
      const data = unstuffed(encoded);
      if (data && data.length >= 4) frames.push({ session: data.readUInt32LE(), message: data.subarray(4) });
      else this.garbage += encoded.length;
    }
    this.keep(chunk.subarray(from));
    return frames;
  }

  /** Bytes of a frame that is not complete. */
  get pending(): number {
    return this.size;
  }

  private keep(part: Buffer): void {
    if (part.length === 0) return;
    this.size += part.length;
    if (this.size > longestEncoded) throw new ProtocolError(`a frame of ${this.size} bytes and more is over the limit of ${frameLimit}`);
    this.chunks.push(part);
  }
}
