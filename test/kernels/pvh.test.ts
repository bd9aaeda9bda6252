// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { bootFile, hasPvhEntry, payloadOf } from '../../kernels/pvh.js';
import type { AcquiredKernel } from '../../kernels/types.js';
import { stockKernel } from '../e2e/kernel.js';

/** A note of an ELF file, padded to four bytes. */
function note(name: string, type: number, content: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(name.length + 1, 0);
  head.writeUInt32LE(content.length, 4);
  head.writeUInt32LE(type, 8);
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  return Buffer.concat([head, padded(Buffer.from(`${name}\0`)), padded(content)]);
}

const entry = note('Xen', 18, Buffer.from('0020000100000000', 'hex'));
const others = [note('Linux', 0, Buffer.from('x')), note('Xen', 6, Buffer.from('linux'))];

/** An ELF file of one PT_LOAD and one PT_NOTE segment. */
function vmlinux(notes: readonly Buffer[], machine = 62): Buffer {
  const content = Buffer.concat(notes);
  const image = Buffer.alloc(0x400 + content.length, 0xcc);
  image.fill(0, 0, 0x200);
  image.write('\x7fELF\x02\x01\x01', 'latin1');
  image.writeUInt16LE(machine, 18);
  image.writeBigUInt64LE(64n, 32);
  image.writeUInt16LE(56, 54);
  image.writeUInt16LE(2, 56);
  image.writeUInt32LE(1, 64);
  image.writeUInt32LE(4, 64 + 56);
  image.writeBigUInt64LE(0x400n, 64 + 56 + 8);
  image.writeBigUInt64LE(BigInt(content.length), 64 + 56 + 32);
  content.copy(image, 0x400);
  return image;
}

/** A bzImage of protocol 2.15 around a payload: Documentation/arch/x86/boot.rst. */
function bzImage(packed: Buffer, setup = 3): Buffer {
  const image = Buffer.alloc((setup + 1) * 512 + 700);
  image.writeUInt8(setup, 0x1f1);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x20f, 0x206);
  image.writeUInt32LE(700, 0x248);
  image.writeUInt32LE(packed.length, 0x24c);
  return Buffer.concat([image, packed, Buffer.alloc(300, 0xee)]);
}

/** What the kernel's build appends to all but gzip: the unpacked size. */
function withSize(packed: Buffer, size: number): Buffer {
  const trailer = Buffer.alloc(4);
  trailer.writeUInt32LE(size);
  return Buffer.concat([packed, trailer]);
}

const whole = vmlinux([...others, entry]);
const tool = (name: string, input = whole): Buffer =>
  withSize(execFileSync(name, ['-c', ...(name === 'xz' ? ['--check=crc32'] : [])], { input }), input.length);

/** A kernel whose image is this, in a cache of its own. */
async function kernelOf(t: Test, image: Buffer, changes: Partial<AcquiredKernel> = {}, config = 'CONFIG_PVH=y\n'): Promise<AcquiredKernel> {
  const { KLP_CACHE: before } = process.env;
  const folder = t.testdir({ cache: {}, config });
  process.env.KLP_CACHE = join(folder, 'cache');
  t.teardown(() => {
    if (before === undefined) delete process.env.KLP_CACHE;
    else process.env.KLP_CACHE = before;
  });
  await writeFile(join(folder, 'bzImage'), image);
  return {
    name: 'k',
    arch: 'x86_64',
    origin: 'brought',
    release: '6.1.0',
    version: 'v',
    image: join(folder, 'bzImage'),
    buildDir: folder,
    config: join(folder, 'config'),
    modulesDir: undefined,
    toolchain: { crossCompile: '', version: 'gcc' },
    packages: [],
    fingerprint: 'f',
    ...changes,
  };
}

async function asked(kernel: AcquiredKernel): Promise<{ file: string; notes: string[] }> {
  const notes: string[] = [];
  return { file: await bootFile(kernel, (line) => notes.push(line)), notes };
}

for (const [name, packed] of [['gzip', gzipSync(whole)], ['xz', tool('xz')], ['zstd', tool('zstd')]] as const) {
  void t.test(`a bzImage with ${name} inside: its kernel is started, unpacked once`, async (t) => {
    const kernel = await kernelOf(t, bzImage(packed));
    const first = await asked(kernel);
    t.ok((await readFile(first.file)).equals(whole));
    t.same(first.notes, []);
    const path = process.env.PATH;
    process.env.PATH = '/nonexistent';
    t.teardown(() => (process.env.PATH = path));
    t.same(await asked(kernel), first, 'without any tool');
    t.same((await asked({ ...kernel, boot: 'image' })).file, kernel.image, '--boot image');
  });
}

const asIs: Record<string, { image: Buffer; config?: string; arch?: 'arm64'; said?: RegExp }> = {
  'a kernel without CONFIG_PVH': { image: bzImage(gzipSync(whole)), config: 'CONFIG_XEN_PVH=y\n# CONFIG_PVH is not set\n' },
  'an arm64 kernel': { image: bzImage(gzipSync(whole)), arch: 'arm64' },
  'a vmlinux': { image: whole },
  'an image cut short': { image: bzImage(gzipSync(whole)).subarray(0, 2800) },
  'no entry inside': { image: bzImage(gzipSync(vmlinux(others))), said: /it has CONFIG_PVH but no such entry/ },
  'an entry for another machine': { image: bzImage(gzipSync(vmlinux([entry], 3))), said: /no such entry/ },
  'something else inside': { image: bzImage(gzipSync(Buffer.alloc(5000))), said: /no such entry/ },
  'LZ4 inside': { image: bzImage(Buffer.from('02214c18000000000000000000000000', 'hex')), said: /its payload cannot be unpacked: it is LZ4, and only gzip, xz and zstd are unpacked here$/ },
  'a damaged gzip stream': { image: bzImage(gzipSync(whole).fill(7, 20, 40)), said: /cannot be unpacked: / },
  'a damaged xz stream': { image: bzImage(tool('xz').fill(7, 20, 60)), said: /cannot be unpacked: xz: / },
  'more inside than it says': { image: bzImage(withSize(tool('xz').subarray(0, -4), 20)), said: /cannot be unpacked: / },
  'less inside than it says': { image: bzImage(withSize(tool('zstd').subarray(0, -4), 999)), said: /cannot be unpacked: / },
  'a size no kernel has': { image: bzImage(withSize(tool('xz').subarray(0, -4), 0xffffffff)), said: /it says to be of 4294967295 bytes/ },
};
for (const [what, { image, config, arch, said }] of Object.entries(asIs)) {
  void t.test(`booted as it is: ${what}`, async (t) => {
    const kernel = await kernelOf(t, image, arch === undefined ? {} : { arch }, config);
    const { file, notes } = await asked(kernel);
    t.equal(file, kernel.image);
    if (said === undefined) t.same(notes, []);
    else t.match(notes, [said]);
    t.ok(notes.every((line) => line.startsWith('note: k is booted as it is, which takes longer: ')));
  });
}

void t.test('a host without the tool boots the image', async (t) => {
  const kernel = await kernelOf(t, bzImage(tool('xz')));
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  t.teardown(() => (process.env.PATH = path));
  const { file, notes } = await asked(kernel);
  t.equal(file, kernel.image);
  t.match(notes, [/cannot be unpacked: spawn xz ENOENT/]);
});

void t.test('whatever the bytes, nothing is thrown and nothing is read beyond them', (t) => {
  const good = bzImage(gzipSync(whole));
  const patch = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 20 });
  const mangled = (from: Buffer) =>
    fc.tuple(patch, fc.nat(from.length)).map(([changes, length]) => {
      const bytes = Buffer.from(from);
      for (const [at, value] of changes) bytes[at % 0x300] = value;
      return bytes.subarray(0, length);
    });
  fc.assert(
    fc.property(fc.oneof(mangled(good), fc.uint8Array({ maxLength: 3000 }).map((b) => Buffer.from(b))), (image) => {
      const payload = payloadOf(image);
      if (payload && payload.data.length >= image.length) throw new Error('longer than the image');
    }),
    { seed: 414, numRuns: 2000 },
  );
  fc.assert(fc.property(mangled(whole), (file) => void hasPvhEntry(file)), { seed: 414, numRuns: 2000 });
  const many = vmlinux([entry]);
  many.writeUInt16LE(65535, 56);
  t.notOk(hasPvhEntry(many));
  t.ok(hasPvhEntry(whole));
  t.equal(payloadOf(good)?.packed, 'gzip');
  t.end();
});

void t.test("the stock kernel's own bzImage", { timeout: 120_000 }, async (t) => {
  const kernel = await stockKernel();
  const { file, notes } = await asked(kernel);
  t.same(notes, []);
  t.equal(basename(file), 'vmlinux');
  t.ok((await stat(file)).size > 20_000_000);
  t.equal(await bootFile({ ...kernel, boot: 'image' }, () => undefined), kernel.image);
});
