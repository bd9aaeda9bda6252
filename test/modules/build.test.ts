// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { klpSections, klpSymbols, modinfo, readObject } from '../../harness/elf/index.js';
import { gateOf, livepatch, plain, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { ModuleBuildError, kbuild } from '../../harness/modules/kbuild.js';
import { livepatchSource } from '../../harness/modules/source.js';
import type { AcquiredKernel } from '../../kernels/types.js';
import { stockKernel } from '../e2e/kernel.js';

const kernel: AcquiredKernel = await stockKernel();
const lib = target('klp_target');
const kallsyms = [{ name: 'saved_command_line', address: 0xffffffff81000000n }];
const facts = { kernel, dialect: 'enable-only' as const, kallsyms };
const uses = [{ object: 'vmlinux', name: 'saved_command_line' }];
const relocated = livepatch('klp_relocated', { vmlinux: ['cmdline_proc_show'] }, { uses });
const quiet = (): void => undefined;

void t.test('the source of a patch, by dialect', (t) => {
  const registration = livepatchSource(relocated, 'registration');
  t.match(registration, /ret = klp_register_patch\(&patch\);[^]*ret = klp_enable_patch\(&patch\);[^]*klp_unregister_patch/);
  const later = livepatchSource(relocated, 'enable-only');
  t.match(later, /return klp_enable_patch\(&patch\);/);
  t.notMatch(later, /register/);
  const marked = livepatchSource(relocated, 'marked');
  t.notMatch(marked, /livepatch\.h|klp_func/, 'a kernel without livepatch declares nothing');
  for (const source of [registration, later, marked]) {
    t.match(source, /^\/\/ SPDX-License-Identifier: GPL-2\.0-only\n/);
    t.match(source, /MODULE_INFO\(livepatch, "Y"\);/);
  }
  const positions = livepatchSource(livepatch('klp_two', { m: ['f', { name: 'g', sympos: 2 }] }), 'enable-only');
  t.match(positions, /\.old_name = "f", \.new_func = replacement_0 \}/);
  t.match(positions, /\.old_name = "g", \.new_func = replacement_1, \.old_sympos = 2 \}/);
  t.match(positions, /\{ \.name = "m", \.funcs = functions_0 \}/);
  t.end();
});

void t.test('modules built for a stock kernel', async (t) => {
  const gated = livepatch('klp_gated', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });
  const misnamed = livepatch('klp_misnamed', { vmlinux: ['cmdline_proc_show'] }, { uses, fault: 'EF-09' });
  const unmarked = livepatch('klp_unmarked', { vmlinux: ['cmdline_proc_show'] }, { fault: 'EF-01' });
  const own = plain('klp_own', '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("as written");\n');
  const built = await buildModules(facts, [lib, relocated, gated, misnamed, unmarked, own], quiet);
  const object = async (m: Parameters<typeof moduleKey>[0]): Promise<ReturnType<typeof readObject>> => {
    const module = built.get(moduleKey(m));
    if (!module || 'error' in module) throw module?.error ?? new Error(`${m.name} is missing`);
    return readObject(await readFile(module.file));
  };
  t.match(modinfo(await object(relocated), 'vermagic'), new RegExp(`^${kernel.release.replaceAll('.', '\\.')} `));
  const symbols = klpSymbols(await object(relocated)).map((s) => s.symbol.name);
  t.strictSame(symbols, ['.klp.sym.vmlinux.saved_command_line,0']);
  const sections = klpSections(await object(relocated));
  t.ok(sections.length > 0 && sections.every((s) => s.flagged && s.parsed?.object === 'vmlinux'));
  t.ok(klpSections(await object(gated)).every((s) => s.parsed?.object === 'klp_target'), 'sections of a module object');
  t.ok(klpSections(await object(misnamed)).some((s) => s.parsed === undefined), 'the fault is in');
  t.equal(modinfo(await object(unmarked), 'livepatch'), undefined);

  t.equal(modinfo(await object(own), 'description'), 'as written');

  const begin = { compiled: false };
  await buildModules(facts, [lib, relocated], () => (begin.compiled = true));
  t.equal(begin.compiled, false, 'a second time they come from the cache');
});

void t.test('two modules of one name, and one that does not compile, keep no other from being built', async (t) => {
  const first = livepatch('klp_same', { vmlinux: ['cmdline_proc_show'] });
  const second = livepatch('klp_same', { vmlinux: ['another_function'] });
  const broken = livepatch('klp_broken', { vmlinux: ['"; not C'] });
  const built = await buildModules(facts, [first, second, broken], quiet);
  for (const m of [first, second]) t.match(built.get(moduleKey(m)), { file: /module\.ko$/ });
  const failed = built.get(moduleKey(broken));
  if (!failed || !('error' in failed)) return void t.fail('it cannot have been built');
  t.match(failed.error.message, /^kbuild of klp_broken for .* failed$/);
  t.ok(failed.error.details.some((line) => /^klp_broken\.c:\d+:\d+: error: /.test(line)), failed.error.details.join('\n'));
});

void t.test('a symbol that is neither exported nor converted is refused here, not in the guest', async (t) => {
  const none = { ...facts, kallsyms: [] };
  const built = await buildModules(none, [relocated], quiet);
  const failed = built.get(moduleKey(relocated));
  t.match(failed, { error: { message: /no symbol saved_command_line in vmlinux/ } });
});

void t.test("a failed kbuild shows the compiler's lines", async (t) => {
  const source = 'int init_module(void) { return undeclared; }\n';
  await t.rejects(kbuild(kernel, [{ name: 'broken', source }], () => Promise.resolve()), {
    message: /^kbuild of broken for /,
    hint: /the build directory is /,
  });
  const error = await kbuild(kernel, [{ name: 'broken', source }], () => Promise.resolve()).catch((e: unknown) => e);
  if (!(error instanceof ModuleBuildError)) return void t.fail('another error');
  t.ok(error.details.some((line) => line.startsWith('broken.c:1:') && line.includes('undeclared')));
  t.notOk(error.details.some((line) => line.includes('node:')), 'no stack trace');
});
