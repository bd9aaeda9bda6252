// SPDX-License-Identifier: MIT
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { findSelftests, modulesOf } from '../../kernels/selftests.js';
import { sourcePackage } from '../../kernels/stock.js';
import type { AcquiredKernel } from '../../kernels/types.js';

/** A kernel of which only its source matters. */
function kernelOf(source: AcquiredKernel['source']): AcquiredKernel {
  return { name: 'mine', ...(source && { source }) } as AcquiredKernel;
}

async function tree(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

const scripts = 'tools/testing/selftests/livepatch';

void t.test('modules beside the scripts, as since 6.9', async (t) => {
  const folder = await tree(t.testdir(), {
    [`${scripts}/test-a.sh`]: '',
    [`${scripts}/test_modules/Makefile`]: 'obj-m += test_klp_a.o \\\n\ttest_klp_b.o\n',
  });
  t.match(await findSelftests(kernelOf({ folder }), () => undefined), {
    from: folder,
    scripts: join(folder, scripts),
    modules: join(folder, scripts, 'test_modules'),
    moduleNames: ['test_klp_a', 'test_klp_b'],
    loading: 'test_modules',
  });
});

void t.test('modules in lib/livepatch, as before', async (t) => {
  const folder = await tree(t.testdir(), {
    [`${scripts}/test-a.sh`]: '',
    'lib/livepatch/Makefile': 'obj-$(CONFIG_TEST_LIVEPATCH) += test_klp_a.o\n',
  });
  t.match(await findSelftests(kernelOf({ folder }), () => undefined), { modules: join(folder, 'lib/livepatch'), loading: 'modprobe' });
});

void t.test('a tree without them, and no tree', async (t) => {
  const folder = t.testdir({ lib: {} });
  t.match(await findSelftests(kernelOf({ folder }), () => undefined), /the source of the kernel \(.*\) has no selftests for livepatch/);
  t.match(await findSelftests(kernelOf(undefined), () => undefined), /nothing says where the source of mine is/);
});

void t.test('modules are named once', (t) => {
  t.strictSame(modulesOf('x += test_klp_b.o test_klp_a.o\nCFLAGS_test_klp_a.o := -O2\nother.o'), ['test_klp_a', 'test_klp_b']);
  t.end();
});

void t.test('the source package of an image', (t) => {
  const image = { name: 'linux-image-6.1.0-56-amd64', version: '6.1.192-2', arch: 'amd64', sha256: '' };
  t.strictSame(sourcePackage('bookworm', [image]), { suite: 'bookworm', name: 'linux-source-6.1', version: '6.1.192-2' });
  t.equal(sourcePackage('bookworm', []), undefined);
  t.end();
});
