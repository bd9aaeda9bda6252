// SPDX-License-Identifier: MIT
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { architectures } from '../../harness/arch.js';
import { UsageError } from '../../harness/errors.js';
import { host } from '../../harness/host.js';
import { kbuild } from '../../harness/modules/kbuild.js';
import { bringKernel } from '../../kernels/brought.js';
import { findKernel } from '../../kernels/catalogue.js';
import { hostSuite } from '../../kernels/mirrors.js';
import type { AcquiredKernel } from '../../kernels/types.js';

const suite = await hostSuite();
const said: string[] = [];
const progress = (line: string): void => {
  said.push(line);
};

/** Builds a module that does nothing and returns its vermagic. */
async function vermagic(t: Test, kernel: AcquiredKernel): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'klp-module-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'Makefile'), 'obj-m := nothing.o\n');
  await writeFile(join(folder, 'nothing.c'), '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n');
  const args = ['-C', kernel.buildDir, `M=${folder}`, `ARCH=${architectures[kernel.arch].kbuild}`];
  await host('make', [...args, `CROSS_COMPILE=${kernel.toolchain.crossCompile}`, 'modules'], { timeout: 300_000 });
  return (await host('modinfo', ['-F', 'vermagic', join(folder, 'nothing.ko')], { timeout: 30_000 })).trim();
}

async function usage(attempt: Promise<unknown>): Promise<UsageError> {
  const error: unknown = await attempt.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof UsageError)) throw new Error(`no UsageError but ${String(error)}`);
  return error;
}

for (const arch of ['x86_64', 'arm64'] as const) {
  await t.test(`modules are built for the stock kernel of ${arch}`, { timeout: 800_000 }, async (t) => {
    const entry = await findKernel(`${suite}-${arch}`);
    const kernel = await entry.acquire(progress);
    t.match(kernel, { name: entry.name, arch, origin: 'stock' });
    t.ok((await vermagic(t, kernel)).startsWith(`${kernel.release} `), kernel.release);
    const header = await readFile(join(kernel.buildDir, 'include/generated/utsrelease.h'), 'utf8');
    t.ok(header.includes(`"${kernel.release}"`));
    t.equal((await readFile(join(kernel.buildDir, 'include/config/kernel.release'), 'utf8')).trim(), kernel.release);
    await host('test', ['-d', join(kernel.modulesDir ?? '', 'kernel', 'drivers')]);
    t.strictSame(await entry.cached(), kernel, 'the cache gives the same kernel');
  });
}

await t.test('a version that the suite has not', async (t) => {
  const error = await usage((await findKernel('stock@0.0.1-1')).acquire(progress));
  t.equal(error.message, `${suite} has no kernel 0.0.1-1 for x86_64`);
  // The newest, as it may be pinned: `6.1.0-56 (6.1.192-2)`.
  const stock = await (await findKernel('stock')).acquire(progress);
  const version = stock.packages[0]?.version ?? '';
  t.ok(error.hint?.includes(`${stock.release.replace(/-amd64$/, '')} (${version})`), error.hint ?? '');
});

await t.test("a module for another release's kernel has the symbol versions of that one", { timeout: 800_000 }, async (t) => {
  const entry = await findKernel(suite === 'bullseye' ? 'bookworm-x86_64' : 'bullseye-x86_64');
  const kernel = await entry.acquire(progress);
  t.match(kernel.toolchain, { root: String, packages: Array });
  const source = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\nvoid klp_x(void) { pr_info("x"); }\n';
  await kbuild(kernel, [{ name: 'nothing', source }], async (name, file) => {
    t.equal(name, 'nothing');
    t.ok((await host('modinfo', ['-F', 'vermagic', file], { timeout: 30_000 })).startsWith(`${kernel.release} SMP`));
    const layout = /^0x([0-9a-f]+)\tmodule_layout\t/m.exec(await readFile(join(kernel.buildDir, 'Module.symvers'), 'utf8'))?.[1];
    const versions = await host('modprobe', ['--dump-modversions', file], { timeout: 30_000 });
    t.ok(layout !== undefined && versions.includes(`0x${layout}\tmodule_layout`), versions);
  });
});

await t.test('a kernel brought along', { timeout: 800_000 }, async (t) => {
  const stock = await (await findKernel('stock')).acquire(progress);
  const arm = await (await findKernel(`${suite}-arm64`)).acquire(progress);
  const { image, buildDir } = stock;

  await t.test('is taken when image and build directory belong together', async (t) => {
    const kernel = await bringKernel({ image, buildDir }, progress);
    t.match(kernel, { arch: 'x86_64', origin: 'brought', release: stock.release, packages: [], config: stock.config });
    t.match(kernel.name, new RegExp(`^image:vmlinuz-${stock.release.replaceAll('.', '\\.')}-[0-9a-f]{6}$`));
    t.ok((await vermagic(t, kernel)).startsWith(`${stock.release} `));
    const again = await bringKernel({ image, buildDir, arch: 'amd64' }, progress);
    t.equal(again.fingerprint, kernel.fingerprint);
    t.match(await bringKernel({ image: arm.image, buildDir: arm.buildDir }, progress), { arch: 'arm64' });
  });

  await t.test('is refused when they do not', async (t) => {
    const other = await usage(bringKernel({ image: arm.image, buildDir }, progress));
    t.equal(other.message, `${arm.image} is an image for arm64, but ${buildDir} is configured for x86_64`);
    const asked = await usage(bringKernel({ image, buildDir, arch: 'arm64' }, progress));
    t.equal(asked.message, `--arch arm64 does not fit --build-dir: ${stock.config} is for x86_64`);

    const folder = await mkdtemp(join(tmpdir(), 'klp-brought-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const near = join(folder, 'near');
    await mkdir(near);
    for (const name of ['.config', 'Makefile', 'Module.symvers']) await copyFile(join(buildDir, name), join(near, name));
    const unbuilt = await usage(bringKernel({ image, buildDir: near }, progress));
    t.equal(unbuilt.message, `--build-dir: ${near}/include/config/kernel.release does not exist`);
    await cp(join(buildDir, 'include/config/kernel.release'), join(near, 'include/config/kernel.release'));
    await writeFile(join(near, 'include/config/kernel.release'), '6.1.0-1-mine\n');
    const version = await usage(bringKernel({ image, buildDir: near }, progress));
    t.equal(
      version.message,
      `${image} is Linux ${stock.release}, but modules from ${near} would be for 6.1.0-1-mine: the guest would refuse them`,
    );
    t.equal(version.exitStatus, 2);
    await rename(join(near, 'Module.symvers'), join(near, 'x'));
    t.equal(
      (await usage(bringKernel({ image, buildDir: near }, progress))).message,
      `--build-dir: ${near}/Module.symvers does not exist`,
    );
    const text = join(folder, 'text');
    await writeFile(text, 'no kernel');
    t.match((await usage(bringKernel({ image: text, buildDir }, progress))).message, /^\S+ holds no kernel version/);
    t.equal(
      (await usage(bringKernel({ image: `${text}.x`, buildDir }, progress))).message,
      `--image: ${text}.x does not exist`,
    );
  });

  await t.test('says so when another compiler builds its modules, and when there is none', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'klp-brought-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    await cp(join(buildDir, 'include/generated/utsrelease.h'), join(folder, 'include/generated/utsrelease.h'));
    for (const name of ['Makefile', 'Module.symvers']) await copyFile(join(buildDir, name), join(folder, name));
    const config = (await readFile(stock.config, 'utf8')).replace(
      /^CONFIG_CC_VERSION_TEXT=.*$/m,
      'CONFIG_CC_VERSION_TEXT="gcc (GCC) 4.9.4"',
    );
    await writeFile(join(folder, '.config'), config);
    said.length = 0;
    await bringKernel({ image, buildDir: folder }, progress);
    t.match(said, [/^note: \S+ was built with "gcc \(GCC\) 4\.9\.4", its modules will be built with "gcc /]);
    await t.rejects(bringKernel({ image, buildDir, toolchain: 'no-such-prefix-' }, progress), {
      name: 'InfrastructureError',
      message: 'the compiler no-such-prefix-gcc is not installed',
    });
  });
});
