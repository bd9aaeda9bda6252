// SPDX-License-Identifier: MIT
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { UsageError } from '../../harness/errors.js';
import { checkKernel } from '../../kernels/brought.js';
import { findKernel } from '../../kernels/catalogue.js';
import { configurationIn } from '../../kernels/pairing.js';
import type { AcquiredKernel } from '../../kernels/types.js';

const scratch = await mkdtemp(join(tmpdir(), 'klp-pairing-'));
t.teardown(() => rm(scratch, { recursive: true, force: true }));

/** Real ones, as far as the cache has them; looked up before the first test begins, for no test may follow once all have ended. */
const kernels = new Map<string, AcquiredKernel | undefined>();
for (const name of ['stock', 'built-7-arm64', 'built-7-x86_64']) kernels.set(name, await (await findKernel(name)).cached());

const config = 'CONFIG_X86_64=y\nCONFIG_IKCONFIG=y\nCONFIG_LIVEPATCH=y\n';
const build = '#1 SMP Sun Nov 22 15:57:37 UTC 2026';

/** A build directory as far as it is looked at, and the bzImage that was built in it. */
async function pair(name: string, edit: { config?: string; build?: string; header?: string } = {}): Promise<{ image: string; buildDir: string }> {
  const buildDir = join(scratch, name);
  await mkdir(join(buildDir, 'include/generated'), { recursive: true });
  await writeFile(join(buildDir, '.config'), edit.config ?? config);
  await writeFile(join(buildDir, 'Makefile'), '');
  await writeFile(join(buildDir, 'Module.symvers'), '');
  await writeFile(join(buildDir, 'include/generated/utsrelease.h'), '#define UTS_RELEASE "6.1.0-test"\n');
  await writeFile(join(buildDir, 'include/generated', edit.header ?? 'utsversion.h'), `#define UTS_VERSION "${edit.build ?? build}"\n`);
  const image = join(scratch, 'bzImage');
  await writeFile(image, bzImage(`6.1.0-test (me@here) ${build}`));
  return { image, buildDir };
}

/** A bzImage with a gzipped kernel, which carries `config` (Documentation/arch/x86/boot.rst, kernel/configs.c). */
function bzImage(version: string): Buffer {
  const kernel = Buffer.concat([Buffer.alloc(64), Buffer.from('IKCFG_ST'), gzipSync(config), Buffer.from('IKCFG_ED'), Buffer.alloc(64)]);
  const packed = gzipSync(kernel);
  const head = Buffer.alloc(0x1000);
  head.writeUInt8(7, 0x1f1);
  head.write('HdrS', 0x202, 'latin1');
  head.writeUInt16LE(0x20f, 0x206);
  head.writeUInt16LE(0x600, 0x20e);
  head.writeUInt32LE(packed.length, 0x24c);
  head.write(`${version}\0`, 0x800, 'latin1');
  return Buffer.concat([head, packed]);
}

async function complaint(promise: Promise<unknown>): Promise<UsageError> {
  const error: unknown = await promise.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof UsageError)) throw new Error(`no UsageError but ${String(error)}`);
  return error;
}

void t.test('an image and its own build directory belong together, also as compile.h says it', async (t) => {
  for (const header of ['utsversion.h', 'compile.h']) {
    const { arch, name } = await checkKernel(await pair(`own-${header}`, { header }));
    t.equal(arch, 'x86_64');
    t.match(name, /^image:bzImage-[0-9a-f]{6}$/);
  }
  t.not((await checkKernel(await pair('one'))).name, (await checkKernel(await pair('two'))).name, 'two of one name are told apart');
});

void t.test('the same release of another build, or with another configuration, is told before anything boots', async (t) => {
  const other = await complaint(checkKernel(await pair('other', { build: '#2 SMP Sun Nov 22 16:18:13 UTC 2026' })));
  t.match(other.message, /bzImage and .*other are both Linux 6\.1\.0-test, but of different builds$/);
  t.strictSame(other.details, [`image:           ${build}`, 'build directory: #2 SMP Sun Nov 22 16:18:13 UTC 2026']);
  const changed = await complaint(checkKernel(await pair('changed', { config: config.replace('CONFIG_LIVEPATCH=y', 'CONFIG_KASAN=y') })));
  t.match(changed.message, /are both Linux 6\.1\.0-test, but configured differently$/);
  t.strictSame(changed.details, ['CONFIG_KASAN: image n, build directory y', 'CONFIG_LIVEPATCH: image y, build directory n']);
});

void t.test('what is missing or in an unknown form is named', async (t) => {
  const whole = await pair('whole');
  await rm(join(whole.buildDir, 'Module.symvers'));
  t.match(await complaint(checkKernel(whole)), { message: /Module\.symvers does not exist$/, hint: /make all modules/ });
  const packed = await pair('packed');
  await writeFile(packed.image, Buffer.concat([Buffer.from('02214c18', 'hex'), Buffer.alloc(100)]));
  t.match((await complaint(checkKernel(packed))).message, /bzImage is compressed with LZ4, which neither QEMU nor klp unpacks$/);
  t.match((await complaint(checkKernel({ ...(await pair('machine')), machine: 'virt' }))).message, /machine virt is arm64, the kernel is x86_64/);
});

for (const [name, kernel] of kernels) {
  void t.test(`${name}: its image and its headers belong together, and with nothing else`, { skip: kernel ? false : `${name} is not in the cache` }, async (t) => {
    if (!kernel) return;
    const { image, buildDir, arch } = kernel;
    t.equal((await checkKernel({ image, buildDir })).arch, arch);
    if (kernel.origin === 'stock') return;
    t.equal(await configurationIn(await readFile(image)), await readFile(kernel.config, 'utf8'), 'its configuration is found');
    const wrong = join(scratch, `wrong-${name}`);
    await mkdir(join(wrong, 'include/generated'), { recursive: true });
    for (const file of ['Makefile', 'Module.symvers']) await symlink(join(buildDir, file), join(wrong, file));
    await cp(join(buildDir, 'include/generated/utsrelease.h'), join(wrong, 'include/generated/utsrelease.h'));
    await writeFile(join(wrong, '.config'), (await readFile(kernel.config, 'utf8')).replace('CONFIG_HZ=250', 'CONFIG_HZ=1000'));
    const error = await complaint(checkKernel({ image, buildDir: wrong }));
    t.match(error.message, /but configured differently$/);
    t.strictSame(error.details, ['CONFIG_HZ: image 250, build directory 1000']);
  });
}

const [x86, arm] = [kernels.get('stock'), kernels.get('built-7-arm64')];
void t.test('an image of another architecture is refused', { skip: x86 && arm ? false : 'the cache lacks a kernel' }, async (t) => {
  if (!x86 || !arm) return;
  const error = await complaint(checkKernel({ image: x86.image, buildDir: arm.buildDir }));
  t.match(error.message, /is an image for x86_64, but .* is configured for arm64$/);
});
