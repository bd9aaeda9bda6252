// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { cached, digest, ifCached, withLock } from '../harness/cache.js';

t.setTimeout(300_000);

/** A cache of its own, and a folder beside it. */
function freshCache(t: Test): { cache: string; folder: string } {
  const { KLP_CACHE: before } = process.env;
  const folder = t.testdir({ cache: {} });
  process.env.KLP_CACHE = join(folder, 'cache');
  t.teardown(() => {
    if (before === undefined) delete process.env.KLP_CACHE;
    else process.env.KLP_CACHE = before;
  });
  return { cache: join(folder, 'cache'), folder };
}

interface User {
  readonly child: ChildProcess;
  /** What it said, and its exit status. */
  readonly ended: Promise<{ said: string; status: number | null }>;
}

function user(mode: 'make' | 'hang' | 'lock', folder: string): User {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'cache-user.js'), mode, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = Promise.all([text(child.stdout), once(child, 'close')]).then(([said, [status]]) => ({ said, status: status as number | null }));
  return { child, ended };
}

async function makes({ child }: User): Promise<void> {
  if (!child.stdout) throw new Error('no pipe');
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  if (chunk.toString() !== 'making\n') throw new Error(`it said ${chunk.toString()}`);
}

const lockOf = (cache: string, name: string): string => join(cache, 'locks', `${digest(name).slice(0, 32)}.lock`);

async function plant(file: string, content: string, ageSeconds = 0): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  const then = Date.now() / 1000 - ageSeconds;
  await utimes(file, then, then);
}

const left = async (cache: string): Promise<string[]> =>
  [...(await readdir(join(cache, 'locks'))), ...(await readdir(join(cache, 'tmp')).catch(() => []))];

void t.test('processes that want the same make it once, and all get the whole of it', async (t) => {
  const { cache, folder } = freshCache(t);
  const users = await Promise.all([1, 2, 3, 4].map(() => user('make', folder).ended));
  for (const { said, status } of users) t.match({ said, status }, { said: /^(making\n)?half whole\n$/, status: 0 });
  t.equal((await readFile(join(folder, 'makers'), 'utf8')).trim().split('\n').length, 1);
  t.same(await left(cache), []);
});

void t.test('a maker that is killed leaves nothing half done, and whoever waited takes over', async (t) => {
  const { cache, folder } = freshCache(t);
  const hanging = user('hang', folder);
  await makes(hanging);
  t.equal(await ifCached('things', 'key'), undefined, 'not there before it is whole');
  const waiting = user('make', folder);
  t.equal(await Promise.race([waiting.ended, sleep(1500, 'waits')]), 'waits', 'a live owner is respected');
  hanging.child.kill('SIGKILL');
  t.match(await waiting.ended, { said: 'making\nhalf whole\n', status: 0 });
  t.same(await readdir(join(cache, 'locks')), []);
  t.same((await readdir(join(cache, 'things', 'key'))).sort(), ['first', 'second']);
});

void t.test('a maker that fails leaves nothing; the next one may succeed', async (t) => {
  const { cache } = freshCache(t);
  const failing = cached('things', 'key', async (directory) => {
    await writeFile(join(directory, 'first'), 'half');
    throw new Error('on purpose');
  });
  await t.rejects(failing, new Error('on purpose'));
  t.equal(await ifCached('things', 'key'), undefined);
  t.same(await left(cache), []);
  t.equal(await cached('things', 'key', () => Promise.resolve()), join(cache, 'things', 'key'));
});

const stale: Record<string, readonly [string, number]> = {
  'of a process that is gone': ['4194305 17', 0],
  'of a pid that has come round again': [`${process.pid} 1`, 0],
  'of the parent, by another start': [`${process.ppid} 1`, 0],
  'that is empty': ['', 60],
  'that is damaged': ['\0\0\u001b[2J not a lock', 60],
  'of an earlier layout': ['1', 60],
};
for (const [what, [content, age]] of Object.entries(stale)) {
  void t.test(`a lock ${what} is taken over`, async (t) => {
    const { cache } = freshCache(t);
    await plant(lockOf(cache, 'some lock'), content, age);
    t.equal(await withLock('some lock', () => Promise.resolve('in')), 'in');
    t.same(await readdir(join(cache, 'locks')), []);
  });
}

void t.test('an empty lock of just now may be about to be written', async (t) => {
  const { cache } = freshCache(t);
  const file = lockOf(cache, 'some lock');
  await plant(file, '');
  const entering = withLock('some lock', () => Promise.resolve('in'));
  t.equal(await Promise.race([entering, sleep(1000, 'waits')]), 'waits');
  await plant(file, '', 60);
  t.equal(await entering, 'in');
});

void t.test('of many that find a stale lock, one at a time gets in', async (t) => {
  const { cache, folder } = freshCache(t);
  await plant(lockOf(cache, 'some lock'), '4194305 17');
  const users = await Promise.all([1, 2, 3, 4, 5, 6].map(() => user('lock', folder).ended));
  t.same(users, users.map(() => ({ said: 'done\n', status: 0 })));
  t.same(await readdir(join(cache, 'locks')), []);
});

void t.test('what another one put there meanwhile is as good', async (t) => {
  const { cache } = freshCache(t);
  const target = join(cache, 'things', 'key');
  const got = await cached('things', 'key', async () => {
    await mkdir(target, { recursive: true });
    await writeFile(join(target, 'theirs'), '');
  });
  t.equal(got, target);
  t.same(await readdir(target), ['theirs']);
  t.same(await left(cache), []);
});
