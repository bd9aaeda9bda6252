// SPDX-License-Identifier: MIT
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ArchInfo } from '../harness/arch.js';
import { InfrastructureError } from '../harness/errors.js';
import { host } from '../harness/host.js';
import type { Entry } from './newc.js';

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
  const index = await indexFiles(root);
  const program = async (name: string, path: string): Promise<Entry> => ({
    kind: 'file',
    path,
    mode: 0o755,
    data: await readFile(locate(index, name)),
  });
  const entries: Entry[] = [
    await program('busybox', 'bin/busybox'),
    { kind: 'symlink', path: 'bin/sh', target: 'busybox' },
    await program('dropbear', 'usr/sbin/dropbear'),
  ];
  const queue = ['dropbear'];
  const done = new Set<string>();
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (done.has(name)) continue;
    done.add(name);
    const facts = await host('readelf', ['-dlW', locate(index, name)]);
    for (const [, library = ''] of facts.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)) {
      if (!done.has(library) && !queue.includes(library) && !library.startsWith('ld-linux')) {
        entries.push(await program(library, `lib/${arch.triplet}/${library}`));
        queue.push(library);
      }
    }
    const loader = /\[Requesting program interpreter: \/([^\]]+)\]/.exec(facts)?.[1];
    if (name === 'dropbear') {
      if (loader === undefined) throw new InfrastructureError('dropbear names no dynamic loader');
      entries.push(await program(basename(loader), loader));
    }
  }
  return entries;
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
    throw new InfrastructureError(`${name}, which the guest needs, is in none of ${userlandPackages.join(', ')}`);
  }
  if (found.target === undefined) return found.path;
  if (found.target === name) throw new InfrastructureError(`${found.path} is a link that leads nowhere`);
  return locate(index, found.target);
}
