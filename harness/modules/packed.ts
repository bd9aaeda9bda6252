// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { InfrastructureError, messageOf } from '../errors.js';
import { scrubbedEnvironment } from '../host.js';

/*
 * Module files as a kernel's package has them: plain, or packed with xz, zstd or gzip.
 */

/** Larger than any module there is; no small file unpacks to more. */
export const largestModule = 256 * 1024 * 1024;

const packedModule = /\.ko(\.(xz|zst|gz))?$/;

/** A module file of a folder. */
export interface ModuleFile {
  /** What the kernel calls the module: `kernel/drivers/net/virtio-net.ko.xz` is `virtio_net`. */
  readonly name: string;
  readonly file: string;
  /** Its bytes. @throws InfrastructureError when it cannot be unpacked */
  readonly unpacked: () => Promise<Buffer>;
}

/** Whether a file is named like a module: `.ko`, and `.xz`, `.zst` or `.gz` behind it. */
export function isModuleFile(path: string): boolean {
  return packedModule.test(path);
}

/** What the kernel calls the module in a file. */
export function moduleName(path: string): string {
  return basename(path).replace(packedModule, '').replaceAll('-', '_');
}

/** A module file by its path. */
export function moduleFile(file: string): ModuleFile {
  return { name: moduleName(file), file, unpacked: () => unpackModule(file) };
}

/** Every module in a folder and below, in the order of their paths; not those that links lead to. */
export async function modulesOf(folder: string): Promise<readonly ModuleFile[]> {
  return (await filesBelow(folder)).filter(isModuleFile).sort().map(moduleFile);
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const below = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
  return (await Promise.all(below)).flat();
}

/**
 * The bytes of a module file; `.xz` and `.zst` are unpacked by the host's programs.
 * @throws InfrastructureError when it cannot be unpacked, or is larger than any module
 */
export async function unpackModule(file: string): Promise<Buffer> {
  const tool = file.endsWith('.xz') ? 'xz' : file.endsWith('.zst') ? 'zstd' : undefined;
  try {
    if (file.endsWith('.gz')) return gunzipSync(await readFile(file), { maxOutputLength: largestModule });
    if (tool === undefined) return await readFile(file);
    const options = { encoding: 'buffer', maxBuffer: largestModule, env: scrubbedEnvironment() } as const;
    return (await promisify(execFile)(tool, ['--decompress', '--stdout', '--', file], options)).stdout;
  } catch (error) {
    const missing = tool !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new InfrastructureError(`${file} cannot be unpacked: ${messageOf(error)}`, {
      ...(missing ? { hint: `apt-get install ${tool === 'xz' ? 'xz-utils' : 'zstd'}` } : {}),
      cause: error,
    });
  }
}
