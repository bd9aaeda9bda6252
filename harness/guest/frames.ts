// SPDX-License-Identifier: MIT
import { ProtocolError } from './errors.js';
import { frameLimit } from './protocol.js';

/** A message with its length before it. */
export function frame(message: Buffer): Buffer {
  if (message.length > frameLimit) {
    throw new ProtocolError(`a message of ${message.length} bytes is over the limit of ${frameLimit}`);
  }
  const head = Buffer.alloc(4);
  head.writeUInt32LE(message.length);
  return Buffer.concat([head, message]);
}

/** Cuts a byte stream, in whatever chunks it comes, into messages. */
export class FrameDecoder {
  private chunks: Buffer[] = [];
  private size = 0;

  /**
   * @returns the messages that are complete now
   * @throws ProtocolError for a length over the limit: the stream is of no use after it
   */
  push(chunk: Buffer): Buffer[] {
    this.chunks.push(chunk);
    this.size += chunk.length;
    const messages: Buffer[] = [];
    for (;;) {
      const length = this.peekLength();
      if (length === undefined || this.size < 4 + length) return messages;
      messages.push(this.take(4 + length).subarray(4));
    }
  }

  /** Bytes of a message that is not complete. */
  get pending(): number {
    return this.size;
  }

  private peekLength(): number | undefined {
    if (this.size < 4) return undefined;
    if ((this.chunks[0]?.length ?? 0) < 4) this.chunks = [Buffer.concat(this.chunks)];
    const length = this.chunks[0]?.readUInt32LE() ?? 0;
    if (length > frameLimit) throw new ProtocolError(`a frame of ${length} bytes is over the limit of ${frameLimit}`);
    return length;
  }

  private take(count: number): Buffer {
    const all = this.chunks.length === 1 ? (this.chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.chunks);
    this.size -= count;
    this.chunks = this.size > 0 ? [all.subarray(count)] : [];
    return all.subarray(0, count);
  }
}
