// SPDX-License-Identifier: MIT
import { mkdir, mkdtemp, readFile, readdir, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pack, type Header } from 'tar-stream';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { InfrastructureError } from '../../harness/errors.js';
import { host } from '../../harness/host.js';
import { unpackPackage } from '../../kernels/packages.js';
import { unpackTar } from '../../kernels/unpack.js';

type Entry = Pick<Header, 'name'> & Partial<Header> & { content?: string };

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) {
    if (content === undefined) archive.entry({ ...header, size: 0 });
    else archive.entry(header, content);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A folder with one to unpack into, and a file beside that nothing may touch. */
async function withSandbox(t: Test, body: (inside: string, outside: string) => Promise<void>): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'klp-unpack-'));
  try {
    await mkdir(join(base, 'inside'));
    await mkdir(join(base, 'outside'));
    await writeFile(join(base, 'outside', 'precious'), 'untouched');
    await body(join(base, 'inside'), join(base, 'outside'));
    const beside = [await readFile(join(base, 'outside', 'precious'), 'utf8'), await readdir(join(base, 'outside'))];
    t.strictSame([...beside, (await readdir(base)).sort()], ['untouched', ['precious'], ['inside', 'outside']]);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

await t.test('unpacks files, folders and links as a file system of its own', async (t) => {
  await withSandbox(t, async (inside) => {
    const tar = await tarOf([
      { name: './', type: 'directory' },
      { name: './usr/lib/', type: 'directory' },
      { name: './usr/lib/program', mode: 0o4755, content: 'text' },
      { name: './lib', type: 'symlink', linkname: 'usr/lib' },
      { name: './lib/late', content: 'through the link' },
      { name: './lib/', type: 'directory' },
      { name: './usr/lib/hard', type: 'link', linkname: './usr/lib/program' },
      { name: './usr/src/build', type: 'symlink', linkname: '/usr/lib/program' },
      { name: './usr/up', type: 'symlink', linkname: '../lib/program' },
      { name: './skipped/x', content: 'x' },
    ]);
    await unpackTar(Readable.from([tar]), inside, (path) => !path.startsWith('skipped'));
    t.equal(await readFile(join(inside, 'usr/lib/late'), 'utf8'), 'through the link');
    t.equal(await readFile(join(inside, 'usr/lib/hard'), 'utf8'), 'text');
    t.equal(await readlink(join(inside, 'usr/src/build')), '../lib/program', 'absolute links become relative');
    t.equal(await readFile(join(inside, 'usr/up'), 'utf8'), 'text');
    t.equal((await stat(join(inside, 'usr/lib/program'))).mode & 0o7777, 0o755, 'set-id bits are dropped');
    t.strictSame((await readdir(inside)).sort(), ['lib', 'usr']);
    // Again over itself: what is there gives way.
    await unpackTar(Readable.from([tar]), inside);
    t.equal(await readFile(join(inside, 'skipped/x'), 'utf8'), 'x');
  });
});

const hostile: Record<string, Entry[]> = {
  'a path that climbs': [{ name: '../outside/precious', content: 'evil' }],
  'a path that climbs later': [{ name: 'a/../../outside/precious', content: 'evil' }],
  'an absolute path': [{ name: '/tmp/klp-evil', content: 'evil' }],
  'a link that climbs': [{ name: 'l', type: 'symlink', linkname: '../outside' }],
  'a link that climbs from deeper': [{ name: 'a/b/l', type: 'symlink', linkname: '../../../outside' }],
  'a link that climbs through a link': [
    { name: 'here', type: 'symlink', linkname: '.' },
    { name: 'l', type: 'symlink', linkname: 'here/../outside' },
  ],
  'a link whose folder is nearer to the root than it looks': [
    { name: 'deep/down', type: 'symlink', linkname: '..' },
    { name: 'deep/down/l', type: 'symlink', linkname: '../../outside' },
  ],
  'a hard link to outside': [{ name: 'h', type: 'link', linkname: '../outside/precious' }],
  'a hard link by absolute path': [{ name: 'h', type: 'link', linkname: '/etc/hostname' }],
  'a second name of a link, nearer to the root': [
    { name: 'a/b/up', type: 'symlink', linkname: '../../etc' },
    { name: 'h', type: 'link', linkname: 'a/b/up' },
  ],
  'a hard link through a link to outside': [
    { name: 'here', type: 'symlink', linkname: '.' },
    { name: 'h', type: 'link', linkname: 'here/../outside/precious' },
  ],
  'a hard link to what is not there': [{ name: 'h', type: 'link', linkname: 'nothing' }],
  'a file through a link to nowhere': [
    { name: 'l', type: 'symlink', linkname: '/klp/nowhere' },
    { name: 'l/x', content: 'evil' },
  ],
  'a block device': [{ name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }],
  'a device': [{ name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3 }],
  'a fifo': [{ name: 'pipe', type: 'fifo' }],
};
for (const [what, entries] of Object.entries(hostile)) {
  await t.test(`refuses ${what}`, async (t) => {
    await withSandbox(t, async (inside) => {
      const tar = await tarOf(entries);
      await t.rejects(unpackTar(Readable.from([tar]), inside), {
        name: 'InfrastructureError',
        message: /(leads outside the folder it is unpacked into|is a (block-device|character-device|fifo)|is a hard link to what is no file): refused/,
      });
    });
  });
}

await t.test('a link already in the folder is not followed out of it', async (t) => {
  await withSandbox(t, async (inside, outside) => {
    await host('ln', ['-s', outside, join(inside, 'trap')]);
    const tar = await tarOf([{ name: 'trap/precious', content: 'evil' }]);
    await t.rejects(unpackTar(Readable.from([tar]), inside), /leads outside/);
    const over = await tarOf([{ name: 'trap', content: 'a file now' }]);
    await unpackTar(Readable.from([over]), inside);
    t.equal(await readFile(join(inside, 'trap'), 'utf8'), 'a file now');
  });
});

await t.test('an absolute link is one below the folder, for what comes through it too', async (t) => {
  await withSandbox(t, async (inside, outside) => {
    const tar = await tarOf([
      { name: `${outside.slice(1)}/`, type: 'directory' },
      { name: 'l', type: 'symlink', linkname: outside },
      { name: 'l/precious', content: 'evil' },
    ]);
    await unpackTar(Readable.from([tar]), inside);
    t.equal(await readFile(join(inside, outside.slice(1), 'precious'), 'utf8'), 'evil');
  });
});

await t.test('of two entries of one name the last one stays; a folder gives way to nothing', async (t) => {
  await withSandbox(t, async (inside, outside) => {
    const twice = await tarOf([
      { name: 'x', content: 'first' },
      { name: 'h', type: 'link', linkname: 'x' },
      { name: 'x', content: 'second' },
      { name: 'l', type: 'symlink', linkname: 'x' },
      { name: 'l', content: 'no longer a link' },
    ]);
    await unpackTar(Readable.from([twice]), inside);
    const texts = await Promise.all(['x', 'h', 'l'].map((name) => readFile(join(inside, name), 'utf8')));
    t.same(texts, ['second', 'first', 'no longer a link'], 'nothing is written through another name');
    for (const entry of [{ content: 'x' }, { type: 'symlink', linkname: 'x' }] as const) {
      const over = await tarOf([{ name: 'd/', type: 'directory' }, { name: 'd/keep', content: '' }, { name: 'd', ...entry }]);
      await t.rejects(unpackTar(Readable.from([over]), inside));
      t.same(await readdir(join(inside, 'd')), ['keep']);
    }
    t.same(await readdir(outside), ['precious']);
  });
});

await t.test('names that no file system takes are refused, and nothing of them is left', async (t) => {
  await withSandbox(t, async (inside) => {
    for (const name of ['n'.repeat(300), `${'d/'.repeat(2500)}x`]) {
      await t.rejects(unpackTar(Readable.from([await tarOf([{ name, content: 'x' }])]), inside), /ENAMETOOLONG/);
    }
    t.notOk((await readdir(inside)).includes('n'.repeat(300)));
  });
});

await t.test('whatever the archive, every link left behind stays inside', async (t) => {
  const part = fc.constantFrom('a', 'b', 'outside', 'precious', '..', '.', '');
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const entry: fc.Arbitrary<Entry> = fc.oneof(
    path.map((name) => ({ name, content: 'x' })),
    fc.record({ name: path, type: fc.constant('symlink' as const), linkname: path }),
    fc.record({ name: path, type: fc.constant('symlink' as const), linkname: path.map((p) => `/${p}`) }),
    fc.record({ name: path, type: fc.constant('link' as const), linkname: path }),
    path.map((name) => ({ name, type: 'directory' as const })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(entry.filter((e) => e.name !== ''), { maxLength: 10 }), async (entries) => {
      await withSandbox(t, async (inside) => {
        await unpackTar(Readable.from([await tarOf(entries)]), inside).catch(() => undefined);
        for (const found of await readdir(inside, { recursive: true, withFileTypes: true })) {
          if (!found.isSymbolicLink()) continue;
          const target = resolve(found.parentPath, await readlink(join(found.parentPath, found.name)));
          const stays = target === inside || target.startsWith(inside + sep);
          if (!stays) throw new Error(`${found.name} in ${found.parentPath} leads to ${target}`);
          const real = await realpath(target).catch(() => inside);
          if (real !== inside && !real.startsWith(inside + sep)) throw new Error(`${found.name} in ${found.parentPath} is ${real}`);
        }
      });
    }),
    { numRuns: 300 },
  );
});

await t.test('a truncated archive and a file that is no package are told apart from an empty one', async (t) => {
  await withSandbox(t, async (inside) => {
    const tar = await tarOf([{ name: 'big', content: 'x'.repeat(5000) }]);
    await t.rejects(unpackTar(Readable.from([tar.subarray(0, 2000)]), inside));
    const file = join(inside, 'no.deb');
    await writeFile(file, 'not a package\n'.repeat(100));
    const error: unknown = await unpackPackage(file, inside).catch((e: unknown) => e);
    t.type(error, InfrastructureError);
    t.equal((error as InfrastructureError).message, `dpkg-deb cannot read ${file}`);
    t.match((error as InfrastructureError).details.join(), /not a Debian format archive/);
  });
});
