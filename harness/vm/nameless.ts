// SPDX-License-Identifier: MIT
import { chmod, mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * An open file that has no name any more: a program inherits its descriptor, and whatever kills the program or us,
 * nothing is left on disk.
 *
 * @param make fills the file, in a folder only we can enter
 */
export async function namelessFile(make: (file: string) => Promise<void>): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'klp-'));
  try {
    const file = join(folder, 'file');
    await make(file);
    // A copy of it in the cache gets the same mode: a guest's memory has its private keys.
    await chmod(file, 0o600);
    return await open(file, 'r+');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
