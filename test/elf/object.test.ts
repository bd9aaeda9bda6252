// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ElfError, readObject, writeObject, type ElfObject } from '../../harness/elf/index.js';
import { anyObject, buildObject, handmadeModule } from './build.js';

const seed = 414;

/** Reads, or gives the ElfError; anything else thrown ends the property. */
function tryRead(bytes: Uint8Array): ElfObject | ElfError {
  try {
    const object = readObject(bytes);
    object.sections.forEach((_, i) => object.relocations(i));
    return object;
  } catch (error) {
    if (error instanceof ElfError) return error;
    throw error;
  }
}

void t.test('what is read and written unchanged is the same, byte for byte', (t) => {
  fc.assert(
    fc.property(anyObject, (bytes) => {
      assert.equal(Buffer.compare(writeObject(readObject(bytes)), bytes), 0);
    }),
    { seed, numRuns: 2000 },
  );
  t.end();
});

void t.test('mutated bytes are an ElfError, or an object that is written back as it was', (t) => {
  const mutation = fc.oneof(
    // The headers are where a flipped byte matters most.
    fc.record({ at: fc.nat(63), value: fc.nat(255), table: fc.boolean() }),
    fc.record({ at: fc.nat(5000), value: fc.nat(255), table: fc.boolean() }),
  );
  let refused = 0;
  fc.assert(
    fc.property(
      anyObject,
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(2000)),
      (bytes, edits, cut) => {
        const mutated = new Uint8Array(cut === null ? bytes : bytes.subarray(0, cut));
        const shoff = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(40, true));
        for (const { at, value, table } of edits) {
          if (mutated.length > 0) mutated[(at + (table ? shoff : 0)) % mutated.length] = value;
        }
        const result = tryRead(mutated);
        if (result instanceof ElfError) {
          refused++;
          assert.ok(result.field !== '' && Number.isSafeInteger(result.offset));
        } else {
          assert.equal(Buffer.compare(writeObject(result), mutated), 0);
        }
      },
    ),
    { seed, numRuns: 5000 },
  );
  t.ok(refused > 1000 && refused < 4500, `both outcomes are met: ${refused} of 5000 refused`);
  t.end();
});

void t.test('arbitrary bytes behind a good magic number are an ElfError or an object', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.ok(tryRead(bytes));
      const header = buildObject({}).subarray(0, 64);
      assert.ok(tryRead(Buffer.concat([header, bytes])));
    }),
    { seed, numRuns: 2000 },
  );
  t.end();
});

void t.test('every truncation of a module is an ElfError', (t) => {
  const bytes = handmadeModule();
  for (let length = 0; length < bytes.length; length++) {
    assert.ok(tryRead(bytes.subarray(0, length)) instanceof ElfError, `${length} bytes`);
  }
  t.end();
});

void t.test('errors say where and what', (t) => {
  const sound = handmadeModule();
  const shoff = Number(new DataView(sound.buffer, sound.byteOffset).getBigUint64(40, true));
  const broken = (edit: (view: DataView) => void): Uint8Array => {
    const bytes = new Uint8Array(sound);
    edit(new DataView(bytes.buffer));
    return bytes;
  };
  const symbols = readObject(sound).section(1).offset ?? 0;
  const cases: [string, Uint8Array, number, string][] = [
    [
      'no ELF',
      broken((v) => v.setUint8(0, 1)),
      0,
      'e_ident at offset 0x0: 21318726, not 2135247942 (the magic number of ELF)',
    ],
    ['32 bit', broken((v) => v.setUint8(4, 1)), 4, 'e_ident[EI_CLASS] at offset 0x4: 1, not 2 (ELFCLASS64)'],
    [
      'big-endian',
      broken((v) => v.setUint8(5, 2)),
      5,
      'e_ident[EI_DATA] at offset 0x5: 2, not 1 (little-endian)',
    ],
    ['shared', broken((v) => v.setUint16(16, 3, true)), 16, 'e_type at offset 0x10: 3, not 1 (ET_REL)'],
    [
      'RISC-V',
      broken((v) => v.setUint16(18, 243, true)),
      18,
      'e_machine at offset 0x12: 243, not 62 or 183 (x86-64, AArch64)',
    ],
    [
      'no names',
      broken((v) => v.setUint16(62, 99, true)),
      62,
      'e_shstrndx at offset 0x3e: section 99 of 11 is no string table',
    ],
    [
      'sh_name outside',
      broken((v) => v.setUint32(shoff + 5 * 64, 5000, true)),
      shoff + 5 * 64,
      `sh_name at offset 0x${(shoff + 5 * 64).toString(16)}: section 5: no name ends at ` +
        'or after 5000 in 99 bytes of names',
    ],
    [
      'content past the end',
      broken((v) => v.setBigUint64(shoff + 5 * 64 + 32, 1n << 40n, true)),
      shoff + 5 * 64 + 24,
      `sh_offset at offset 0x${(shoff + 5 * 64 + 24).toString(16)}: section 5: 1099511627776 bytes from ` +
        `${readObject(sound).section(5).offset ?? 0} end outside the file's ${sound.length} bytes`,
    ],
    [
      'offset that wraps',
      broken((v) => v.setBigUint64(shoff + 5 * 64 + 24, 2n ** 64n - 8n, true)),
      shoff + 5 * 64 + 24,
      `sh_offset at offset 0x${(shoff + 5 * 64 + 24).toString(16)}: 0xfffffffffffffff8 is beyond any file`,
    ],
    [
      'symbol name outside',
      broken((v) => v.setUint32(symbols + 2 * 24, 5000, true)),
      symbols + 2 * 24,
      `st_name at offset 0x${(symbols + 2 * 24).toString(16)}: symbol 2: no name ends at ` +
        'or after 5000 in 54 bytes of names',
    ],
    [
      'overlap',
      broken((v) => v.setBigUint64(shoff + 5 * 64 + 24, 64n, true)),
      shoff + 5 * 64 + 24,
      `sh_offset at offset 0x${(shoff + 5 * 64 + 24).toString(16)}: ` +
        'what begins at 64 overlaps what ends at 232',
    ],
  ];
  for (const [what, bytes, offset, message] of cases) {
    const error = tryRead(bytes);
    if (!(error instanceof ElfError)) {
      t.fail(what);
      continue;
    }
    t.equal(error.message, message, what);
    t.equal(error.offset, offset, what);
  }
  t.end();
});

void t.test('thousands of sections over the same bytes cost nothing', (t) => {
  const count = 60_000;
  const size = 1 << 20;
  const bytes = new Uint8Array(64 + size + count * 64);
  bytes.set(buildObject({}).subarray(0, 64));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(40, BigInt(64 + size), true);
  view.setUint16(60, count, true);
  view.setUint16(62, 0, true);
  for (let i = 0; i < count; i++) {
    const at = 64 + size + i * 64;
    view.setUint32(at + 4, i === 0 ? 3 : 4, true);
    view.setBigUint64(at + 24, 64n, true);
    view.setBigUint64(at + 32, BigInt(size), true);
  }
  const error = tryRead(bytes);
  t.match(error, { field: 'sh_offset' });
  t.end();
});

void t.test('thousands of names over the same bytes cost nothing', (t) => {
  const count = 40_000;
  const long = 'x'.repeat(1 << 20);
  const symbols = Array.from({ length: count }, () => ({ name: '', info: 0, shndx: 0, value: 0n }));
  const bytes = buildObject({ symbols: [...symbols, { name: long, info: 0, shndx: 0, value: 0n }] });
  const before = readObject(bytes);
  const longOffset = before.symbols.at(-1)?.nameOffset ?? 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const symtab = before.section(1).offset ?? 0;
  for (let i = 1; i <= count; i++) view.setUint32(symtab + 24 * i, longOffset + i, true);
  const after = readObject(bytes);
  t.equal(after.symbols[count]?.name.length, long.length - count);
  t.end();
});

void t.test('symbols and relocations are decoded', (t) => {
  const object = readObject(handmadeModule());
  t.strictSame(
    object.symbols.map(({ index, name, bind, type, shndx }) => [index, name, bind, type, shndx]),
    [
      [0, '', 0, 0, 0],
      [1, 'printk', 1, 0, 0],
      [2, 'hidden', 1, 0, 0],
      [3, 'hidden_too', 1, 0, 0],
      [4, 'of_module', 1, 0, 0],
      [5, 'maybe', 2, 0, 0],
      [6, 'replacement', 1, 2, 5],
    ],
  );
  t.strictSame(object.relocations(8), [
    { offset: 0n, symbol: 2, type: 1, addend: 0n },
    { offset: 8n, symbol: 6, type: 1, addend: 0n },
  ]);
  t.strictSame(object.relocations(5), [], '.text has none itself');
  t.throws(() => object.section(99), { name: 'ElfError', field: 'section index' });
  t.end();
});
