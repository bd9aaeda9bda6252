// SPDX-License-Identifier: MIT
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { KlpError } from '../../harness/errors.js';
import { host } from '../../harness/host.js';
import { acquireSource, cachedSource, sourceState, suitingToolchain, versionOfTree, type SourceKernel } from '../../kernels/source.js';

const scratch = await mkdtemp(join(tmpdir(), 'klp-source-'));
const { KLP_CACHE: before } = process.env;
process.env.KLP_CACHE = join(scratch, 'cache');
t.teardown(async () => {
  if (before === undefined) delete process.env.KLP_CACHE;
  else process.env.KLP_CACHE = before;
  await rm(scratch, { recursive: true, force: true });
});

/** The targets of a kernel's Makefile that are used, doing next to nothing; `make O=` as the kernel has it. */
const makefile = `VERSION = 4
PATCHLEVEL = 14
SUBLEVEL = 177
EXTRAVERSION =
src := $(CURDIR)
allnoconfig:
	grep -v ASKED $(KCONFIG_ALLCONFIG) > $(O)/.config || :
olddefconfig:
	test -e $(O)/.config
bzImage:
	mkdir -p $(O)/arch/x86/boot $(O)/arch/x86/include/generated $(O)/include/config $(O)/include/generated $(O)/scripts
	cp $(src)/main.c $(O)/arch/x86/boot/bzImage
	echo 4.14.177-own > $(O)/include/config/kernel.release
	touch $(O)/System.map $(O)/vmlinux $(O)/Module.symvers $(O)/scripts/modpost $(O)/include/generated/x.h $(O)/main.o
	! grep -q BROKEN $(src)/main.c
	! grep -q FULL $(src)/main.c || { echo "as: out.o: No space left on device"; exit 1; }
modules: ;
`;

async function tree(name: string, main = 'int x;'): Promise<string> {
  const source = join(scratch, name);
  for (const folder of ['include/linux', 'scripts', 'arch/x86/include/asm']) await mkdir(join(source, folder), { recursive: true });
  for (const [file, text] of [['Makefile', makefile], ['Kconfig', 'config FRAGMENT\n\tbool "x"\n'], ['main.c', main], ['include/linux/livepatch.h', ''], ['scripts/Makefile.x', ''], ['arch/x86/Makefile', '']] as const) {
    await writeFile(join(source, file), text);
  }
  return source;
}

const fragment = join(scratch, 'own.config');
await writeFile(fragment, 'CONFIG_FRAGMENT=y\n');

function kernel(source: string, config: readonly string[] = [fragment]): SourceKernel {
  return { name: 'mine', arch: 'x86_64', source, config, toolchain: 'host' };
}

const quiet = (): void => undefined;

async function complaint(promise: Promise<unknown>): Promise<KlpError> {
  const error: unknown = await promise.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof KlpError)) throw new Error(`no KlpError but ${String(error)}`);
  return error;
}

void t.test('a tree is built outside of itself, once, and again when it has changed', async (t) => {
  const source = await tree('plain');
  const untouched = await sourceState(source);
  t.equal(await cachedSource(kernel(source)), undefined);
  const built = await acquireSource(kernel(source), quiet);
  t.match(built, { name: 'mine', origin: 'built', release: '4.14.177-own', arch: 'x86_64' });
  t.equal(await readFile(built.image, 'utf8'), 'int x;');
  t.strictSame((await readdir(built.buildDir)).sort(), ['.config', 'Makefile', 'Module.symvers', 'System.map', 'arch', 'include', 'scripts', 'vmlinux']);
  t.strictSame((await readdir(join(built.buildDir, 'scripts'))).sort(), ['Makefile.x', 'modpost'], 'of the source and of the build');
  t.equal(await sourceState(source), untouched, 'nothing was written into the source');
  const said: string[] = [];
  t.equal((await acquireSource(kernel(source), (line) => said.push(line))).image, built.image);
  t.strictSame(said, [], 'the second time nothing is built');
  t.equal((await cachedSource(kernel(source)))?.image, built.image);
  await writeFile(join(source, 'main.c'), 'int changed;');
  t.equal(await cachedSource(kernel(source)), undefined);
  t.equal(await readFile((await acquireSource(kernel(source), quiet)).image, 'utf8'), 'int changed;');
});

void t.test('of a git checkout the commit and what differs from it count, not the time of files', async (t) => {
  const source = await tree('git');
  const git = (...args: string[]): Promise<string> => host('git', ['-C', source, '-c', 'user.name=x', '-c', 'user.email=x', ...args]);
  await git('init', '-q');
  await git('add', '.');
  await git('commit', '-qm', 'one');
  const clean = await sourceState(source);
  await writeFile(join(source, 'main.c'), 'int x;');
  t.equal(await sourceState(source), clean, 'the same text, written again');
  await writeFile(join(source, 'main.c'), 'int y;');
  const dirty = await sourceState(source);
  await writeFile(join(source, 'new.c'), '');
  const more = await sourceState(source);
  await git('add', '.');
  await git('commit', '-qm', 'two');
  t.equal(new Set([clean, dirty, more, await sourceState(source)]).size, 4);
});

void t.test('what is wrong is said in terms of the tree', async (t) => {
  t.match(await complaint(acquireSource(kernel(scratch), quiet)), { exitStatus: 2, message: /is no kernel source tree$/ });
  const used = await tree('used');
  await writeFile(join(used, '.config'), '');
  t.match(await complaint(acquireSource(kernel(used), quiet)), { exitStatus: 2, message: /was configured or built in .*used itself/, hint: /mrproper/ });
  const source = await tree('broken', 'BROKEN');
  t.match(await complaint(acquireSource(kernel(source, ['no-such']), quiet)), { message: /^--config no-such: there is no such fragment$/, hint: /livepatch/ });
  const failed = await complaint(acquireSource(kernel(source), quiet));
  t.match(failed, { exitStatus: 3, message: 'building mine failed', hint: /^the whole log is .*logs.mine-[0-9a-f]{16}\.log$/ });
  const full = await complaint(acquireSource(kernel(await tree('full', 'FULL')), quiet));
  t.match(full, { exitStatus: 3, message: 'building mine failed: no space left on the device', hint: /KLP_CACHE/ });
  t.strictSame(await readdir(join(scratch, 'cache/tmp')), [], 'nothing half done is left');
  const asked = join(scratch, 'asked.config');
  await writeFile(asked, 'CONFIG_ASKED=y\n');
  t.match(await complaint(acquireSource(kernel(await tree('asked'), [asked]), quiet)), {
    message: 'the kernel configuration did not take CONFIG_ASKED',
    details: ['CONFIG_ASKED: asked for y, got nothing: this source has no such option for this architecture'],
  });
});

void t.test('a whole configuration is the base that fragments are laid over', async (t) => {
  const whole = join(scratch, 'whole.config');
  await writeFile(whole, '#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 4.14.177 Kernel Configuration\n#\nCONFIG_OLD=y\n');
  const built = await acquireSource(kernel(await tree('whole'), [whole, fragment]), quiet);
  t.match(await readFile(built.config, 'utf8'), /CONFIG_OLD=y\n[^]*CONFIG_FRAGMENT=y\n/);
});

void t.test('the toolchain suits the age', async (t) => {
  t.equal(await versionOfTree(await tree('version')), '4.14.177');
  const number = fc.nat({ max: 300 });
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 12 }), number, number, (major, minor, patch) => {
      t.equal(suitingToolchain(`${major}.${minor}.${patch}`), major < 6 ? 'bullseye' : 'host');
    }),
  );
});
