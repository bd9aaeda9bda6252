// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { InfrastructureError } from '../../harness/errors.js';
import { readNewc, withParents, writeNewc, type Entry } from '../../images/newc.js';

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  // eslint-disable-next-line no-control-regex -- just what the writer refuses
  .filter((text) => !/[\x00-\x1f\x7f/]/.test(text) && text !== '.' && text !== '..')
  .filter((text) => text !== 'TRAILER!!!');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const mode = fc.integer({ min: 0, max: 0o7777 });
const number = fc.integer({ min: 0, max: 0xfffff });
const bytes = fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data));

const anyEntry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constant('directory' as const), path, mode }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('file' as const), path, mode, data: bytes }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('symlink' as const), path, target: path }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('device' as const), path, mode, major: number, minor: number }, { noNullPrototype: true }),
);

/** Entries of which none is twice or lies below something that is no directory. */
const anyArchive = fc.array(anyEntry, { maxLength: 20 }).map((entries) => {
  const unique = [...new Map(entries.map((entry) => [entry.path, entry])).values()];
  const kinds = new Map(unique.map((entry) => [entry.path, entry.kind]));
  const fits = (entry: Entry): boolean =>
    entry.path
      .split('/')
      .every((_, i, parts) => i === 0 || (kinds.get(parts.slice(0, i).join('/')) ?? 'directory') === 'directory');
  return withParents(unique.filter(fits));
});

function sorted(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

void t.test('what is written is read back, sorted by name', (t) => {
  fc.assert(
    fc.property(anyArchive, (entries) => {
      assert.deepEqual(readNewc(writeNewc(entries)), sorted(entries));
    }),
    { seed: 414, numRuns: 1000 },
  );
  t.end();
});

void t.test('the order of the entries does not change a byte', (t) => {
  const shuffled = anyArchive.chain((entries) => fc.tuple(fc.constant(entries), fc.shuffledSubarray(entries, { minLength: entries.length })));
  fc.assert(
    fc.property(shuffled, ([entries, others]) => {
      assert.ok(writeNewc(entries).equals(writeNewc(others)));
    }),
    { seed: 414 },
  );
  t.end();
});

void t.test('an archive cut short anywhere is refused, not misread', (t) => {
  fc.assert(
    fc.property(anyArchive, fc.double({ min: 0, max: 0.999, noNaN: true }), (entries, part) => {
      const archive = writeNewc(entries);
      // The last record is the trailer; without its padding the archive is still whole.
      const cut = Math.min(Math.floor(archive.length * part), archive.length - 4);
      assert.throws(() => readNewc(archive.subarray(0, cut)), /cpio/);
    }),
    { seed: 414 },
  );
  t.end();
});

const hostile: readonly (readonly [string, string])[] = [
  ['', 'archive entry "" is empty'],
  ['/etc/passwd', 'archive entry "/etc/passwd" is absolute'],
  ['../x', 'archive entry "../x" has an empty, "." or ".." component'],
  ['a/../../x', 'archive entry "a/../../x" has an empty, "." or ".." component'],
  ['a//x', 'archive entry "a//x" has an empty, "." or ".." component'],
  ['a/', 'archive entry "a/" has an empty, "." or ".." component'],
  ['.', 'archive entry "." has an empty, "." or ".." component'],
  ['a\0b', 'archive entry "a\\u0000b" has control characters'],
  ['a\nb', 'archive entry "a\\nb" has control characters'],
  ['TRAILER!!!', 'archive entry "TRAILER!!!" would end the archive'],
  ['\ud800', 'archive entry "\\ud800" is not valid Unicode'],
  ['no/parent', 'archive entry "no/parent" has no directory "no" above it'],
  ['x'.repeat(4096), `archive entry "${'x'.repeat(40)}" is longer than 4095 bytes`],
];

void t.test('hostile names are refused', (t) => {
  for (const [path, message] of hostile) {
    t.throws(() => writeNewc([{ kind: 'file', path, mode: 0o644, data: Buffer.alloc(0) }]), { message });
  }
  const link: Entry = { kind: 'symlink', path: 'a', target: '/etc' };
  t.throws(() => writeNewc([link, link]), { message: 'archive entry "a" is there twice' });
  t.throws(() => writeNewc([link, { kind: 'directory', path: 'a/b', mode: 0o755 }]), {
    message: 'archive entry "a/b" has no directory "a" above it',
  });
  t.throws(() => writeNewc([{ ...link, target: '' }]), /symbolic link to a name that is empty/);
  t.end();
});

void t.test("the host's cpio lists and unpacks it", (t) => {
  const entries = withParents([
    { kind: 'file', path: 'etc/odd name é', mode: 0o640, data: Buffer.from('12345') },
    { kind: 'symlink', path: 'bin/sh', target: 'busybox' },
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'empty', mode: 0o4755, data: Buffer.alloc(0) },
  ]);
  const input = writeNewc(entries);
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const names = spawnSync('cpio', ['-it', '--quiet'], { input, env, encoding: 'utf8' });
  t.equal(names.status, 0, names.stderr);
  t.same(names.stdout.trim().split('\n').sort(), ['bin', 'bin/sh', 'dev', 'dev/console', 'empty', 'etc', 'etc/odd name é'].sort());
  const long = spawnSync('cpio', ['-itvn', '--quiet'], { input, env, encoding: 'utf8' }).stdout;
  t.match(long, /^crw------- +1 0 +0 +5, +1 Jan +1 +1970 dev\/console$/m);
  t.match(long, /^lrwxrwxrwx .* bin\/sh -> busybox$/m);
  t.match(long, /^-rwsr-xr-x .* empty$/m);
  const content = spawnSync('cpio', ['-i', '--quiet', '--to-stdout', 'etc/odd*'], { input, env, encoding: 'utf8' });
  t.equal(content.stdout, '12345');
  t.end();
});

/** An archive of empty files under any names, which `writeNewc` would not write. */
function forged(names: readonly string[]): Buffer {
  const records = [...names, 'TRAILER!!!'].map((path) => {
    const name = Buffer.from(`${path}\0`);
    const fields = [1, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.length, 0].map((n) => n.toString(16).padStart(8, '0'));
    const record = Buffer.concat([Buffer.from(`070701${fields.join('')}`), name]);
    return Buffer.concat([record, Buffer.alloc(-record.length & 3)]);
  });
  return Buffer.concat(records);
}

void t.test('hostile names are refused by the reader, too', (t) => {
  t.same(readNewc(forged(['fine'])).map((entry) => entry.path), ['fine'], 'that it is read at all');
  for (const [path, message] of hostile) {
    // Half characters cannot be in a file, an empty name is a bare NUL, the trailer ends the archive; parents may come later.
    if (['\ud800', 'TRAILER!!!', 'no/parent'].includes(path)) continue;
    t.throws(() => readNewc(forged([path])), { message });
  }
  t.throws(() => readNewc(forged(['a', 'b', 'a'])), { message: 'archive entry "a" is there twice' });
  t.end();
});

void t.test('whatever is read, no entry lies outside', (t) => {
  const part = fc.constantFrom('a', 'b', '..', '.', '', '\0', '\u001b[2J', 'c'.repeat(300));
  const names = fc.array(fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')), { maxLength: 6 });
  const mangled = fc.tuple(names, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })).map(([list, changes]) => {
    const archive = forged(list);
    for (const [at, value] of changes) archive[at % archive.length] = value;
    return archive;
  });
  fc.assert(
    fc.property(mangled, (archive) => {
      let entries: Entry[] = [];
      try {
        entries = readNewc(archive);
      } catch (error) {
        assert.ok(error instanceof InfrastructureError);
      }
      for (const { path } of entries) assert.match(resolve('/root', path), /^\/root\/./);
    }),
    { seed: 414, numRuns: 2000 },
  );
  t.end();
});
