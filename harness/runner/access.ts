// SPDX-License-Identifier: MIT
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InfrastructureError, messageOf } from '../errors.js';

/** Bytes that a unix socket's path may have (sun_path, less the final NUL). */
const longestSocket = 107;

/**
 * The folder of one run for what lets a person into its guests: sockets of debuggers and pinned host keys. Only its owner
 * gets in, and it is gone with the run. Not in the run's results: those are kept and passed on, and their path may be too
 * long for a socket.
 */
export class Access implements AsyncDisposable {
  #sockets = 0;

  private constructor(readonly directory: string) {}

  /** @throws InfrastructureError when no folder can be made */
  static async open(): Promise<Access> {
    // mkdtemp makes it 0700. The path is put into ssh's options and QEMU's, which have quoting of their own.
    const fits = (root: string): boolean => /^\/[\w./-]*$/.test(root) && join(root, 'klp-XXXXXX', 'gdb-999').length <= longestSocket;
    const root = [tmpdir(), '/tmp'].find(fits) ?? '/tmp';
    try {
      return new Access(await mkdtemp(join(root, 'klp-')));
    } catch (error) {
      throw new InfrastructureError(`can't make a folder in ${root}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** A path for a guest's debugger socket, not given out before. */
  socket(): string {
    this.#sockets += 1;
    return join(this.directory, `gdb-${this.#sockets}`);
  }

  /**
   * Writes a known_hosts file that accepts one guest and nobody else.
   * @param hostKey public key as it goes over the wire
   * @returns its path
   */
  async knownHosts(port: number, hostKey: Buffer): Promise<string> {
    const file = join(this.directory, `known_hosts-${port}`);
    const type = hostKey.subarray(4, 4 + hostKey.readUInt32BE(0)).toString();
    await writeFile(file, `[127.0.0.1]:${port} ${type} ${hostKey.toString('base64')}\n`, { mode: 0o600 });
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}
