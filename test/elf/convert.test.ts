// SPDX-License-Identifier: MIT
import t from 'tap';
import {
  convertToLivepatch,
  faults,
  isLivepatch,
  klpSections,
  klpSymbols,
  readObject,
  renameSection,
  requireResolved,
  setSectionFlags,
  unresolvedSymbols,
  withSection,
  writeObject,
  type ElfObject,
  type FaultId,
} from '../../harness/elf/index.js';
import { handmadeModule } from './build.js';

const resolve = new Map([
  ['hidden', { object: 'vmlinux', sympos: 0 }],
  ['hidden_too', { object: 'vmlinux', sympos: 2 }],
  ['of_module', { object: 'm', sympos: 0 }],
  ['replacement', { object: 'vmlinux', sympos: 0 }], // defined: passed over
  ['absent', { object: 'vmlinux', sympos: 0 }],
]);

function converted(): ElfObject {
  return readObject(writeObject(convertToLivepatch(readObject(handmadeModule()), resolve).object));
}

void t.test('symbols are renamed, relocations moved, indices kept', (t) => {
  const before = readObject(handmadeModule());
  const conversion = convertToLivepatch(before, resolve);
  t.strictSame(conversion.converted, [
    {
      index: 2,
      symbol: 'hidden',
      name: '.klp.sym.vmlinux.hidden,0',
      sections: ['.klp.rela.vmlinux..text', '.klp.rela.vmlinux..data'],
      relocations: 3,
    },
    {
      index: 3,
      symbol: 'hidden_too',
      name: '.klp.sym.vmlinux.hidden_too,2',
      sections: ['.klp.rela.vmlinux..text'],
      relocations: 1,
    },
    {
      index: 4,
      symbol: 'of_module',
      name: '.klp.sym.m.of_module,0',
      sections: ['.klp.rela.m..text'],
      relocations: 1,
    },
  ]);
  const after = converted();
  t.strictSame(
    after.symbols.map(({ name, shndx, info }) => [name, shndx, info]),
    [
      ['', 0, 0],
      ['printk', 0, 0x10],
      ['.klp.sym.vmlinux.hidden,0', 0xff20, 0x10],
      ['.klp.sym.vmlinux.hidden_too,2', 0xff20, 0x10],
      ['.klp.sym.m.of_module,0', 0xff20, 0x10],
      ['maybe', 0, 0x20],
      ['replacement', 5, 0x12],
    ],
  );
  const placed = (index: number) =>
    after.relocations(index).map(({ symbol, offset }) => [symbol, Number(offset)]);
  t.strictSame(
    placed(6),
    [
      [1, 1],
      [6, 41],
    ],
    '.rela.text keeps what the loader can resolve',
  );
  t.strictSame(placed(8), [[6, 8]], '.rela.data too');
  t.strictSame(placed(10), [[2, 0]], 'the loader never applies relocations of debug information');
  t.strictSame(
    placed(11),
    [
      [2, 9],
      [3, 25],
      [2, 33],
    ],
    '.klp.rela.vmlinux..text, in the old order',
  );
  t.strictSame(placed(12), [[4, 17]], '.klp.rela.m..text');
  t.strictSame(placed(13), [[2, 0]], '.klp.rela.vmlinux..data');
  t.strictSame(
    klpSections(after).map(({ index, section, flagged, parsed }) => [
      index,
      section.info,
      section.flags,
      flagged,
      parsed,
    ]),
    [
      [11, 5, 0x100042n, true, { object: 'vmlinux', section: '.text' }],
      [12, 5, 0x100042n, true, { object: 'm', section: '.text' }],
      [13, 7, 0x100042n, true, { object: 'vmlinux', section: '.data' }],
    ],
  );
  for (const { section } of klpSections(after)) t.match(section, { type: 4, link: 1, entsize: 24, align: 8 });
  t.strictSame(
    klpSymbols(after).map(({ symbol, marked, parsed }) => [symbol.index, marked, parsed]),
    [
      [2, true, { object: 'vmlinux', symbol: 'hidden', sympos: 0 }],
      [3, true, { object: 'vmlinux', symbol: 'hidden_too', sympos: 2 }],
      [4, true, { object: 'm', symbol: 'of_module', sympos: 0 }],
    ],
  );
  t.end();
});

void t.test('converting twice extends the sections of the first time', (t) => {
  const first = convertToLivepatch(
    readObject(handmadeModule()),
    new Map([['hidden', { object: 'vmlinux', sympos: 0 }]]),
  );
  const second = convertToLivepatch(first.object, resolve);
  t.strictSame(
    second.converted.map(({ symbol }) => symbol),
    ['hidden_too', 'of_module'],
  );
  const after = readObject(writeObject(second.object));
  const names = klpSections(after).map(({ section }) => section.name);
  t.strictSame(names, ['.klp.rela.vmlinux..text', '.klp.rela.vmlinux..data', '.klp.rela.m..text']);
  t.strictSame(
    after.relocations(11).map(({ symbol }) => symbol),
    [2, 2, 3],
  );
  t.end();
});

void t.test('nothing to convert changes nothing', (t) => {
  const { object, converted } = convertToLivepatch(readObject(handmadeModule()), new Map());
  t.strictSame(converted, []);
  t.equal(Buffer.compare(writeObject(object), handmadeModule()), 0);
  t.end();
});

void t.test('the object whose section gets the references can be chosen', (t) => {
  const target = { object: 'm', sympos: 0, sectionObject: 'vmlinux' };
  const { converted } = convertToLivepatch(readObject(handmadeModule()), new Map([['of_module', target]]));
  t.match(converted, [{ name: '.klp.sym.m.of_module,0', sections: ['.klp.rela.vmlinux..text'] }]);
  t.end();
});

void t.test('references that would come too late are refused', (t) => {
  const object = renameSection(readObject(handmadeModule()), '.text', '.init.text');
  t.throws(() => convertToLivepatch(object, resolve), {
    kind: 'late-relocation',
    message: '.init.text references of_module, but is used up before m is loaded',
    names: ['of_module'],
  });
  const ofKernel = new Map([...resolve].filter(([, { object }]) => object === 'vmlinux'));
  t.equal(convertToLivepatch(object, ofKernel).converted.length, 2, 'those of vmlinux come in time');
  t.end();
});

void t.test('what is left over', (t) => {
  const before = readObject(handmadeModule());
  t.strictSame(unresolvedSymbols(before, new Set(['printk'])), ['hidden', 'hidden_too', 'of_module']);
  t.throws(() => requireResolved(before, new Set(['printk', 'hidden'])), {
    kind: 'unresolved-symbol',
    message: 'undefined, neither exported by the kernel nor converted: hidden_too, of_module',
    names: ['hidden_too', 'of_module'],
  });
  t.strictSame(unresolvedSymbols(converted(), new Set(['printk'])), [], 'a weak symbol may stay undefined');
  t.doesNotThrow(() => requireResolved(converted(), new Set(['printk'])));
  t.end();
});

void t.test('each fault breaks one thing and survives writing', (t) => {
  const sound = converted();
  const broken = (id: FaultId) => readObject(writeObject(faults[id].apply(sound)));

  const unmarked = broken('EF-01');
  t.notOk(isLivepatch(unmarked));
  t.equal(klpSections(unmarked).length, 3);

  const nameless = broken('EF-09');
  t.equal(nameless.section(11).name, '.klp.rela...text');
  t.match(klpSections(nameless)[0], { flagged: true, parsed: undefined });
  t.strictSame(nameless.relocations(11), sound.relocations(11));

  const unknown = broken('EF-13');
  t.match(unknown.symbols[2], { name: '.klp.sym.vmlinux.hidden,0', shndx: 0 });

  const positionless = broken('EF-18');
  t.match(positionless.symbols[2], { name: '.klp.sym.vmlinux.hidden', shndx: 0xff20 });
  t.match(klpSymbols(positionless)[0], { marked: true, parsed: undefined });
  t.end();
});

void t.test('a fault that has nothing to break says so', (t) => {
  const plain = readObject(handmadeModule(false));
  for (const id of ['EF-01', 'EF-09', 'EF-13', 'EF-18', 'EF-29', 'EF-40', 'EF-49'] satisfies FaultId[]) {
    t.throws(() => faults[id].apply(plain), { name: 'LivepatchError', kind: 'fault-inapplicable' }, id);
  }
  t.end();
});

void t.test('sections are renamed and reflagged by name', (t) => {
  const object = converted();
  const renamed = renameSection(object, '.klp.rela.m..text', '.klp.rela.other..text');
  t.equal(renamed.section(12).name, '.klp.rela.other..text');
  t.equal(setSectionFlags(object, '.klp.rela.m..text', 0x100040n).section(12).flags, 0x100040n);
  t.throws(() => renameSection(object, '.none', '.some'), {
    kind: 'no-such-section',
    message: 'the object has no section .none',
  });
  t.throws(() => readObject(writeObject(withSection(object, 5, { nameOffset: 9999 }))), {
    name: 'ElfError',
    field: 'sh_name',
  });
  t.end();
});
