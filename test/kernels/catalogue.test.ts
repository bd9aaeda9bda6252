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
  const kernels = `Kernels: ${suite}-x86_64, ${suite}-arm64, built-7-arm64`;
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
