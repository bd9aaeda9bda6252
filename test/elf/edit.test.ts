// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  SHF_ALLOC,
  SHT_NOBITS,
  SHT_PROGBITS,
  appendSection,
  readObject,
  withRelocations,
  withSection,
  withSymbols,
  writeObject,
} from '../../harness/elf/index.js';
import { anyObject, buildObject, handmadeModule } from './build.js';

const seed = 414;

void t.test('changed objects read back as they were meant, and indices stay', (t) => {
  const name = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  });
  fc.assert(
    fc.property(
      anyObject,
      fc.array(
        fc.record({
          name,
          data: fc.uint8Array({ maxLength: 200 }),
          align: fc.constantFrom(0, 1, 8, 64, 2 ** 52),
        }),
        {
          maxLength: 4,
        },
      ),
      fc.nat(),
      name,
      (bytes, added, pick, renamed) => {
        const before = readObject(bytes);
        let changed = before;
        for (const section of added)
          changed = appendSection(changed, { ...section, type: SHT_PROGBITS, flags: SHF_ALLOC });
        const symbol = pick % before.symbols.length;
        if (symbol > 0)
          changed = withSymbols(changed, new Map([[symbol, { name: renamed, value: 77n, shndx: 0xff20 }]]));
        const written = writeObject(changed);
        const after = readObject(written);
        assert.equal(after.sections.length, before.sections.length + added.length);
        before.sections.forEach((section, i) => {
          assert.equal(after.section(i).name, section.name);
          if (i > 3) assert.equal(Buffer.compare(after.section(i).data, section.data), 0);
        });
        added.forEach((section, i) => {
          const found = after.section(before.sections.length + i);
          assert.equal(found.name, section.name);
          assert.equal(Buffer.compare(found.data, section.data), 0);
          assert.equal((found.offset ?? -1) % Math.min(Math.max(section.align, 1), 4096), 0, 'aligned');
        });
        before.symbols.forEach((old, i) => {
          const edit = i === symbol && i > 0 ? { name: renamed, shndx: 0xff20, value: 77n } : {};
          const nameOffset = after.symbols[i]?.nameOffset;
          assert.deepEqual(after.symbols[i], { ...old, ...edit, nameOffset });
        });
        assert.equal(Buffer.compare(after.trailer, before.trailer), 0, 'the trailer stays at the end');
        for (const { offset, data } of before.padding) {
          const there = written.subarray(offset, offset + data.length);
          assert.equal(Buffer.compare(there, data), 0, 'what lies between the sections stays');
        }
      },
    ),
    { seed, numRuns: 500 },
  );
  t.end();
});

void t.test('a name added to an empty string table', (t) => {
  const object = withSection(readObject(handmadeModule()), 2, { data: new Uint8Array() });
  const nameless = withSection(object, 1, { data: new Uint8Array(7 * 24) });
  const after = readObject(writeObject(withSymbols(nameless, new Map([[1, { name: 'first' }]]))));
  t.strictSame(
    after.symbols.map(({ name }) => name),
    ['', 'first', '', '', '', '', ''],
    'offset 0 stays the empty name',
  );
  t.end();
});

void t.test('a section without bytes in the file', (t) => {
  const object = appendSection(readObject(buildObject({})), {
    name: '.bss',
    type: SHT_NOBITS,
    flags: 3n,
    data: new Uint8Array(),
    size: 4096,
  });
  const bytes = writeObject(object);
  t.match(readObject(bytes).section(4), { name: '.bss', size: 4096, data: { length: 0 } });
  t.end();
});

void t.test('a shrunk section keeps its place and leaves zeros', (t) => {
  const before = readObject(handmadeModule());
  const bytes = writeObject(withRelocations(before, 6, before.relocations(6).slice(0, 1)));
  const after = readObject(bytes);
  t.equal(bytes.length, handmadeModule().length);
  t.equal(after.section(6).offset, before.section(6).offset);
  t.strictSame(after.relocations(6), before.relocations(6).slice(0, 1));
  t.strictSame(after.padding, []);
  t.end();
});

void t.test('what cannot be changed is said', (t) => {
  const object = readObject(handmadeModule());
  t.throws(() => withSection(object, 50, { type: 1 }), {
    message: 'section index at offset 0x0: 50 of 11 sections',
  });
  t.throws(() => withSymbols(object, new Map([[50, { value: 1n }]])), {
    message: 'symbol index at offset 0x0: 50 of 7 symbols',
  });
  const stripped = withSection(object, 1, { type: SHT_PROGBITS });
  t.strictSame(stripped.symbols, []);
  t.throws(() => withSymbols(stripped, new Map([[1, { value: 1n }]])), { message: /has no symbol table/ });
  t.throws(() => withSection(object, 5, { name: 'a\0b' }), { name: 'RangeError' });
  t.end();
});
