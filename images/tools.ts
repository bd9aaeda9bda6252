// SPDX-License-Identifier: MIT
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cached, digest } from '../harness/cache.js';
import type { FileToPush } from '../harness/guest/tar.js';
import { fetchPackages, unpackPackage } from '../kernels/packages.js';
import { hostSuite } from '../kernels/mirrors.js';
import type { Progress } from '../kernels/types.js';
import { programs } from './userland.js';

/** What upstream's scripts call, by Debian package. Busybox's own differ in options and in messages that the scripts compare. */
const toolsByPackage: Readonly<Record<string, readonly string[]>> = {
  bash: ['bash'],
  coreutils: [
    ...['basename', 'cat', 'comm', 'cp', 'cut', 'date', 'dirname', 'echo', 'env', 'expr', 'head', 'id', 'ln', 'ls', 'mkdir', 'mktemp'],
    ...['mv', 'nproc', 'printf', 'readlink', 'realpath', 'rm', 'seq', 'sleep', 'sort', 'stat', 'tail', 'tee', 'test', 'timeout', 'touch'],
    ...['tr', 'uname', 'uniq', 'wc'],
  ],
  diffutils: ['diff'],
  grep: ['grep'],
  kmod: ['kmod'],
  'libc-bin': ['getconf'],
  mawk: ['mawk'],
  procps: ['sysctl'],
  sed: ['sed'],
  'util-linux': ['dmesg'],
};

/** Names that a program goes by beside its own: links to be made in the guest's /bin. */
export const toolLinks: Readonly<Record<string, string>> = {
  awk: 'mawk',
  depmod: 'kmod',
  insmod: 'kmod',
  lsmod: 'kmod',
  modinfo: 'kmod',
  modprobe: 'kmod',
  rmmod: 'kmod',
};

/**
 * Bash and the tools that scripts written for a distribution expect, with their libraries, from Debian's packages for the
 * guest's architecture: files for the guest's root folder.
 *
 * @throws InfrastructureError when a package cannot be had
 */
export async function scriptTools(arch: Arch, progress: Progress): Promise<FileToPush[]> {
  const info = architectures[arch];
  const suite = await hostSuite();
  const names = Object.keys(toolsByPackage);
  const paths = Object.values(toolsByPackage).flat().map((name) => `bin/${name}`);
  const packages = await fetchPackages({ suite, arch: info.debian, names, libraries: true, progress });
  const key = digest('1', arch, ...paths, ...packages.map((p) => p.record.sha256));
  const directory = await cached('tools', key, async (work) => {
    progress(`unpacking bash and the tools of ${suite} for ${arch}`);
    const root = join(work, 'packages');
    await mkdir(root);
    for (const { file } of packages) await unpackPackage(file, root);
    for (const { path, data } of await programs(root, info, paths)) {
      const file = join(work, 'tools', path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, data);
    }
    await rm(root, { recursive: true });
  });
  const root = join(directory, 'tools');
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  return Promise.all(files.sort().map(async (name) => ({ name, mode: 0o755, content: await readFile(join(root, name)) })));
}
