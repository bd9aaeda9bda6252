// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { cached, digest, ifCached } from '../harness/cache.js';
import { messageOf } from '../harness/errors.js';
import { scrubbedEnvironment } from '../harness/host.js';
import { type Compression, compressionOf, decompressed, identifyImage } from './image.js';
import { parseConfig } from './kconfig.js';
import type { AcquiredKernel, Progress } from './types.js';

/*
 * A bzImage unpacks itself, which emulation makes slow: half of a stock kernel's boot. QEMU starts an x86-64 vmlinux at
 * once where it has a PVH entry (Xen's PHYS32_ENTRY note and CONFIG_PVH), so the host unpacks the payload instead.
 */

/** Raised when what is kept for the same image changes. */
const layout = 1;
/** What a kernel may unpack to; those of distributions have up to a tenth of it. */
const largest = 1024 ** 3;

/** The compressed kernel inside a bzImage. */
export interface Payload {
  /** Of these only gzip, xz and zstd are unpacked here; undefined for what is none that the kernel has. */
  readonly packed: Compression | undefined;
  readonly data: Buffer;
  /** Bytes it unpacks to. */
  readonly size: number;
}

/**
 * Finds the payload of a bzImage: Documentation/arch/x86/boot.rst, `setup_sects`, `payload_offset`, `payload_length`.
 * @returns undefined when the image is no bzImage of protocol 2.08 or later, or is damaged
 */
export function payloadOf(image: Buffer): Payload | undefined {
  if (image.length < 0x250 || image.toString('latin1', 0x202, 0x206) !== 'HdrS') return undefined;
  if (image.readUInt16LE(0x206) < 0x208) return undefined;
  // 0 means 4, for the sake of very old boot loaders; the boot sector comes on top.
  const setup = ((image.readUInt8(0x1f1) || 4) + 1) * 512;
  const start = setup + image.readUInt32LE(0x248);
  const end = start + image.readUInt32LE(0x24c);
  if (end > image.length || end - start < 16) return undefined;
  const packed = compressionOf(image.subarray(start));
  // Makefile.lib's size_append puts the unpacked size behind all but gzip, whose own last field it is.
  return { packed, data: image.subarray(start, packed === 'gzip' ? end : end - 4), size: image.readUInt32LE(end - 4) };
}

/**
 * Whether a file is an x86-64 vmlinux with the entry that QEMU starts: a PT_NOTE segment with a note of owner `Xen` and
 * type 18 (include/xen/interface/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY).
 */
export function hasPvhEntry(vmlinux: Buffer): boolean {
  const elf64 = vmlinux.length >= 64 && vmlinux.toString('latin1', 0, 6) === '\x7fELF\x02\x01';
  if (!elf64 || vmlinux.readUInt16LE(18) !== 62) return false;
  const table = Number(vmlinux.readBigUInt64LE(32));
  const [size, count] = [vmlinux.readUInt16LE(54), vmlinux.readUInt16LE(56)];
  // A kernel has four or five; one with thousands would only cost time.
  if (size < 56 || count > 64 || table + size * count > vmlinux.length) return false;
  for (let at = table; at < table + size * count; at += size) {
    if (vmlinux.readUInt32LE(at) !== 4) continue;
    const start = Number(vmlinux.readBigUInt64LE(at + 8));
    if (notesHaveEntry(vmlinux.subarray(start, start + Number(vmlinux.readBigUInt64LE(at + 32))))) return true;
  }
  return false;
}

function notesHaveEntry(notes: Buffer): boolean {
  const padded = (length: number): number => length + (-length & 3);
  for (let at = 0; at + 12 <= notes.length; ) {
    const [name, content, type] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4), notes.readUInt32LE(at + 8)];
    if (type === 18 && content >= 4 && notes.toString('latin1', at + 12, at + 12 + name) === 'Xen\0') return true;
    at += 12 + padded(name) + padded(content);
  }
  return false;
}

/**
 * The file QEMU is to start for a kernel: its image; or, for a bzImage whose kernel has a PVH entry, the vmlinux inside
 * it, unpacked into the cache. What cannot be unpacked is started as it is, with a word to the user.
 *
 * @returns path for `-kernel`
 */
export async function bootFile(kernel: AcquiredKernel, progress: Progress): Promise<string> {
  if (kernel.arch !== 'x86_64' || kernel.boot === 'image') return kernel.image;
  if (parseConfig(await readFile(kernel.config, 'utf8')).get('CONFIG_PVH') !== 'y') return kernel.image;
  const image = await readFile(kernel.image);
  const key = digest(String(layout), image);
  const kept = await ifCached('pvh', key);
  if (kept !== undefined) return join(kept, 'vmlinux');
  const as = 'is booted as it is, which takes longer';
  const payload = payloadOf(image);
  // A vmlinux for example, which QEMU starts by its entry anyway.
  if (!payload) return kernel.image;
  try {
    const vmlinux = await unpackPayload(payload);
    if (!hasPvhEntry(vmlinux)) {
      progress(`note: ${kernel.name} ${as}: it has CONFIG_PVH but no such entry`);
      return kernel.image;
    }
    return join(await cached('pvh', key, (folder) => writeFile(join(folder, 'vmlinux'), vmlinux)), 'vmlinux');
  } catch (error) {
    progress(`note: ${kernel.name} ${as}: its payload cannot be unpacked: ${messageOf(error)}`);
    return kernel.image;
  }
}

/**
 * The kernel itself, as it lies in memory: for a look at what its code refers to.
 * @returns undefined when its image is in a form that is not unpacked here
 */
export async function uncompressed(kernel: AcquiredKernel): Promise<Buffer | undefined> {
  const image = await readFile(kernel.image);
  const payload = payloadOf(image);
  if (!payload) return identifyImage(image).arch === undefined ? undefined : decompressed(image);
  return unpackPayload(payload).catch(() => undefined);
}

/**
 * The vmlinux in a bzImage.
 * @throws Error when it is damaged, or in a compression that is not unpacked here
 */
export async function unpackPayload({ packed, data, size }: Payload): Promise<Buffer> {
  if (packed !== 'gzip' && packed !== 'xz' && packed !== 'zstd') {
    throw new Error(`it is ${packed ?? 'in an unknown compression'}, and only gzip, xz and zstd are unpacked here`);
  }
  if (size > largest) throw new Error(`it says to be of ${size} bytes`);
  const content = packed === 'gzip' ? await promisify(gunzip)(data, { maxOutputLength: size }) : await byTool(packed, data, size);
  if (content.length !== size) throw new Error(`it has ${content.length} bytes instead of ${size}`);
  return content;
}

function byTool(tool: string, data: Buffer, size: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'buffer', maxBuffer: size + 1, env: scrubbedEnvironment() } as const;
    const child = execFile(tool, ['--decompress', '--stdout'], options, (error, stdout, stderr) => {
      const [words = ''] = stderr.toString().trim().split('\n');
      if (error) reject(new Error(words === '' ? error.message : words));
      else resolve(stdout);
    });
    // It may end before it has read everything; its status says why.
    child.stdin?.on('error', () => undefined).end(data);
  });
}
