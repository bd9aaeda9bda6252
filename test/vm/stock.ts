// SPDX-License-Identifier: MIT
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import ssh2 from 'ssh2';
import { architectures } from '../../harness/arch.js';
import type { Machine, MachineOptions } from '../../harness/vm/machine.js';
import { buildImage, type Image } from '../../images/initramfs.js';
import { hostSuite } from '../../kernels/mirrors.js';
import { bootFile } from '../../kernels/pvh.js';
import type { AcquiredKernel } from '../../kernels/types.js';
import { stockKernel } from '../e2e/kernel.js';

/** Generous, since the machine is shared and the guest emulated. */
export const patience = 600_000;

const silent = (): void => undefined;

export async function stockImage(init?: string): Promise<{ kernel: AcquiredKernel; image: Image; options: MachineOptions }> {
  const kernel = await stockKernel();
  const suite = await hostSuite();
  const image = await buildImage({ kernel, suite, progress: silent, ...(init === undefined ? {} : { init }) });
  const options: MachineOptions = {
    arch: architectures[kernel.arch],
    accel: 'tcg',
    kernel: await bootFile(kernel, silent),
    initramfs: image.initramfs,
    transport: image.transport,
    bootDeadline: patience,
  };
  return { kernel, image, options };
}

/** Runs one command in the guest over a connection of its own, the host key pinned. */
export async function inGuest(machine: Machine, image: Image, command: string): Promise<string> {
  const client = new ssh2.Client();
  const ready = once(client, 'ready');
  // A connection that was ended before a restore is reset after it.
  client.on('error', () => undefined);
  client.connect({
    host: '127.0.0.1',
    port: machine.sshPort,
    username: 'root',
    privateKey: image.userKey,
    hostVerifier: (key: Buffer) => key.equals(image.hostKey),
    readyTimeout: patience,
  });
  try {
    await ready;
    const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
      client.exec(command, (error, stream) => {
        if (error) reject(error);
        else resolve(stream);
      }),
    );
    const [output] = await Promise.all([text(channel), text(channel.stderr)]);
    return output;
  } finally {
    client.end();
  }
}
