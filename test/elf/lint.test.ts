// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import t from 'tap';
import {
  SHF_RELA_LIVEPATCH,
  appendSection,
  lint,
  lintGenerationOf,
  lintGenerations,
  lintJson,
  lintLines,
  lintSarif,
  logPattern,
  readObject,
  ruleOf,
  rules,
  withModinfo,
  withRelocations,
  withSection,
  withSymbols,
  writeObject,
  type ElfObject,
  type KernelTables,
} from '../../harness/elf/index.js';
import { anyObject, soundModule } from './build.js';

const codes = (object: ElfObject, kernel?: KernelTables): string[] => [
  ...new Set(lint(writeObject(object), { kernel }).findings.map(({ code }) => code)),
];
const sound = (): ElfObject => readObject(soundModule());

void t.test('rules: one a code, every field filled', (t) => {
  t.equal(new Set(rules.map(({ code }) => code)).size, rules.length);
  for (const { code, title, document, mend, kernels } of rules) {
    t.match(code, /^KLP0\d\d$/);
    t.ok(!title.endsWith('.') && document.endsWith('.') && mend.endsWith('.'), code);
    for (const outcome of Object.values(kernels)) {
      t.equal(outcome.ending === 'refused', outcome.errno !== undefined, code);
      t.ok(outcome.log === undefined || logPattern(outcome.log) instanceof RegExp);
    }
  }
  t.throws(() => ruleOf('KLP999'), { name: 'RangeError', message: 'there is no rule KLP999' });
  t.end();
});

void t.test('a sound module is clean, on every kernel and both machines', (t) => {
  for (const machine of [62, 183]) {
    const bytes = soundModule({ machine });
    t.strictSame(lint(bytes).findings, []);
    t.strictSame(lint(bytes).generations, lintGenerations);
    for (const release of ['4.14.177', '5.10.0-46-amd64', '6.1.0-56-amd64', '7.3.4']) {
      const named = writeObject(withModinfo(readObject(bytes), 'vermagic', `${release} SMP mod_unload `));
      t.match(lint(named), { livepatch: true, findings: [], generations: [lintGenerationOf(release)] });
    }
  }
  t.end();
});

void t.test("what klp-build leaves of the relocations that it moved is dead, and a relocation of a module that lives is not", (t) => {
  for (const machine of [62, 183]) {
    const plain = readObject(soundModule({ machine }));
    const buried = withSymbols(plain, new Map([[5, { name: '.klp.tombstone.vm_commit_limit', shndx: 0xff20 }]]));
    const section = plain.sections.findIndex(({ name }) => name === '.rela.text');
    const entries = buried.relocations(section);
    const dead = (type: number): ElfObject => withRelocations(buried, section, entries.map((e) => (e.symbol === 5 ? { ...e, type } : e)));
    t.ok(entries.some(({ symbol }) => symbol === 5), 'the module names it');
    t.strictSame(codes(dead(0)), []);
    if (machine === 183) t.strictSame(codes(dead(256)), []);
    t.strictSame(codes(buried), ['KLP049']);
    const listed = plain.sections.findIndex(({ name }) => name === '.text');
    const spent = withSection(buried, listed, { name: '__klp_relocs.vmlinux' });
    t.notOk(codes(spent).includes('KLP049'), 'a list of relocations that are made already');
  }
  t.end();
});

void t.test('releases and what they stand for', (t) => {
  const cases: [string, string | undefined][] = [
    ['4.11.0', undefined], ['4.12.1', '4.14'], ['5.7.19', '4.14'], ['5.8.0', '5.10'], ['6.0.1', '5.10'], ['6.1.0-56-amd64', '6.1'],
    ['6.4.0', '6.12'], ['6.12.117+deb13-amd64', '6.12'], ['6.17.0-rc1', '7.3'], ['7.3.4', '7.3'], ['next', undefined],
  ]; // prettier-ignore
  for (const [release, generation] of cases) t.equal(lintGenerationOf(release), generation, release);
  t.end();
});

void t.test('the kernel decides how bad it is', (t) => {
  const long = withSymbols(sound(), new Map([[2, { name: `.klp.sym.vmlinux.${'f'.repeat(120)},0` }]]));
  const on = (release: string): object[] => [...lint(writeObject(withModinfo(long, 'vermagic', `${release} SMP`))).findings];
  t.match(on('5.4.0'), [{ code: 'KLP046', severity: 'error' }]);
  t.strictSame(on('5.10.0-46-amd64'), [], 'symbols of vmlinux are resolved before names are cut, since 5.8');
  const ofModule = withSymbols(sound(), new Map([[4, { name: `.klp.sym.m.${'f'.repeat(120)},0` }]]));
  const cut = lint(writeObject(withModinfo(ofModule, 'vermagic', '5.10.0-46-amd64 SMP'))).findings;
  t.match(cut, [{ code: 'KLP060', severity: 'error' }], 'those of modules are not');
  t.strictSame(on('6.1.0-56-amd64'), [], 'names may be longer since 6.1');
  t.match(lint(writeObject(long)).findings, [{ code: 'KLP046', severity: 'error' }], 'the worst of all, where it is not known');
  t.end();
});

void t.test('what cannot be read is one finding, with offset and field', (t) => {
  const bytes = soundModule();
  t.match(lint(bytes.subarray(0, 40)), { livepatch: false, findings: [{ code: 'KLP001', severity: 'error', offset: 0, field: 'e_ident' }] });
  t.match(lint(bytes.subarray(0, bytes.length - 100)).findings, [{ code: 'KLP002', field: 'e_shoff', offset: 40 }]);
  t.end();
});

void t.test('places are those of the bytes at fault', (t) => {
  const before = sound();
  const bytes = writeObject(withSymbols(before, new Map([[2, { name: '.klp.sym.vmlinux.hidden' }]])));
  const [finding, ...others] = lint(bytes).findings;
  t.strictSame(others, []);
  t.match(finding, { code: 'KLP042', symbol: '.klp.sym.vmlinux.hidden', field: 'st_name' });
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  t.equal(view.getUint32(finding?.offset ?? 0, true), readObject(bytes).symbols[2]?.nameOffset);
  t.end();
});

void t.test('a kernel: objects, symbols and positions', (t) => {
  const tables = (counts: Record<string, Record<string, number>>, more: Partial<KernelTables> = {}): KernelTables => ({
    release: '6.1.0-56-amd64',
    hasObject: (object) => object in counts,
    count: (object, symbol) => (object in counts ? (counts[object]?.[symbol] ?? 0) : undefined),
    ...more,
  });
  const module = withModinfo(sound(), 'vermagic', '6.1.0-56-amd64 SMP mod_unload ');
  const both = { vmlinux: { hidden: 1, hidden_too: 3 }, m: { of_module: 1 } };
  t.strictSame(codes(module, tables(both)), []);
  t.strictSame(codes(module, tables({ vmlinux: both.vmlinux })), ['KLP070'], 'no such module');
  t.strictSame(codes(module, tables({ ...both, m: {} })), ['KLP071']);
  t.strictSame(codes(module, tables({ ...both, vmlinux: { hidden: 2, hidden_too: 2 } })), ['KLP072'], 'position 0 of two');
  t.strictSame(codes(module, tables({ ...both, vmlinux: { hidden: 1, hidden_too: 1 } })), ['KLP073'], 'position 2 of one');
  t.strictSame(codes(module, tables(both, { release: '5.10.0-46-amd64' })), ['KLP074']);
  t.strictSame(codes(module, tables(both, { vermagic: '6.1.0-56-amd64 SMP preempt mod_unload ' })), ['KLP074']);
  const exported = new Set(['printk']);
  t.strictSame(codes(module, tables(both, { exports: (symbol) => exported.has(symbol) })), []);
  t.strictSame(codes(module, tables(both, { exports: () => false })), ['KLP075']);
  t.end();
});

void t.test('any readable object gives a report', (t) => {
  fc.assert(
    fc.property(anyObject, (bytes) => {
      for (const { code, message } of lint(bytes).findings) assert.ok(ruleOf(code).code === code && message !== '');
    }),
    { numRuns: 500 },
  );
  t.end();
});

void t.test('a hostile module costs no more than its length', (t) => {
  // Thousands of sections, each for an object of its own, and a megabyte of strings to look for them in.
  let object = withModinfo(sound(), 'vermagic', '6.1.0 SMP');
  object = appendSection(object, { name: '.rodata', type: 1, flags: 2n, data: new Uint8Array(1 << 20).fill(0x61) });
  const one = object.sections.find(({ flags }) => (flags & SHF_RELA_LIVEPATCH) !== 0n);
  const many = writeObject({
    header: { ...object.header, shoff: undefined },
    sections: [...object.sections, ...Array.from({ length: 40_000 }, () => ({ ...one, offset: undefined, data: new Uint8Array(), size: 0 }) as never)],
    padding: [],
    trailer: new Uint8Array(),
  });
  const begin = performance.now();
  const { findings } = lint(many);
  t.ok(findings.length < 50, 'the same thing is said a few times only');
  t.ok(findings.some(({ more = 0 }) => more > 30_000), 'with the number of the others');
  t.comment(`${(performance.now() - begin).toFixed(0)} ms`);
  t.end();
});

void t.test('as text, JSON and SARIF', (t) => {
  const report = lint(writeObject(withSymbols(sound(), new Map([[2, { name: '.klp.sym.vmlinux.hidden' }]]))));
  const linted = { file: 'a dir/lp.ko', report };
  const [first, second, ...rest] = lintLines(linted);
  t.equal(first, "a dir/lp.ko: error KLP042: .klp.sym.vmlinux.hidden: not .klp.sym.<object>.<symbol>,<sympos>");
  t.match(second, /^ {4}symbol \.klp\.sym\.vmlinux\.hidden, st_name at 0x[0-9a-f]+$/);
  t.strictSame(rest.map((line) => line.trim().split(':')[0]), ['rule', 'document', 'kernel 4.14 to 7.3', 'mend']);
  t.strictSame(lintLines({ file: 'x.ko', report: lint(soundModule()) }), []);
  t.match(lintJson([linted]), {
    v: 1,
    files: [{ file: 'a dir/lp.ko', machine: 'x86_64', livepatch: true, findings: [{ code: 'KLP042', rule: { kernels: { 7.3: { errno: 'EINVAL' } } } }] }],
  });
  const sarif = lintSarif([linted], '1.2.3');
  t.match(sarif, {
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'klp', version: '1.2.3', rules: rules.map(({ code }) => ({ id: code })) } },
        results: [{ ruleId: 'KLP042', level: 'error', locations: [{ physicalLocation: { artifactLocation: { uri: 'a%20dir/lp.ko' } } }] }],
      },
    ],
  });
  t.end();
});
