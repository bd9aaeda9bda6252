// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../harness/errors.js';

/**
 * The cpio "newc" format as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst,
 * init/initramfs.c): a 110-byte header of hexadecimal numbers, the name, the data, each padded to four bytes.
 */

/** One thing in an archive. Paths are relative (`etc/passwd`), `mode` holds the permission bits only. */
export type Entry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'device';
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const magic = '070701';
const headerLength = 110;
const trailer = 'TRAILER!!!';
const typeBits = { file: 0o100000, directory: 0o040000, symlink: 0o120000, device: 0o020000 } as const;
/** PATH_MAX, which init/initramfs.c allows for a name and its NUL. */
const longestName = 4096;

/**
 * Writes an archive. The same entries give the same bytes, in whatever order they come: sorted by name, every time
 * stamp 0, owned by root, inodes counted from 1.
 *
 * @throws InfrastructureError for a name the kernel would misread or put elsewhere: empty, absolute, with `.`, `..`,
 *   an empty component, control characters or text that is not Unicode; a name given twice; one whose parent is not a
 *   directory of the archive
 */
export function writeNewc(entries: readonly Entry[]): Buffer {
  const named = entries.map((entry) => ({ entry, name: checkedName(entry.path) }));
  named.sort((a, b) => Buffer.compare(a.name, b.name));
  const directories = new Set(['']);
  const seen = new Set<string>();
  const chunks: Buffer[] = [];
  for (const [index, { entry, name }] of named.entries()) {
    if (seen.has(entry.path)) throw refused(entry.path, 'is there twice');
    seen.add(entry.path);
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')));
    if (!directories.has(parent)) throw refused(entry.path, `has no directory "${parent}" above it`);
    if (entry.kind === 'directory') directories.add(entry.path);
    chunks.push(...record(index + 1, name, entry));
  }
  chunks.push(...record(0, Buffer.from(trailer), undefined));
  return Buffer.concat(chunks);
}

/** The entries and, for every path whose parents are not among them, those parents as directories of mode 0755. */
export function withParents(entries: readonly Entry[]): Entry[] {
  const known = new Set(entries.map((entry) => entry.path));
  const added: Entry[] = [];
  for (const { path } of entries) {
    for (let cut = path.indexOf('/'); cut > 0; cut = path.indexOf('/', cut + 1)) {
      const parent = path.slice(0, cut);
      if (known.has(parent)) continue;
      known.add(parent);
      added.push({ kind: 'directory', path: parent, mode: 0o755 });
    }
  }
  return [...entries, ...added];
}

/**
 * Reads an archive written by `writeNewc`: the entries in archive order.
 * @throws InfrastructureError when it is cut short, is no newc archive, or has a name that `writeNewc` refuses
 */
export function readNewc(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  const seen = new Set<string>();
  let offset = 0;
  const take = (length: number): Buffer => {
    if (offset + length > archive.length) throw new InfrastructureError(`cpio archive ends inside the record at ${offset}`);
    const part = archive.subarray(offset, offset + length);
    offset += length + (-(offset + length) & 3);
    return part;
  };
  for (;;) {
    const start = offset;
    if (start + headerLength > archive.length) throw new InfrastructureError('cpio archive has no trailer');
    const header = archive.toString('latin1', start, start + headerLength);
    if (!/^070701[0-9A-Fa-f]{104}$/.test(header)) throw new InfrastructureError(`no cpio newc header at ${start}`);
    const field = (index: number): number => Number.parseInt(header.slice(6 + 8 * index, 14 + 8 * index), 16);
    if (field(11) === 0) throw new InfrastructureError(`cpio record at ${start} has no name`);
    // Header and name are padded together.
    const path = take(headerLength + field(11)).toString('utf8', headerLength, headerLength + field(11) - 1);
    if (path === trailer) return entries;
    checkedName(path);
    if (seen.has(path)) throw refused(path, 'is there twice');
    seen.add(path);
    const data = take(field(6));
    entries.push(decoded(path, field(1), data, field(9), field(10)));
  }
}

function decoded(path: string, bits: number, data: Buffer, major: number, minor: number): Entry {
  const mode = bits & 0o7777;
  switch (bits & 0o170000) {
    case typeBits.directory:
      return { kind: 'directory', path, mode };
    case typeBits.file:
      return { kind: 'file', path, mode, data };
    case typeBits.symlink:
      return { kind: 'symlink', path, target: data.toString() };
    case typeBits.device:
      return { kind: 'device', path, mode, major, minor };
    default:
      throw new InfrastructureError(`cpio record "${path}" is of an unknown type (mode ${bits.toString(8)})`);
  }
}

function record(inode: number, name: Buffer, entry: Entry | undefined): Buffer[] {
  const data =
    entry?.kind === 'file' ? Buffer.from(entry.data) : entry?.kind === 'symlink' ? checkedTarget(entry) : Buffer.alloc(0);
  if (data.length > 0xffffffff) throw refused(entry?.path ?? '', 'is too long for cpio (4 GiB)');
  const mode = entry ? typeBits[entry.kind] | (entry.kind === 'symlink' ? 0o777 : entry.mode & 0o7777) : 0;
  const links = entry?.kind === 'directory' ? 2 : 1;
  const [major, minor] = entry?.kind === 'device' ? [entry.major, entry.minor] : [0, 0];
  // ino mode uid-gid nlink mtime filesize dev rdev namesize check
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length + 1, 0];
  const header = magic + fields.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('');
  return [padded(Buffer.concat([Buffer.from(header), name, Buffer.alloc(1)])), padded(data)];
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function checkedName(path: string): Buffer {
  if (path === '') throw refused(path, 'is empty');
  if (path === trailer) throw refused(path, 'would end the archive');
  if (path.startsWith('/')) throw refused(path, 'is absolute');
  if (hasControl(path)) throw refused(path, 'has control characters');
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw refused(path, 'has an empty, "." or ".." component');
  }
  const name = Buffer.from(path);
  if (name.toString() !== path) throw refused(path, 'is not valid Unicode');
  if (name.length >= longestName) throw refused(path.slice(0, 40), `is longer than ${longestName - 1} bytes`);
  return name;
}

function checkedTarget(entry: { readonly path: string; readonly target: string }): Buffer {
  const target = Buffer.from(entry.target);
  if (target.length === 0 || hasControl(entry.target) || target.toString() !== entry.target) {
    throw refused(entry.path, 'is a symbolic link to a name that is empty, has control characters or is not Unicode');
  }
  return target;
}

function hasControl(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return /[\x00-\x1f\x7f]/.test(text);
}

function refused(path: string, why: string): InfrastructureError {
  return new InfrastructureError(`archive entry ${JSON.stringify(path)} ${why}`);
}
