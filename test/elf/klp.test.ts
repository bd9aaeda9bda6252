// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  formatKlpSectionName,
  formatKlpSymbolName,
  namesSection,
  parseKlpSectionName,
  parseKlpSymbolName,
  symposOf,
} from '../../harness/elf/index.js';

const object = fc.stringMatching(/^[A-Za-z0-9_-]{1,55}$/);

void t.test('section names: what is formatted is parsed', (t) => {
  fc.assert(
    fc.property(object, fc.stringMatching(/^\.[a-z._]{1,30}$/), (object, section) => {
      const parsed = parseKlpSectionName(formatKlpSectionName({ object, section }));
      assert.deepEqual(parsed, { object, section });
    }),
    { seed: 414 },
  );
  t.end();
});

void t.test('symbol names: what is formatted is parsed', (t) => {
  fc.assert(
    fc.property(
      object,
      fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.$]{0,120}$/),
      fc.nat(),
      (object, symbol, sympos) => {
        const parsed = parseKlpSymbolName(formatKlpSymbolName({ object, symbol, sympos }));
        assert.deepEqual(parsed, { object, symbol, sympos });
      },
    ),
    { seed: 414 },
  );
  t.end();
});

void t.test('examples of the format document', (t) => {
  t.strictSame(parseKlpSectionName('.klp.rela.ext4.text.ext4_attr_store'), {
    object: 'ext4',
    section: 'text.ext4_attr_store',
  });
  t.strictSame(parseKlpSymbolName('.klp.sym.vmlinux.snprintf,0'), {
    object: 'vmlinux',
    symbol: 'snprintf',
    sympos: 0,
  });
  t.strictSame(parseKlpSymbolName('.klp.sym.btrfs.can_modify_feature.isra.3,0'), {
    object: 'btrfs',
    symbol: 'can_modify_feature.isra.3',
    sympos: 0,
  });
  const parsed = { object: 'ext4', section: 'text.f' };
  t.ok(namesSection(parsed, '.text.f'));
  t.ok(namesSection({ ...parsed, section: '.text.f' }, '.text.f'));
  t.notOk(namesSection(parsed, '.text.g'));
  t.end();
});

void t.test('broken names', (t) => {
  for (const name of [
    '.klp.rela..text',
    '.klp.rela.vmlinux',
    '.klp.rela.vmlinux.',
    '.klp.rel.vmlinux..text',
    '.rela.text',
    '',
  ]) {
    t.equal(parseKlpSectionName(name), undefined, name);
  }
  for (const name of [
    '.klp.sym.vmlinux.printk',
    '.klp.sym.vmlinux.printk,',
    '.klp.sym.vmlinux.printk,x',
    '.klp.sym.vmlinux.printk,-1',
    '.klp.sym.vmlinux.printk,0junk',
    '.klp.sym.vmlinux.printk, 0',
    '.klp.sym.vmlinux.printk,18446744073709551616',
    '.klp.sym..printk,0',
    '.klp.sym.vmlinux.,0',
    '.klp.sym.printk,0',
  ]) {
    t.equal(parseKlpSymbolName(name), undefined, name);
  }
  const bad = { name: 'LivepatchError', kind: 'bad-name' };
  t.throws(() => formatKlpSectionName({ object: 'a.b', section: '.text' }), {
    ...bad,
    message: "'a.b' is no object name (1 to 55 characters without a dot)",
  });
  t.throws(() => formatKlpSectionName({ object: 'a'.repeat(56), section: '.text' }), bad);
  t.throws(() => formatKlpSectionName({ object: 'a', section: '' }), bad);
  t.throws(() => formatKlpSymbolName({ object: '', symbol: 'f', sympos: 0 }), bad);
  t.throws(() => formatKlpSymbolName({ object: 'm', symbol: 'f,1', sympos: 0 }), bad);
  t.throws(() => formatKlpSymbolName({ object: 'm', symbol: 'f', sympos: -1 }), bad);
  t.throws(() => formatKlpSymbolName({ object: 'm', symbol: 'f'.repeat(512), sympos: 0 }), bad);
  t.end();
});

void t.test('sympos counts namesakes of one object in the order of kallsyms', (t) => {
  const entries = [
    { name: 'init', address: 1n },
    { name: 'once', address: 2n },
    { name: 'init', address: 3n },
    { name: 'init', address: 9n, module: 'm' },
    { name: 'once', address: 10n, module: 'm' },
    { name: 'once', address: 11n, module: 'm' },
    { name: 'same', address: 12n, module: 'm' },
    { name: 'same', address: 12n, module: 'm' },
  ];
  t.equal(symposOf(entries, 'vmlinux', 'once'), 0);
  t.equal(symposOf(entries, 'vmlinux', 'once', 2n), 0);
  t.equal(symposOf(entries, 'vmlinux', 'init', 1n), 1);
  t.equal(symposOf(entries, 'vmlinux', 'init', 3n), 2);
  t.equal(symposOf(entries, 'm', 'init'), 0);
  t.equal(symposOf(entries, 'm', 'once', 11n), 2);
  t.throws(() => symposOf(entries, 'm', 'none'), {
    kind: 'sympos-missing',
    message: 'kallsyms has no symbol none in m',
    names: ['none'],
  });
  t.throws(() => symposOf(entries, 'vmlinux', 'init', 9n), {
    kind: 'sympos-missing',
    message: 'kallsyms has no symbol init at 0x9 in vmlinux',
  });
  t.throws(() => symposOf(entries, 'vmlinux', 'init'), {
    kind: 'sympos-ambiguous',
    message: 'kallsyms has 2 symbols init in vmlinux: an address must say which',
  });
  t.throws(() => symposOf(entries, 'm', 'same', 12n), {
    kind: 'sympos-ambiguous',
    message: 'kallsyms has several symbols same at 0xc in m',
  });
  t.end();
});
