// SPDX-License-Identifier: MIT
import { link, lstat, mkdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { InfrastructureError } from '../harness/errors.js';

/** Says of a path inside the archive (`usr/lib/x`, no leading `./`) whether it is wanted. */
export type PathFilter = (path: string) => boolean;

/**
 * Unpacks a tar stream into `directory`, as if that were the root of a file system: an absolute symbolic link becomes
 * a relative one to the same place below `directory`. Times, owners and set-id bits are not kept.
 *
 * @param tar       an uncompressed tar archive
 * @param directory exists; what lies there may be overwritten
 * @param filter    entries it answers false for are left out
 * @throws InfrastructureError when an entry, or what a link points to, would lie outside `directory`, or is a device
 */
export async function unpackTar(tar: Readable, directory: string, filter: PathFilter = () => true): Promise<void> {
  const root = await realpath(directory);
  const parser = extract();
  // Folders seen to be real ones. They stay that: nothing here removes a folder.
  const folders = new Set<string>();
  // The for-await below sees a failure of either side; this keeps the pipeline's own rejection from going unhandled.
  const feeding = pipeline(tar, parser).catch((error: unknown) => error);
  for await (const entry of parser) {
    const path = insidePath(entry.header.name);
    if (path !== '' && filter(path)) await place(root, path, entry.header, entry as AsyncIterable<Buffer>, folders);
    entry.resume();
  }
  const failure = await feeding;
  if (failure instanceof Error) throw failure;
}

async function place(
  root: string,
  path: string,
  header: Header,
  content: AsyncIterable<Buffer>,
  folders: Set<string>,
): Promise<void> {
  const { type, linkname, mode } = header;
  const target = join(root, path);
  await makeParent(root, path, folders);
  switch (type) {
    case 'directory': {
      const existing = await lstat(target).catch(() => undefined);
      // A directory may already be there, or a link to one (merged /usr).
      if (existing?.isSymbolicLink()) await assertInside(root, target, path);
      else await mkdir(target, { recursive: true });
      return;
    }
    case 'file':
    case 'contiguous-file':
      await rm(target, { force: true });
      await writeFile(target, content, { mode: mode & 0o777, flag: 'wx' });
      return;
    case 'symlink':
      await rm(target, { force: true });
      await symlink(linkText(relative(root, await realpath(dirname(target))), linkname, path), target);
      return;
    case 'link': {
      const source = insidePath(linkname);
      await assertInside(root, dirname(join(root, source)), path);
      // A second name for a symbolic link, at another depth, would lead elsewhere than the first.
      if (!(await lstat(join(root, source)).catch(() => undefined))?.isFile()) {
        throw new InfrastructureError(`archive entry ${path} is a hard link to what is no file: refused`);
      }
      await rm(target, { force: true });
      await link(join(root, source), target);
      return;
    }
    case 'block-device':
    case 'character-device':
    case 'fifo':
      throw new InfrastructureError(`archive entry ${path} is a ${type}: refused`);
  }
}

/** Makes the entry's parent, and sees to it that links on the way did not lead outside. */
async function makeParent(root: string, path: string, folders: Set<string>): Promise<void> {
  if (folders.has(dirname(path))) return;
  let current = root;
  let linked = false;
  for (const name of path.split('/').slice(0, -1)) {
    current = join(current, name);
    const existing = await lstat(current).catch(() => undefined);
    if (existing?.isSymbolicLink()) {
      await assertInside(root, current, path);
      linked = true;
    } else if (!existing) await mkdir(current);
  }
  if (!linked) folders.add(dirname(path));
}

async function assertInside(root: string, place: string, path: string): Promise<void> {
  const real = await realpath(place).catch(() => undefined);
  if (real === undefined || (real !== root && !real.startsWith(root + sep))) throw escapes(path);
}

function escapes(path: string): InfrastructureError {
  return new InfrastructureError(`archive entry ${path} leads outside the folder it is unpacked into: refused`);
}

/** `./usr/x` as `usr/x`; '' for the root itself. */
function insidePath(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || name.includes('\0') || parts.includes('..')) throw escapes(name);
  return parts.join('/');
}

/**
 * What a link should say so that it stays below the root.
 * @param parent where the link's folder really is, below the root: a path without links
 */
function linkText(parent: string, text: string, path: string): string {
  if (text.startsWith('/') && !text.includes('\0')) return relative(`/${parent}`, resolve('/', text)) || '.';
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  const ups = parts.findIndex((part) => part !== '..');
  const climbs = ups === -1 ? parts.length : ups;
  // `a/../b` could climb out through a link named a: only leading `..` can be counted.
  const deep = parent === '' ? 0 : parent.split('/').length;
  if (text === '' || text.includes('\0') || climbs > deep || parts.slice(climbs).includes('..')) throw escapes(path);
  return text;
}
