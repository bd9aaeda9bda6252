// SPDX-License-Identifier: MIT
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ArchInfo } from '../harness/arch.js';
import { InfrastructureError } from '../harness/errors.js';
import { host } from '../harness/host.js';
import type { Entry } from './newc.js';

type File = Extract<Entry, { kind: 'file' }>;

/** Debian packages the guest's programs come from: busybox is static, the rest is dropbear and its libraries. */
export const userlandPackages: readonly string[] = [
  'busybox-static',
  'dropbear-bin',
  'libc6',
  'libcrypt1',
  'libgmp10',
  'libtomcrypt1',
  'libtommath1',
  'zlib1g',
];

/**
 * The programs of the guest: `bin/busybox`, `bin/sh`, `usr/sbin/dropbear` and exactly the libraries it asks for.
 *
 * @param root folder the packages were unpacked into, one over the other
 * @throws InfrastructureError when a program or a library that is asked for is in none of the packages
 */
export async function userland(root: string, arch: ArchInfo): Promise<Entry[]> {
  return [
    { kind: 'symlink', path: 'bin/sh', target: 'busybox' },
    ...(await programs(root, arch, ['bin/busybox', 'usr/sbin/dropbear'])),
  ];
}

/**
 * Programs and exactly what they ask for: libraries, and the dynamic loader.
 *
 * @param root  folder the packages were unpacked into, one over the other
 * @param paths in the guest; the name of each is that of the program
 * @throws InfrastructureError when a program or a library that is asked for is in none of the packages
 */
export async function programs(root: string, arch: ArchInfo, paths: readonly string[]): Promise<File[]> {
  const index = await indexFiles(root);
  const files: File[] = [];
  const done = new Set<string>();
  const queue = [...paths];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    if (done.has(path)) continue;
    done.add(path);
    const found = locate(index, basename(path));
    files.push({ kind: 'file', path, mode: 0o755, data: await readFile(found) });
    const facts = await host('readelf', ['-dlW', found]);
    const libraries = [...facts.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map(([, name = '']) => name);
    queue.push(...libraries.filter((name) => !name.startsWith('ld-linux')).map((name) => `lib/${arch.triplet}/${name}`));
    const loader = /\[Requesting program interpreter: \/([^\]]+)\]/.exec(facts)?.[1];
    if (loader !== undefined) queue.push(loader);
  }
  return files;
}

/** Every program and library by its name; a symbolic link is followed by its target's name, so never out of `root`. */
async function indexFiles(root: string): Promise<Map<string, { path: string; target: string | undefined }>> {
  const index = new Map<string, { path: string; target: string | undefined }>();
  for (const name of (await readdir(root, { recursive: true })).sort()) {
    if (!/(^|\/)s?bin\/|(^|\/)lib(64)?\//.test(name) || name.includes('/gconv/') || name.includes('/share/')) continue;
    const path = join(root, name);
    const stats = await lstat(path);
    if (stats.isFile()) index.set(basename(name), { path, target: undefined });
    else if (stats.isSymbolicLink() && !index.has(basename(name))) {
      index.set(basename(name), { path, target: basename(await readlink(path)) });
    }
  }
  return index;
}

function locate(index: ReadonlyMap<string, { path: string; target: string | undefined }>, name: string): string {
  const found = index.get(name);
  if (found === undefined) {
    throw new InfrastructureError(`${name}, which the guest needs, is in none of the packages for it`);
  }
  if (found.target === undefined) return found.path;
  if (found.target === name) throw new InfrastructureError(`${found.path} is a link that leads nowhere`);
  return locate(index, found.target);
}
