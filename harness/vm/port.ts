// SPDX-License-Identifier: MIT
import { Duplex } from 'node:stream';

/**
 * Our end of a virtio port: a socket that lives as long as QEMU, whatever becomes of the guest. Who talks over it gets a
 * channel of their own, and what they leave unread is the next one's to skip.
 */
export class Port {
  private current: Duplex | undefined;

  /** @param socket inherited by QEMU's other end */
  constructor(private readonly socket: Duplex) {
    socket.pause();
    socket.on('data', (chunk: Buffer) => this.current?.push(chunk));
    // A broken socket is QEMU's end, which the machine reports.
    socket.on('error', () => this.end());
    socket.on('close', () => this.end());
  }

  /** A new stream over the port. The one before it is closed. */
  channel(): Duplex {
    this.current?.destroy();
    const { socket } = this;
    const channel: Duplex = new Duplex({
      read: () => void socket.resume(),
      write: (chunk: Buffer, _encoding, done) => {
        // `false` only means that the guest does not read: the session has a deadline for that.
        socket.write(chunk);
        done();
      },
      destroy: (error, done) => {
        if (this.current === channel) {
          this.current = undefined;
          socket.pause();
        }
        done(error);
      },
    });
    this.current = channel;
    if (socket.destroyed) channel.destroy();
    return channel;
  }

  private end(): void {
    this.current?.push(null);
    this.current?.destroy();
  }
}
