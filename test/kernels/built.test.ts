// SPDX-License-Identifier: MIT
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { InfrastructureError } from '../../harness/errors.js';
import { host } from '../../harness/host.js';
import { findKernel } from '../../kernels/catalogue.js';
import { compile, type Compilation } from '../../kernels/compile.js';
import { parseConfig } from '../../kernels/kconfig.js';
import { requireTools } from '../../kernels/toolchain.js';

const toolchain = { crossCompile: '', version: 'gcc' };
function compilation(folder: string, log: string): Compilation {
  const tree = { source: folder, objects: folder };
  return { name: 'built-0', arch: 'arm64', tree, toolchain, from: 'linux-source-0 0-1', stamp: '0-1', log };
}

await t.test('a build that fails shows its last lines and keeps its log', { timeout: 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'klp-built-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(
    join(folder, 'Makefile'),
    'Image modules:\n\t@for i in $$(seq 100); do echo "  CC      part$$i.o"; done; echo "part.c:1: error: no" >&2; exit 1\n',
  );
  const log = join(folder, 'logs', 'build.log');
  const said: string[] = [];
  const error: unknown = await compile(compilation(folder, log), (line) => said.push(line)).then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof InfrastructureError)) throw new Error(`no InfrastructureError but ${String(error)}`);
  t.equal(error.message, 'building built-0 failed');
  t.equal(error.hint, `the whole log is ${log}`);
  t.equal(error.details.length, 30);
  t.ok(error.details.some((line) => line.includes('part.c:1: error: no')));
  const text = await readFile(log, 'utf8');
  t.ok(text.includes('CC      part1.o') && text.includes('part.c:1: error: no'));
  t.match(said[0], /^building built-0 from linux-source-0 0-1: 0 objects, 0:00$/);
});

await t.test('missing tools are all named at once, with the command that brings them', { timeout: 60_000 }, async (t) => {
  const missing = [
    { probe: ['klp-no-such-tool'], package: 'one' },
    { probe: ['true'], package: 'there' },
    { probe: ['false'], package: 'two' },
  ] as const;
  await t.rejects(requireTools(missing, 'building it'), {
    name: 'InfrastructureError',
    message: 'building it needs what this host lacks: one two',
    hint: 'apt-get install one two',
  });
});

// Building takes ten minutes: `make e2e ARCH=arm64` does it; here what it left is looked at.
const built = await (await findKernel('built-7-arm64')).cached();
await t.test(
  'the built kernel can livepatch, and modules are built for it',
  { timeout: 300_000, skip: built === undefined ? 'built-7-arm64 is not in the cache' : false },
  async (t) => {
    if (!built) return;
    const config = parseConfig(await readFile(built.config, 'utf8'));
    for (const option of ['LIVEPATCH', 'HAVE_RELIABLE_STACKTRACE', 'DYNAMIC_FTRACE_WITH_ARGS', 'KALLSYMS_ALL', 'SYSCTL']) {
      t.equal(config.get(`CONFIG_${option}`), 'y', option);
    }
    t.match(built, { arch: 'arm64', origin: 'built', modulesDir: undefined });
    t.match(built.release, /^7\.\d+\.\d+-klp$/);
    const folder = await mkdtemp(join(tmpdir(), 'klp-module-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'Makefile'), 'obj-m := nothing.o\n');
    await writeFile(
      join(folder, 'nothing.c'),
      '#include <linux/module.h>\n#include <linux/livepatch.h>\n' +
        'static struct klp_patch patch;\nstatic int start(void) { return klp_enable_patch(&patch); }\n' +
        'module_init(start);\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n',
    );
    const cross = `CROSS_COMPILE=${built.toolchain.crossCompile}`;
    await host('make', ['-C', built.buildDir, `M=${folder}`, 'ARCH=arm64', cross, 'modules'], { timeout: 200_000 });
    const vermagic = await host('modinfo', ['-F', 'vermagic', join(folder, 'nothing.ko')], { timeout: 30_000 });
    t.ok(vermagic.startsWith(`${built.release} `), vermagic);
  },
);
