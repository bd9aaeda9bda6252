// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { formatKlpSymbolName } from '../../harness/elf/index.js';
import type { Guest } from '../../harness/guest/guest.js';
import { leadsAstray, resolved, symbolText, symbolsText, sysfsTree, taintText } from '../../harness/runner/trial-sights.js';

const symbol = (name: string, address: bigint, module?: string) => ({ name, address, type: 't', module });
const table = [symbol('one', 1n), symbol('twin', 2n), symbol('twin', 3n), symbol('one', 4n, 'mod'), symbol('twin', 5n, 'mod')];

void t.test('where a livepatch symbol should lead', (t) => {
  const expected = (name: string): bigint | undefined => resolved({ name, address: 0n }, table).expected;
  t.equal(expected('.klp.sym.vmlinux.one,0'), 1n);
  t.equal(expected('.klp.sym.mod.one,0'), 4n);
  t.equal(expected('.klp.sym.vmlinux.twin,1'), 2n);
  t.equal(expected('.klp.sym.vmlinux.twin,2'), 3n);
  t.equal(expected('.klp.sym.vmlinux.twin,3'), undefined, 'there are two');
  t.equal(expected('.klp.sym.vmlinux.twin,0'), undefined, 'ambiguous');
  t.equal(expected('.klp.sym.gone.one,0'), undefined, 'its object is not loaded');
  t.equal(expected('.klp.sym.broken'), undefined);
  t.end();
});

void t.test('the n-th of its name in its object, among any others', (t) => {
  const entry = fc.record({ name: fc.constantFrom('a', 'b'), address: fc.bigInt({ min: 1n, max: 1n << 40n }), module: fc.constantFrom(undefined, 'm') });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1 }), fc.nat(), (entries, at) => {
      const lines = entries.map(({ name, address, module }) => symbol(name, address, module));
      const chosen = lines[at % lines.length];
      if (!chosen) return false;
      const same = lines.filter((s) => s.name === chosen.name && s.module === chosen.module);
      const name = formatKlpSymbolName({ object: chosen.module ?? 'vmlinux', symbol: chosen.name, sympos: same.indexOf(chosen) + 1 });
      const right = resolved({ name, address: chosen.address }, lines);
      return right.expected === chosen.address && !leadsAstray(right) && leadsAstray(resolved({ name, address: chosen.address + 1n }, lines));
    }),
  );
  t.end();
});

void t.test('said of symbols', (t) => {
  const all = [
    resolved({ name: '.klp.sym.vmlinux.one,0', address: 1n }, table),
    resolved({ name: '.klp.sym.mod.one,0', address: 1n }, table),
    resolved({ name: '.klp.sym.gone.one,0', address: 0n }, table),
  ];
  t.equal(symbolsText(all), "1 of 3 lead where they should, 1 can't be told (the object is not loaded), 1 do not");
  t.equal(symbolsText(all.slice(0, 1)), '1 of 1 lead where they should');
  t.strictSame(all.filter(leadsAstray).map(symbolText), ['.klp.sym.mod.one,0 leads to 0x1, not to 0x4']);
  t.end();
});

void t.test('taints', (t) => {
  t.strictSame(taintText('0\n'), []);
  t.strictSame(taintText('45056\n'), ['O: a module from out of the tree', 'E: a module that is not signed', 'K: a livepatch']);
  t.strictSame(taintText(`${(1n << 40n) | 128n}`), ['D: it has died (an oops)', 'bit 40']);
  t.end();
});

void t.test('sysfs as lines', async (t) => {
  const entry = (name: string, type: string, mode = 0o644): object => ({ name, type, mode, size: 0n, target: '' });
  const span = { begin: 0n, end: 1n };
  const guest = (entries: readonly object[]): Guest => {
    const only = {
      tree: () => Promise.resolve({ ok: true, errno: 0, name: 'OK', value: entries, span }),
      readText: (path: string) => Promise.resolve(path.endsWith('enabled') ? { ok: true, value: '1\n' } : { ok: false, name: 'ENODEV' }),
    };
    return only as unknown as Guest;
  };
  const entries = [entry('', 'directory'), entry('p', 'directory'), entry('p/transition', 'file'), entry('p/enabled', 'file'), entry('p/force', 'file', 0o200)];
  t.strictSame(await sysfsTree(guest(entries)), ['p/', 'p/enabled: 1', 'p/transition: ENODEV']);
  const many = Array.from({ length: 500 }, (_, i) => entry(`f${i}`, 'directory'));
  t.equal((await sysfsTree(guest(many))).at(-1), '… and 100 more');
});
