// SPDX-License-Identifier: MIT
import { constants } from 'node:fs';
import { copyFile, stat, type FileHandle } from 'node:fs/promises';
import { digest } from '../cache.js';
import { InfrastructureError } from '../errors.js';
import { host, tryHost } from '../host.js';
import { qemuArguments, type Hardware } from './argv.js';
import { namelessFile } from './nameless.js';
import { findProgram } from './qemu.js';

/**
 * A qcow2 file without a name, for a guest's saved states.
 *
 * @param from a qcow2 file with saved states to start from, checked and copied; without it, an empty one is made
 * @throws InfrastructureError when qemu-img is missing, the disk is full, or `from` is damaged
 */
export async function openStates(from?: string): Promise<FileHandle> {
  const qemuImg = findProgram('qemu-img', 'qemu-utils');
  return namelessFile(async (file) => {
    if (from === undefined) {
      // States lie beyond the virtual disk's end, which nobody uses.
      await host(qemuImg, ['create', '-q', '-f', 'qcow2', file, '1M']);
      return;
    }
    await copyFile(from, file, constants.COPYFILE_FICLONE);
    const check = await tryHost(qemuImg, ['check', '-q', '-f', 'qcow2', file]);
    if (check.exitCode !== 0) {
      throw new InfrastructureError(`saved guest state ${from} is damaged`, {
        hint: `remove it: ${from}`,
        details: check.all.trim().split('\n').slice(0, 10),
      });
    }
  });
}

/** Writes a copy of the states to a file. The handle may be of a file without a name. */
export async function copyStates(states: FileHandle, to: string): Promise<void> {
  await copyFile(`/proc/self/fd/${states.fd}`, to, constants.COPYFILE_FICLONE);
}

/**
 * Key under which a saved state may be used again: only the same QEMU build with the same machine can load it, and
 * only with the same kernel and initramfs is it the state that was asked for.
 *
 * @param kernel fingerprint of the kernel
 * @param image  fingerprint of the initramfs
 */
export async function stateFingerprint(hardware: Hardware, kernel: string, image: string): Promise<string> {
  const qemu = findProgram(hardware.arch.qemu, hardware.arch.qemuPackage);
  const { size, mtimeMs } = await stat(qemu);
  const version = await host(qemu, ['--version']);
  // Where the two files lie does not matter.
  const argv = qemuArguments({ ...hardware, kernel: 'kernel', initramfs: 'initramfs', paused: false });
  return digest('1', version, String(size), String(mtimeMs), kernel, image, ...argv);
}
