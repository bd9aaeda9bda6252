// SPDX-License-Identifier: MIT
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { identifyImage } from '../../kernels/image.js';

/** The parts of an x86 boot sector that say what it is (Documentation/arch/x86/boot.rst). */
function bzImage(version: string): Buffer {
  const image = Buffer.alloc(0x1000);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x600, 0x20e);
  image.write(`${version} (builder@host) #1 SMP\0`, 0x800, 'latin1');
  return image;
}

/** The header of an arm64 Image (Documentation/arch/arm64/booting.rst) and, later, the kernel's banner. */
function arm64Image(version: string): Buffer {
  const image = Buffer.alloc(0x2000);
  image.write('ARM\x64', 56, 'latin1');
  image.write('Linux version %s (%s)\n\0', 0x400, 'latin1');
  image.write(`Linux version ${version} (builder@host) (gcc) #1 SMP\n\0`, 0x1200, 'latin1');
  return image;
}

/** An EFI zboot wrapper (drivers/firmware/efi/libstub/zboot-header.S) with gzip inside. */
function zboot(payload: Buffer): Buffer {
  const packed = gzipSync(payload);
  const header = Buffer.alloc(64);
  header.write('MZ', 0, 'latin1');
  header.write('zimg', 4, 'latin1');
  header.writeUInt32LE(64, 8);
  header.writeUInt32LE(packed.length, 12);
  return Buffer.concat([header, packed]);
}

await t.test('every form of image says its architecture and release', (t) => {
  t.strictSame(identifyImage(bzImage('6.1.0-56-amd64')), { arch: 'x86_64', release: '6.1.0-56-amd64', builds: ['#1 SMP'] });
  const arm = { arch: 'arm64', release: '7.3.4-klp', builds: ['#1 SMP'] };
  t.strictSame(identifyImage(arm64Image('7.3.4-klp')), arm);
  t.strictSame(identifyImage(gzipSync(arm64Image('7.3.4-klp'))), arm);
  t.strictSame(identifyImage(zboot(arm64Image('7.3.4-klp'))), arm);
  t.end();
});

await t.test('what is no image says nothing, whatever it is', (t) => {
  t.strictSame(identifyImage(Buffer.alloc(0)), { arch: undefined, release: undefined, builds: [] });
  t.strictSame(identifyImage(Buffer.from('1f8b0000', 'hex')), { arch: undefined, release: undefined, builds: [], packed: 'gzip' });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), (bytes, claimsX86) => {
      const image = Buffer.from(bytes);
      if (claimsX86 && image.length > 0x210) image.write('HdrS', 0x202, 'latin1');
      identifyImage(image);
    }),
  );
  t.end();
});

await t.test('a compression that is not read here is named', (t) => {
  const magic = { xz: 'fd377a585a0000', LZ4: '02214c1800', LZMA: '5d00008000', LZO: '894c5a4f00', bzip2: '425a6839', zstd: '28b52ffd24' };
  for (const [name, bytes] of Object.entries(magic)) {
    const image = Buffer.concat([Buffer.from(bytes, 'hex'), Buffer.alloc(100)]);
    t.match(identifyImage(image), { arch: undefined, release: undefined, packed: name });
  }
  t.end();
});
