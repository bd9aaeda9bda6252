// SPDX-License-Identifier: MIT
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { addKernel, namedKernels, removeKernel } from '../../harness/config/load.js';
import { parseKlpConfig } from '../../harness/config/schema.js';
import { UsageError } from '../../harness/errors.js';
import { catalogue } from '../../kernels/catalogue.js';
import { type Ended, klp } from '../cli/klp.js';

const folder = await mkdtemp(join(tmpdir(), 'klp-config-'));
const before = process.cwd();
t.teardown(async () => {
  process.chdir(before);
  await rm(folder, { recursive: true, force: true });
});
await mkdir(join(folder, 'deep/er'), { recursive: true });
// tap's module loader, which this process has, and tsx's for CommonJS do not always agree: modules, then; and see below.
await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
process.chdir(join(folder, 'deep/er'));
const file = join(folder, 'klp.config.ts');

async function complaint(promise: Promise<unknown>): Promise<UsageError> {
  const error: unknown = await promise.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof UsageError)) throw new Error(`no UsageError but ${String(error)}`);
  return error;
}

void t.test('klp.config.ts of a folder above names kernels, by paths of its own', async (t) => {
  await writeFile(
    file,
    "const machine: string = 'mt2731';\nexport default { kernels: { 'vendor-4.14': { image: 'out/Image', buildDir: '/b', machine } } };\n",
  );
  t.strictSame(await namedKernels(), [
    { name: 'vendor-4.14', kernel: { image: join(folder, 'out/Image'), buildDir: '/b', machine: 'mt2731' }, file },
  ]);
  const entry = (await catalogue()).find((e) => e.name === 'vendor-4.14');
  t.match(entry, { origin: 'brought', standard: false });
  t.equal(await entry?.cached(), undefined, 'what is not there is said when it is wanted');
});

void t.test('the registry lies beside it, and holds what was added until it is removed', async (t) => {
  const source = { source: '/src', config: ['base', 'livepatch', 'own.config'], toolchain: 'bullseye' };
  const registry = join(folder, 'klp.kernels.json');
  t.equal(await addKernel('old', source), registry);
  t.match(await namedKernels(), [{ name: 'vendor-4.14' }, { name: 'old', kernel: { config: ['base', 'livepatch', join(folder, 'own.config')] } }]);
  t.match((await complaint(addKernel('old', source))).message, /has a kernel old already$/);
  await addKernel('vendor-4.14', source);
  t.match((await complaint(namedKernels())).message, /klp\.kernels\.json: kernels\.vendor-4\.14: .*klp\.config\.ts has a kernel of that name already$/);
  await removeKernel('vendor-4.14');
  await addKernel('stock', source);
  t.match((await complaint(catalogue())).message, /kernel stock of .*: the catalogue has a kernel of that name$/);
  await removeKernel('stock');
  await removeKernel('old');
  t.match((await complaint(removeKernel('old'))).message, /has no kernel old$/);
  t.strictSame(JSON.parse(await readFile(registry, 'utf8')), { kernels: {} });
});

void t.test('it may be CommonJS, and is loaded by a process as users have it', async (t) => {
  const plain = await mkdtemp(join(tmpdir(), 'klp-config-'));
  t.teardown(() => rm(plain, { recursive: true, force: true }));
  const config = join(plain, 'klp.config.ts');
  const names = (): Promise<Ended> => klp(['kernels', 'list', '--names'], { cwd: plain, bare: true });
  await writeFile(config, "const image: string = 'a';\nexport default { kernels: { mine: { image, buildDir: 'b' } } };\n");
  t.match((await names()).stdout, /^mine$/m);
  await writeFile(config, 'export const kernels = {};');
  t.match(await names(), { status: 2, stderr: /klp\.config\.ts has no default export\n/ });
});

void t.test('what is wrong in a file is named by the path of its key', async (t) => {
  const of = (kernel: unknown): unknown => ({ kernels: { mine: kernel } });
  const whole = { image: 'a', buildDir: 'b' };
  for (const [value, message, hint] of [
    [{ kernel: {} }, 'f: kernel: there is no such key', 'did you mean kernels? Keys: kernels'],
    [{ kernels: [] }, /^f: kernels: /],
    [of({ ...whole, imgae: 'x' }), 'f: kernels.mine.imgae: there is no such key', /did you mean image\?/],
    [of({ image: 'a' }), /^f: kernels\.mine\.buildDir: /],
    [of({ ...whole, machine: 'mt2732' }), /^f: kernels\.mine\.machine: .*mt2731/],
    [of({ ...whole, toolchain: 3 }), /^f: kernels\.mine\.toolchain: /],
    [of({ source: 's', config: [] }), /^f: kernels\.mine\.config: /],
    [of({ source: 's', config: ['base'], image: 'a' }), 'f: kernels.mine.image: there is no such key'],
    [of(3), /^f: kernels\.mine: /],
    [{ kernels: { 'a b': whole } }, /^f: kernels\.a b: a name has letters/],
    [undefined, /^f: what it exports: /],
  ] as const) {
    t.throws(() => parseKlpConfig(value, 'f'), { name: 'UsageError', message, ...(hint === undefined ? {} : { hint }) });
  }
  // A file that was loaded once is not read again.
  for (const [name, text, message] of [
    ['none', 'export const kernels = {};', /klp\.config\.ts has no default export$/],
    ['broken', 'export default {', /klp\.config\.ts: /],
  ] as const) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'klp.config.ts'), text);
    t.match((await complaint(namedKernels(join(folder, name)))).message, message);
  }
});
