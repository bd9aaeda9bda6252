// SPDX-License-Identifier: MIT
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { InfrastructureError } from '../../harness/errors.js';
import { tryHost } from '../../harness/host.js';
import { suiteSources } from '../../kernels/mirrors.js';
import { fetchPackages, type FetchedPackage } from '../../kernels/packages.js';

/** A small suite with small packages; the index and two packages are all that is downloaded. */
const suite = 'trixie-backports';
const small = 'linux-source';

/** The world these tests need: an archive that Node can reach the way apt does, without a proxy. */
async function upstream(): Promise<string | undefined> {
  const proxy = await tryHost('apt-config', ['dump', 'Acquire::http::Proxy'], { timeout: 30_000 });
  const uri = (await suiteSources(suite))[0]?.uri;
  return proxy.stdout.trim() === '' && uri?.startsWith('http') ? uri : undefined;
}

type Mood = 'honest' | 'flips a byte of packages' | 'has dropped every package' | 'signs badly' | 'has no such suite';

/** A mirror on this host that passes everything on, in a mood. */
async function startMirror(from: string): Promise<{ uri: string; set: (mood: Mood) => void; stop: () => Promise<void> }> {
  let mood: Mood = 'honest';
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').replace(/^\/debian/, '');
    const isPackage = path.endsWith('.deb');
    if (isPackage && mood === 'has dropped every package') {
      response.writeHead(404).end();
      return;
    }
    if (mood === 'has no such suite' && path.startsWith('/dists/')) {
      response.writeHead(404).end();
      return;
    }
    const reply = await fetch(from + path, { signal: AbortSignal.timeout(120_000) });
    const body = Buffer.from(await reply.arrayBuffer());
    const middle = body.length >> 1;
    if (isPackage && mood === 'flips a byte of packages') body.writeUInt8(body.readUInt8(middle) ^ 1, middle);
    if (mood === 'signs badly' && path.endsWith('/InRelease')) {
      // Another date than the one that was signed.
      const at = body.indexOf('\nDate: ') + 12;
      body.writeUInt8(body.readUInt8(at) ^ 1, at);
    }
    response.writeHead(reply.status, { 'content-length': body.length }).end(body);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.writeHead(502).end());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    uri: `http://127.0.0.1:${port}/debian`,
    set: (next) => {
      mood = next;
    },
    stop: () =>
      new Promise((stopped) => {
        server.closeAllConnections();
        server.close(() => {
          stopped();
        });
      }),
  };
}

const cache = await mkdtemp(join(tmpdir(), 'klp-apt-'));
process.env.KLP_CACHE = cache;
t.teardown(() => rm(cache, { recursive: true, force: true }));

delete process.env.KLP_DEBIAN_MIRROR;
const from = await upstream();

const said: string[] = [];
const get = async (...names: string[]): Promise<FetchedPackage[]> => {
  said.length = 0;
  return fetchPackages({ suite, arch: 'amd64', names, progress: (line) => said.push(line) });
};
const failure = async (attempt: Promise<unknown>): Promise<InfrastructureError> => {
  const error: unknown = await attempt.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof InfrastructureError)) throw new Error(`no InfrastructureError but ${String(error)}`);
  return error;
};

await t.test('a mirror that nothing answers at', { timeout: 120_000 }, async (t) => {
  const nothing = await startMirror('http://127.0.0.1:9');
  await nothing.stop();
  process.env.KLP_DEBIAN_MIRROR = nothing.uri;
  const error = await failure(get(small));
  t.equal(error.message, `the package mirror did not answer (the package index of ${suite})`);
  t.match(error.hint, /KLP_DEBIAN_MIRROR/);
  t.match(error.details.join('\n'), /Connection refused|Could not connect/);
  t.notMatch(error.details.join('\n'), /127\.0\.0\.1:/);
  t.equal(error.exitStatus, 3);
});

await t.test('through a mirror', { timeout: 600_000, skip: from === undefined ? 'no archive without a proxy' : false }, async (t) => {
  const mirror = await startMirror(from ?? '');
  t.teardown(() => mirror.stop());
  process.env.KLP_DEBIAN_MIRROR = mirror.uri;

  await t.test('an index with a bad signature is refused, and not kept', async (t) => {
    mirror.set('signs badly');
    const error = await failure(get(small));
    t.equal(error.message, `the signature of the package index of ${suite} could not be verified`);
    t.match(error.hint, /debian-archive-keyring/);
    t.equal(error.exitStatus, 3);
    const [root = ''] = await readdir(join(cache, 'apt'));
    const lists = await readdir(join(cache, 'apt', root, 'lists'));
    t.strictSame(lists.filter((name) => name.includes('dists')), []);
    t.notOk((await readdir(join(cache, 'apt', root))).includes('updated'), 'it is asked again the next time');
  });

  await t.test('a suite that vanished', async (t) => {
    mirror.set('has no such suite');
    const error = await failure(get(small));
    t.equal(error.message, `the mirror does not have the package index of ${suite}`);
    t.match(error.hint, /KLP_DEBIAN_MIRROR.*archive mirrors/);
  });

  await t.test('no space', async (t) => {
    mirror.set('honest');
    const tight = await mkdtemp(join(tmpdir(), 'klp-tight-'));
    t.teardown(() => rm(tight, { recursive: true, force: true }));
    const namespaces = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];
    // What is left in the cache is listed behind what was said; the file system ends with its namespace.
    const script = 'mount -t tmpfs -o size=64m tmpfs "$KLP_CACHE"; "$@"; cd "$KLP_CACHE"; find tmp packages things -type f 2>/dev/null';
    const user = join(import.meta.dirname, 'no-space-user.js');
    const fill = async (...words: string[]): Promise<string[]> => {
      const args = [...namespaces, 'sh', '-c', script, 'sh', process.execPath, user, ...words];
      return (await tryHost('unshare', args, { timeout: 300_000, env: { KLP_CACHE: tight } })).stdout.split('\n');
    };
    const told = [`no space left in ${tight}`, 'free some there, or set KLP_CACHE to a folder on another file system', ''];
    t.strictSame(await fill('download', suite, 'linux-source-7.*'), told);
    t.strictSame(await fill('unpack'), told);
  });

  await t.test('a corrupt package is refused, and not kept', async (t) => {
    mirror.set('flips a byte of packages');
    const error = await failure(get(small));
    t.match(error.message, /^the mirror served a corrupt file for linux-source \S+: hash mismatch with the signed index$/);
    t.match(error.hint, /KLP_DEBIAN_MIRROR/);
    t.equal(error.exitStatus, 3);
    t.strictSame(await readdir(join(cache, 'packages')).catch(() => []), []);
    t.strictSame(await readdir(join(cache, 'tmp')), []);
  });

  await t.test('a sound one is kept under its hash', async (t) => {
    mirror.set('honest');
    const [got] = await get(small);
    t.match(got?.record, { name: small, arch: 'all' });
    t.match(got?.record.sha256, /^[0-9a-f]{64}$/);
    t.ok(said.some((line) => line.startsWith('downloading linux-source ')));
    const field = await tryHost('dpkg-deb', ['--field', got?.file ?? '', 'Package', 'Version']);
    t.equal(field.stdout, `Package: ${small}\nVersion: ${got?.record.version ?? ''}\n`);
  });

  await t.test('a pattern takes the newest version', async (t) => {
    // Only asked for, not downloaded: the source is large, and the mirror has dropped it.
    mirror.set('has dropped every package');
    const error = await failure(get('linux-source-[0-9]*'));
    t.match(error.message, /has no package linux-source-\[0-9\]\* for amd64/);
    const gone = await failure(get('linux-source-7.*'));
    t.match(gone.message, /^the mirror no longer has linux-source-7\.\d+ \S+$/);
  });

  await t.test('a file spoilt in the cache is downloaded again', async (t) => {
    mirror.set('honest');
    const [before] = await get(small);
    const file = before?.file ?? '';
    const good = await readFile(file);
    await writeFile(file, good.subarray(0, good.length - 1));
    const [after] = await get(small);
    t.equal(after?.file, file);
    t.strictSame(await readFile(file), good);
    t.ok(said.some((line) => line.includes('the file in the cache does not match its hash: downloading it again')));
  });

  await t.test('a package that does not exist', async (t) => {
    const error = await failure(get('no-such-package-klp'));
    t.equal(error.message, `${suite} has no package no-such-package-klp for amd64`);
  });

  await t.test('once all is there, no mirror is needed', async (t) => {
    await mirror.stop();
    await get(small);
    t.strictSame(said, []);

    // A day later, and lists older than twelve hours.
    const apt = join(cache, 'apt');
    const roots = await readdir(apt);
    for (const root of roots) {
      const old = new Date(Date.now() - 48 * 3600_000);
      await utimes(join(apt, root, 'updated'), old, old).catch(() => undefined);
      for (const name of await readdir(join(apt, root, 'resolved'))) {
        const file = join(apt, root, 'resolved', name);
        const record = JSON.parse(await readFile(file, 'utf8')) as { at: number };
        await writeFile(file, JSON.stringify({ ...record, at: old.getTime() }));
      }
    }
    const [got] = await get(small);
    t.equal(got?.record.name, small);
    t.ok(said.some((line) => /did not answer.*going on with the packages of trixie-backports as they were on/.test(line)));
  });
});
