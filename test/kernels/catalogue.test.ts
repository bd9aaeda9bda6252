// SPDX-License-Identifier: MIT
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../harness/errors.js';
import { editDistance, nearest } from '../../harness/nearest.js';
import { catalogue, defaultKernels, findKernel } from '../../kernels/catalogue.js';
import { hostSuite } from '../../kernels/mirrors.js';

const suite = await hostSuite();

await t.test('a kernel is found by its name and by its alias', async (t) => {
  t.equal((await findKernel('stock')).name, `${suite}-x86_64`);
  for (const entry of await catalogue()) t.equal((await findKernel(entry.name)).name, entry.name);
});

await t.test('an unknown name gets the nearest one', async (t) => {
  const kernels = `Kernels: ${(await catalogue()).map((e) => e.name).join(', ')}`;
  const ask = async (name: string): Promise<unknown> => findKernel(name).catch((e: unknown) => e);
  const typo = await ask('built-7-amr64');
  t.type(typo, UsageError);
  t.match(typo, {
    message: 'unknown kernel "built-7-amr64"',
    hint: `did you mean built-7-arm64? ${kernels}`,
    exitStatus: 2,
  });
  t.match(await ask('vms'), { message: 'unknown kernel "vms"', hint: kernels });
});

await t.test('there are the stock kernels of four suites on both architectures', async (t) => {
  const names = (await catalogue()).filter((e) => e.origin === 'stock').map((e) => e.name);
  const archs = ['x86_64', 'arm64'];
  for (const one of ['bullseye', 'bookworm', 'trixie', 'trixie-backports']) {
    for (const arch of archs) t.ok(names.includes(`${one}-${arch}`), `${one}-${arch}`);
  }
  t.equal(new Set(names).size, names.length);
});

await t.test('a stock kernel is pinned by name', async (t) => {
  const pinned = await findKernel('trixie-backports-arm64@7.3.4-1~bpo13+1');
  t.match(pinned, { name: 'trixie-backports-arm64@7.3.4-1~bpo13+1', arch: 'arm64', origin: 'stock', livepatch: false });
  t.equal((await findKernel('stock@6.1.0-1')).name, `${suite}-x86_64@6.1.0-1`, 'by its alias');
  t.match(await findKernel('stock@6.1.0-1@').catch((e: unknown) => e), { message: '"6.1.0-1@" is no version of a kernel' });
  const ask = async (word: string): Promise<unknown> => findKernel(word).catch((e: unknown) => e);
  t.match(await ask('stock@'), { message: '"" is no version of a kernel', exitStatus: 2 });
  t.match(await ask('stock@../x'), { message: '"../x" is no version of a kernel' });
  t.match(await ask('built-7-arm64@7'), { message: 'kernel built-7-arm64 has no versions to choose from: only stock kernels have' });
  t.match(await ask('nothing@1'), { message: 'unknown kernel "nothing"' });
});

await t.test('each architecture has its default kernels, the one that can livepatch first', async (t) => {
  t.strictSame((await defaultKernels('x86_64')).map((e) => e.name), [`${suite}-x86_64`]);
  const arm = await defaultKernels('arm64');
  t.strictSame(arm.map((e) => [e.name, e.livepatch]), [['built-7-arm64', true], [`${suite}-arm64`, false]]);
});

await t.test('an empty cache has no kernel, and asking for it makes none', async (t) => {
  const { KLP_CACHE: before } = process.env;
  const empty = await mkdtemp(join(tmpdir(), 'klp-cache-'));
  process.env.KLP_CACHE = empty;
  t.teardown(() => {
    if (before === undefined) delete process.env.KLP_CACHE;
    else process.env.KLP_CACHE = before;
    return rm(empty, { recursive: true, force: true });
  });
  for (const entry of await catalogue()) t.equal(await entry.cached(), undefined, entry.name);
});

await t.test('edit distance is a distance, and one edit away is near', (t) => {
  const word = fc.string({ minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(word, word, word, (a, b, c) => {
      t.equal(editDistance(a, a), 0);
      t.equal(editDistance(a, b), editDistance(b, a));
      t.ok(editDistance(a, c) <= editDistance(a, b) + editDistance(b, c));
      t.ok((editDistance(a, b) === 0) === (a === b));
      t.equal(nearest(a, [a]), a);
    }),
  );
  t.equal(editDistance('kitten', 'sitting'), 3);
  t.equal(nearest('stokc', ['stock', 'built']), 'stock');
  t.equal(nearest('x', []), undefined);
  t.end();
});
