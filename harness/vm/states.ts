// SPDX-License-Identifier: MIT
import { constants } from 'node:fs';
import { copyFile, mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { host } from '../host.js';
import { findProgram } from './qemu.js';

/**
 * A qcow2 file for a guest's saved states that has no name any more: QEMU inherits the descriptor, and whatever kills
 * QEMU or us, nothing is left on disk.
 *
 * @param from a qcow2 file with saved states to start from, copied; without it, an empty one is made
 * @throws InfrastructureError when qemu-img is missing or the disk is full
 */
export async function openStates(from?: string): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'klp-vm-'));
  try {
    const file = join(folder, 'states.qcow2');
    if (from === undefined) {
      // States lie beyond the virtual disk's end, which nobody uses.
      await host(findProgram('qemu-img', 'qemu-utils'), ['create', '-q', '-f', 'qcow2', file, '1M']);
    } else {
      await copyFile(from, file, constants.COPYFILE_FICLONE);
    }
    return await open(file, 'r+');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
