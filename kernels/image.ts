// SPDX-License-Identifier: MIT
import { gunzipSync } from 'node:zlib';
import type { Arch } from '../harness/arch.js';

/** What a kernel image says about itself. */
export interface ImageIdentity {
  readonly arch: Arch | undefined;
  /** Its `uname -r`; undefined when no version string can be found, in a compression we do not read for example. */
  readonly release: string | undefined;
  /**
   * What it says of its build (`UTS_VERSION`: number, options, time), `#1 SMP Sun Nov 22 15:57:37 UTC 2026`. There may be
   * more than one: since 6.2 a provisional banner stays in the image.
   */
  readonly builds: readonly string[];
  /** The compression that hides the rest, where it is one that is not read here. */
  readonly packed?: Compression;
}

/** Compressions of kernel images (lib/decompress.c). */
export type Compression = 'gzip' | 'bzip2' | 'LZMA' | 'xz' | 'LZO' | 'LZ4' | 'zstd';

const magics: readonly (readonly [Compression, string])[] = [
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['bzip2', '425a68'],
  ['LZMA', '5d0000'],
  ['LZO', '894c5a4f'],
  ['LZ4', '02214c18'],
  // The LZ4 tool's own format, in which an Image.lz4 may come.
  ['LZ4', '04224d18'],
];

/** By its first bytes, what a file is compressed with. */
export function compressionOf(data: Buffer): Compression | undefined {
  return magics.find(([, magic]) => data.toString('hex', 0, magic.length / 2) === magic)?.[0];
}

/**
 * Reads architecture and version out of a kernel image: x86 bzImage (Documentation/arch/x86/boot.rst, `HdrS` and
 * `kernel_version`), arm64 Image (Documentation/arch/arm64/booting.rst, `ARM\x64` at 56), either gzipped or in an EFI
 * zboot wrapper, and ELF vmlinux.
 */
export function identifyImage(image: Buffer): ImageIdentity {
  if (image.length > 0x210 && image.toString('latin1', 0x202, 0x206) === 'HdrS') {
    const at = image.readUInt16LE(0x20e);
    const text = at === 0 ? '' : textAt(image, at + 0x200);
    const build = /#.*$/.exec(text)?.[0];
    return { arch: 'x86_64', release: /^[^ ]+/.exec(text)?.[0], builds: build === undefined ? [] : [build] };
  }
  const unpacked = decompressed(image);
  if (unpacked !== image) return identifyImage(unpacked);
  if (image.length > 64 && image.toString('latin1', 56, 60) === 'ARMd') {
    return { arch: 'arm64', ...bannerOf(image) };
  }
  if (image.length > 20 && image.toString('latin1', 0, 4) === '\x7fELF') {
    const machine = image.readUInt16LE(18);
    const arch = machine === 62 ? 'x86_64' : machine === 183 ? 'arm64' : undefined;
    return { arch, ...bannerOf(image) };
  }
  const packed = compressionOf(wrapped(image));
  return { arch: undefined, ...bannerOf(image), ...(packed && { packed }) };
}

function textAt(image: Buffer, at: number): string {
  const end = image.indexOf(0, at);
  return image.toString('latin1', at, end < 0 ? at : Math.min(end, at + 512));
}

/** Release and build in the kernel's own banners (init/version.c). */
function bannerOf(image: Buffer): Pick<ImageIdentity, 'release' | 'builds'> {
  const marker = Buffer.from('Linux version ');
  let release: string | undefined;
  const builds = new Set<string>();
  for (let at = image.indexOf(marker); at >= 0; at = image.indexOf(marker, at + 1)) {
    const text = image.toString('latin1', at + marker.length, at + marker.length + 512);
    const [, own, build] = /^(\d+\.\d+\S*) \([^\n\0]*?(#[^\n\0]*)?[\n\0]/.exec(text) ?? [];
    if (own === undefined) continue;
    release ??= own;
    if (build !== undefined) builds.add(build);
  }
  return { release, builds: [...builds] };
}

/** The payload of a gzip file or of an EFI zboot image with gzip inside; the same buffer for anything else. */
export function decompressed(image: Buffer): Buffer {
  const packed = wrapped(image);
  if (packed.length < 2 || packed.readUInt16BE(0) !== 0x1f8b) return image;
  try {
    return gunzipSync(packed);
  } catch {
    return image;
  }
}

/** What an EFI zboot image wraps; the same buffer for anything else. */
function wrapped(image: Buffer): Buffer {
  if (image.length <= 32 || image.toString('latin1', 4, 8) !== 'zimg') return image;
  const offset = image.readUInt32LE(8);
  return image.subarray(offset, offset + image.readUInt32LE(12));
}
