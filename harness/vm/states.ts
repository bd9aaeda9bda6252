// SPDX-License-Identifier: MIT
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdtemp, rm, stat, statfs, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { digest } from '../cache.js';
import { InfrastructureError } from '../errors.js';
import { host, tryHost } from '../host.js';
import { qemuArguments, type Hardware } from './argv.js';
import { namelessFile } from './nameless.js';
import { findProgram } from './qemu.js';

/** A file of saved states, and what its bytes must be. */
export interface SavedStates {
  readonly file: string;
  /** Hex SHA-256: a guest with one bit of its memory changed would be another guest. */
  readonly sha256: string;
}

/**
 * A qcow2 file without a name, for a guest's saved states.
 *
 * @param from saved states to start from, which are copied; without them, an empty file is made
 * @throws InfrastructureError when qemu-img is missing or the disk is full
 */
export async function openStates(from?: SavedStates): Promise<FileHandle> {
  const qemuImg = findProgram('qemu-img', 'qemu-utils');
  return namelessFile(async (file) => {
    if (from === undefined) {
      // States lie beyond the virtual disk's end, which nobody uses.
      await host(qemuImg, ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=1M', file, '1M']);
      return;
    }
    await copyFile(from.file, file, constants.COPYFILE_FICLONE);
  });
}

/** @throws InfrastructureError when saved states are not what they were: to be known before they are loaded */
export async function checkStates({ file, sha256 }: SavedStates): Promise<void> {
  if ((await fileDigest(file)) === sha256) return;
  throw new InfrastructureError(`saved guest state ${file} is damaged`, { hint: `remove it: ${file}` });
}

/** For a person: how much room there is for saved states, and how to give them another place. */
export async function roomForStates(): Promise<string> {
  const { bavail, bsize } = await statfs(tmpdir());
  return `states are saved in ${tmpdir()}, which has ${Math.floor((bavail * bsize) / 2 ** 20)} MiB left; TMPDIR chooses another place`;
}

/** Hex SHA-256 of a file's bytes. */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

let chosen: Promise<'threads' | 'io_uring'> | undefined;

/**
 * How QEMU best reads a file here: a state of 90 MiB comes back in 70 ms through io_uring and in 210 ms through threads.
 * Containers often forbid it, and QEMU may lack it: so it is tried, once a process.
 */
export function chooseAio(): Promise<'threads' | 'io_uring'> {
  chosen ??= tryUring();
  return chosen;
}

async function tryUring(): Promise<'threads' | 'io_uring'> {
  const qemuImg = findProgram('qemu-img', 'qemu-utils');
  const folder = await mkdtemp(join(tmpdir(), 'klp-'));
  try {
    const file = join(folder, 'probe');
    await writeFile(file, Buffer.alloc(65_536));
    const arguments_ = ['bench', '-f', 'raw', '-i', 'io_uring', '-c', '1', '-d', '1', file];
    return (await tryHost(qemuImg, arguments_, { timeout: 10_000 })).exitCode === 0 ? 'io_uring' : 'threads';
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
  // Where the two files lie does not matter; whether the kernel is started as its image or as what is in it does.
  const argv = qemuArguments({ ...hardware, kernel: basename(hardware.kernel), initramfs: 'initramfs', paused: false });
  return digest('1', version, String(size), String(mtimeMs), kernel, image, ...argv);
}
