// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { InfrastructureError } from '../../harness/errors.js';
import { unpackSource } from '../../kernels/built.js';
import { configure, parseConfig, untaken } from '../../kernels/kconfig.js';
import { withPlan, type Plan } from '../../kernels/plan.js';

await t.test('an option that is missing, refused or other than asked is named', (t) => {
  const fragment = 'CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=18\n# CONFIG_D is not set\nCONFIG_E=y\nCONFIG_F="-klp"\n';
  const config = 'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=17\nCONFIG_D=y\nCONFIG_F="-klp"\n';
  t.strictSame(untaken(fragment, config), [
    { option: 'CONFIG_C', wanted: '18', got: '17' },
    { option: 'CONFIG_D', wanted: 'n', got: 'y' },
    { option: 'CONFIG_E', wanted: 'y', got: undefined },
  ]);
  t.end();
});

await t.test('a configuration takes itself, and of two lines the later counts', (t) => {
  const name = fc.stringMatching(/^CONFIG_[A-Z0-9_]{1,8}$/);
  const value = fc.oneof(fc.constantFrom('y', 'n', 'm', '0x1'), fc.nat().map(String));
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), (options) => {
      const text = options
        .map(([n, v]) => (v === 'n' ? `# ${n} is not set` : `${n}=${v}`))
        .join('\n');
      t.strictSame(untaken(text, text), []);
      t.strictSame(parseConfig(text), new Map(options));
    }),
  );
  t.end();
});

await t.test('a real kernel source says which option it does not take', { timeout: 900_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'klp-kconfig-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const plan: Plan = {
    suite: 'trixie-backports',
    key: 'source linux-source-7.*',
    find: async (find) => [await find('linux-source-7.*', 'amd64')],
  };
  const progress = (): void => undefined;
  const tree = await withPlan(plan, progress, async ([source], root) => {
    if (!source) throw new Error('no source');
    // What Kconfig reads, not the rest.
    return unpackSource(folder, source, root, progress, ['Makefile', 'Kconfig*', '*/Kconfig*', 'scripts/*', '*/Makefile*']);
  });
  const error: unknown = await configure({ source: tree, objects: tree }, 'arm64', { crossCompile: 'aarch64-linux-gnu-', version: 'gcc' }, [
    'CONFIG_MODULES=y\nCONFIG_KLP_NO_SUCH_OPTION=y',
    '# without KALLSYMS_ALL\nCONFIG_LIVEPATCH=y',
  ]).then(() => undefined, (e: unknown) => e);
  t.type(error, InfrastructureError);
  t.match(error, {
    message: 'the kernel configuration did not take CONFIG_KLP_NO_SUCH_OPTION, CONFIG_LIVEPATCH',
    details: ['CONFIG_KLP_NO_SUCH_OPTION: asked for y, got nothing', 'CONFIG_LIVEPATCH: asked for y, got nothing'],
  });
});
