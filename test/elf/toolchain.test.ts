// SPDX-License-Identifier: MIT
// Objects of the host's compilers, and readelf as a second opinion on them before and after conversion.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  convertToLivepatch,
  faults,
  klpSections,
  modinfo,
  readObject,
  requireResolved,
  withModinfo,
  writeObject,
  type ElfObject,
  type FaultId,
} from '../../harness/elf/index.js';
import { host, tryHost } from '../../harness/host.js';

/**
 * Shaped like a livepatch module: references in code and in data, static functions, modinfo, sections by
 * function.
 */
const source = `
#define MODINFO(name, text) \\
  static const char name[] __attribute__((used, section(".modinfo"), aligned(1))) = text
MODINFO(info_license, "license=GPL");
MODINFO(info_livepatch, "livepatch=Y");
MODINFO(info_depends, "depends=");
extern int _printk(const char *, ...);
extern int hidden_function(int);
extern int hidden_data[8];
extern int function_of_module(int);
extern int unused_weak(void) __attribute__((weak));
int (*table[])(int) = { hidden_function, function_of_module };
static __attribute__((noinline, used)) int local(int x) { return hidden_function(x) + hidden_data[3]; }
int replacement(int x) { _printk("%d", x); return local(x) + function_of_module(x) + hidden_data[x & 7]; }
int second(int x) { return hidden_function(x) * (unused_weak ? unused_weak() : 2); }
int __attribute__((section(".init.text"))) init_module(void) { return _printk("hello"); }
`;

const resolve = new Map([
  ['hidden_function', { object: 'vmlinux', sympos: 0 }],
  ['hidden_data', { object: 'vmlinux', sympos: 3 }],
  ['function_of_module', { object: 'some_module', sympos: 0 }],
]);

const compilers = [
  { arch: 'x86_64', prefix: '', flags: ['-mcmodel=kernel', '-mno-red-zone'] },
  { arch: 'arm64', prefix: 'aarch64-linux-gnu-', flags: ['-mcmodel=small'] },
];
const common = ['-O2', '-g', '-ffreestanding', '-fno-pic', '-fno-asynchronous-unwind-tables', '-fno-common'];

interface Listing {
  readonly sections: string[];
  readonly symbols: string[];
  readonly relocations: string[];
}

const sectionLine = new RegExp(
  String.raw`^ *\[ *(\d+)\] (.*?) +(?:[A-Z_]+|[0-9a-f]+: <unknown>) +[0-9a-f]{16} ([0-9a-f]{6}) ` +
    String.raw`([0-9a-f]{6}) ([0-9a-f]{2}) +(\w*) +(\d+) +(\d+) +(\d+)$`,
);

/** What readelf says: sections, symbols and relocations, each as `field field …` lines in our own order. */
async function readelf(path: string): Promise<Listing> {
  const run = async (...options: string[]): Promise<string[]> => {
    const { exitCode, stdout, stderr } = await tryHost('readelf', ['-W', ...options, path], {
      timeout: 60_000,
    });
    t.equal(exitCode, 0, `readelf ${options.join(' ')}`);
    t.equal(stderr, '', `readelf ${options.join(' ')} has nothing to complain of`);
    return stdout.split('\n');
  };
  const sections = (await run('--sections'))
    .map((line) => sectionLine.exec(line))
    .filter((match) => match !== null)
    .filter(([, index]) => index !== '0')
    .map(([, index, name, offset, size, entsize, flags, link, info, align]) =>
      [index, name, offset, size, entsize, flags, link, info, align].join(' '),
    );
  const symbols = (await run('--symbols'))
    .map((line) =>
      /^ *(\d+): ([0-9a-f]{16}) +(\w+) +\w+ +(\w+) +\w+ +(OS \[0x\w+\]|\w+)(?: +(\S+))?(?: .*)?$/.exec(line),
    )
    .filter((match) => match !== null)
    .map(([, index, value, size, bind, shndx, name]) =>
      [index, value, Number(size), bind, shndx, name ?? ''].join(' '),
    );
  const relocations = (await run('--relocs'))
    .map(
      (line) =>
        /^([0-9a-f]{16}) +([0-9a-f]{16}) +R_/.exec(line) ?? /^Relocation section '(.*)' at/.exec(line),
    )
    .filter((match) => match !== null)
    .map(([, first, second]) => [first, second].join(' ').trim());
  return { sections, symbols, relocations };
}

/** The same listing from our own reader. */
function listing(object: ElfObject): Listing {
  const hex = (value: number | bigint, digits: number) => value.toString(16).padStart(digits, '0');
  const letters: [bigint, string][] = [
    [1n, 'W'], [2n, 'A'], [4n, 'X'], [0x10n, 'M'], [0x20n, 'S'], [0x40n, 'I'],
    [0x80n, 'L'], [0x200n, 'G'], [0x100000n, 'o'], [0x80000000n, 'E'],
  ]; // prettier-ignore
  const binds = ['LOCAL', 'GLOBAL', 'WEAK'];
  const places: Record<number, string> = { 0: 'UND', 0xfff1: 'ABS', 0xff20: 'OS [0xff20]' };
  return {
    sections: object.sections
      .map((s, i) => {
        const flags = letters.map(([bit, letter]) => ((s.flags & bit) === 0n ? '' : letter)).join('');
        return [
          i,
          s.name,
          hex(s.offset ?? 0, 6),
          hex(s.size, 6),
          hex(s.entsize, 2),
          flags,
          s.link,
          s.info,
          s.align,
        ].join(' ');
      })
      .slice(1),
    symbols: object.symbols.map((s) => {
      // A section's symbol has no name of its own; readelf shows the section's.
      const name = s.type === 3 ? (object.sections[s.shndx]?.name ?? '') : s.name;
      return [
        s.index,
        hex(s.value, 16),
        Number(s.size),
        binds[s.bind],
        places[s.shndx] ?? s.shndx,
        name,
      ].join(' ');
    }),
    relocations: object.sections.flatMap((section, i) => {
      const entries = object.relocations(i);
      if (entries.length === 0) return [];
      const lines = entries.map(
        (r) => `${hex(r.offset, 16)} ${hex((BigInt(r.symbol) << 32n) | BigInt(r.type), 16)}`,
      );
      return [section.name, ...lines];
    }),
  };
}

for (const { arch, prefix, flags } of compilers) {
  const found = await tryHost('sh', ['-c', `command -v ${prefix}gcc`], { timeout: 10_000 });
  void t.test(
    `a module of ${prefix}gcc`,
    { skip: found.exitCode === 0 ? false : `no ${prefix}gcc here` },
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'klp-elf-'));
      t.teardown(() => rm(folder, { recursive: true, force: true }));
      const path = (name: string) => join(folder, name);
      await writeFile(path('patch.c'), source);

      for (const extra of [[], ['-ffunction-sections', '-fdata-sections']]) {
        await host(`${prefix}gcc`, [
          ...common,
          ...flags,
          ...extra,
          '-c',
          '-o',
          path('patch.o'),
          path('patch.c'),
        ]);
        // kbuild links a module with ld -r too.
        await host(`${prefix}ld`, ['-r', '-o', path('before.ko'), path('patch.o')]);
        const bytes = await readFile(path('before.ko'));
        const before = readObject(bytes);
        t.equal(Buffer.compare(writeObject(before), bytes), 0, 'identity');
        t.strictSame(
          listing(before),
          await readelf(path('before.ko')),
          `${arch} ${extra.join(' ')}: as readelf reads it`,
        );
        t.equal(modinfo(before, 'livepatch'), 'Y');

        const { object, converted } = convertToLivepatch(before, resolve);
        await writeFile(path('after.ko'), writeObject(object));
        const after = readObject(await readFile(path('after.ko')));
        t.strictSame(listing(after), await readelf(path('after.ko')), 'readelf agrees after conversion');
        requireResolved(after, new Set(['_printk']));
        t.strictSame(converted.map(({ name }) => name).sort(), [
          '.klp.sym.some_module.function_of_module,0',
          '.klp.sym.vmlinux.hidden_data,3',
          '.klp.sym.vmlinux.hidden_function,0',
        ]);

        // Every relocation is still there, for the same place and symbol: only its section changed.
        const all = (o: ElfObject) =>
          o.sections
            .flatMap((s, i) =>
              o.relocations(i).map((r) => `${s.info} ${r.offset} ${r.type} ${r.symbol} ${r.addend}`),
            )
            .sort();
        t.strictSame(all(after), all(before), 'no relocation is lost or altered');
        const livepatch = new Set(converted.map(({ index }) => index));
        after.sections.forEach(({ name, info, flags: own }, i) => {
          if ((after.section(info).flags & 2n) === 0n) return;
          const flagged = (own & 0x100000n) !== 0n;
          for (const { symbol } of after.relocations(i)) {
            if (livepatch.has(symbol) !== flagged) t.fail(`${name} references symbol ${symbol}`);
          }
        });
        for (const { section, parsed } of klpSections(after)) {
          t.equal(parsed?.section, after.section(section.info).name, section.name);
        }

        await writeFile(path('info.ko'), writeObject(withModinfo(after, 'vermagic', '6.1.0 SMP mod_unload')));
        const dump = await host('readelf', ['-W', '--string-dump=.modinfo', path('info.ko')]);
        t.match(dump, /vermagic=6\.1\.0 SMP mod_unload/);

        // Of those that readelf has nothing to complain of.
        for (const id of ['EF-01', 'EF-09', 'EF-13', 'EF-18', 'EF-51'] satisfies FaultId[]) {
          await writeFile(path(`${id}.ko`), writeObject(faults[id].apply(after)));
          await readelf(path(`${id}.ko`));
        }
      }
    },
  );
}
