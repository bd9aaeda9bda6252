// SPDX-License-Identifier: MIT
import { gunzipSync } from 'node:zlib';
import type { Arch } from '../harness/arch.js';

/** What a kernel image says about itself. */
export interface ImageIdentity {
  readonly arch: Arch | undefined;
  /** Its `uname -r`; undefined when no version string can be found, in a compression we do not read for example. */
  readonly release: string | undefined;
}

/**
 * Reads architecture and version out of a kernel image: x86 bzImage (Documentation/arch/x86/boot.rst, `HdrS` and
 * `kernel_version`), arm64 Image (Documentation/arch/arm64/booting.rst, `ARM\x64` at 56), either gzipped or in an EFI
 * zboot wrapper, and ELF vmlinux.
 */
export function identifyImage(image: Buffer): ImageIdentity {
  if (image.length > 0x210 && image.toString('latin1', 0x202, 0x206) === 'HdrS') {
    const at = image.readUInt16LE(0x20e);
    return { arch: 'x86_64', release: at === 0 ? undefined : firstWord(image, at + 0x200) };
  }
  const unpacked = decompressed(image);
  if (unpacked !== image) return identifyImage(unpacked);
  if (image.length > 64 && image.toString('latin1', 56, 60) === 'ARMd') {
    return { arch: 'arm64', release: bannerRelease(image) };
  }
  if (image.length > 20 && image.toString('latin1', 0, 4) === '\x7fELF') {
    const machine = image.readUInt16LE(18);
    const arch = machine === 62 ? 'x86_64' : machine === 183 ? 'arm64' : undefined;
    return { arch, release: bannerRelease(image) };
  }
  return { arch: undefined, release: bannerRelease(image) };
}

function firstWord(image: Buffer, at: number): string | undefined {
  const end = image.indexOf(0, at);
  const word = image.toString('latin1', at, end < 0 ? at : Math.min(end, at + 512)).split(' ')[0];
  return word === '' ? undefined : word;
}

/** The release in the kernel's own banner (init/version.c). */
function bannerRelease(image: Buffer): string | undefined {
  const marker = Buffer.from('Linux version ');
  for (let at = image.indexOf(marker); at >= 0; at = image.indexOf(marker, at + 1)) {
    const text = image.toString('latin1', at + marker.length, at + marker.length + 128);
    const release = /^(\d+\.\d+\S*) \(/.exec(text)?.[1];
    if (release !== undefined) return release;
  }
  return undefined;
}

/** The payload of a gzip file or of an EFI zboot image with gzip inside; the same buffer for anything else. */
export function decompressed(image: Buffer): Buffer {
  let packed = image;
  if (image.length > 32 && image.toString('latin1', 4, 8) === 'zimg') {
    const offset = image.readUInt32LE(8);
    packed = image.subarray(offset, offset + image.readUInt32LE(12));
  }
  if (packed.length < 2 || packed.readUInt16BE(0) !== 0x1f8b) return image;
  try {
    return gunzipSync(packed);
  } catch {
    return image;
  }
}
