// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { longestFirst, readDurations, recordDurations } from '../../harness/runner/durations.js';

/** A cache of the test's own. */
function ownCache(t: { testdir: () => string; teardown: (f: () => void) => void }): string {
  const before = process.env.KLP_CACHE;
  const cache = t.testdir();
  process.env.KLP_CACHE = cache;
  t.teardown(() => {
    if (before === undefined) delete process.env.KLP_CACHE;
    else process.env.KLP_CACHE = before;
  });
  return cache;
}

void t.test('the longest first; what was never measured before all, in its own order', (t) => {
  const items = ['a', 'new', 'b', 'newer', 'c'].map((id) => ({ id }));
  const known = new Map([['a', 10], ['b', 30], ['c', 20]]);
  t.same(longestFirst(items, known).map((i) => i.id), ['new', 'newer', 'b', 'c', 'a']);
  t.same(longestFirst(items, new Map()), items, 'nothing known, nothing changed');
  t.end();
});

void t.test('what is recorded is smoothed with what was known', async (t) => {
  ownCache(t);
  t.same(await readDurations('k', 'x86_64'), new Map());
  await recordDurations('k', 'x86_64', new Map([['a', 1000], ['b', 10.4]]));
  await recordDurations('k', 'x86_64', new Map([['a', 2000]]));
  t.same(await readDurations('k', 'x86_64'), new Map([['a', 1300], ['b', 10]]));
  t.same(await readDurations('k', 'arm64'), new Map(), 'each architecture has its own');
});

void t.test('any kernel name makes a file name; nothing else is left in the folder, and no lock', async (t) => {
  const cache = ownCache(t);
  await recordDurations('../a b', 'arm64', new Map([['a', 1]]));
  t.same(readdirSync(join(cache, 'durations')), ['..%2Fa%20b-arm64.json']);
  t.same(readdirSync(join(cache, 'locks')), []);
  t.same(await readDurations('../a b', 'arm64'), new Map([['a', 1]]));
});

void t.test('a file that is no such thing is as good as none', async (t) => {
  const cache = ownCache(t);
  mkdirSync(join(cache, 'durations'));
  for (const text of ['', '{', '{"version":2}', '{"version":1,"milliseconds":{"a":"x"}}']) {
    writeFileSync(join(cache, 'durations/k-arm64.json'), text);
    t.same(await readDurations('k', 'arm64'), new Map(), text);
  }
  await recordDurations('k', 'arm64', new Map([['a', 1]]));
  t.same(await readDurations('k', 'arm64'), new Map([['a', 1]]));
});

void t.test('runs side by side lose nothing of each other', async (t) => {
  const cache = ownCache(t);
  const module = new URL('../../harness/runner/durations.js', import.meta.url).href;
  const run = promisify(execFile);
  await Promise.all(
    ['a', 'b', 'c', 'd'].map((id) =>
      run(
        process.execPath,
        ['--input-type=module', '-e', `const { recordDurations } = await import(${JSON.stringify(module)}); await recordDurations('k', 'arm64', new Map([['${id}', 5]]));`],
        { env: { ...process.env, KLP_CACHE: cache } },
      ),
    ),
  );
  t.same([...(await readDurations('k', 'arm64')).keys()].sort(), ['a', 'b', 'c', 'd']);
});
