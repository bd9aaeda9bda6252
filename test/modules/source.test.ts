// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { type LivepatchDescription, type PatchedObject, livepatch, target } from '../../harness/model/description.js';
import { livepatchSource } from '../../harness/modules/source.js';
import { targetSource } from '../../harness/modules/target.js';
import { withTemplates } from '../../harness/modules/template.js';

const later = (patch: LivepatchDescription): string => livepatchSource(patch, 'enable-only');

void t.test('what is null or missing is left out, for the kernel to find NULL there', (t) => {
  const none = later(livepatch('klp_none', null));
  t.notMatch(none, /klp_func|klp_object|\.objs/);
  t.match(none, /static struct klp_patch patch = \{\n\t\.mod = THIS_MODULE,\n\};/);
  t.match(later(livepatch('klp_orphan', {}, { orphan: true })), /static struct klp_patch patch = \{\n\t\.objs = objects,\n\};/);
  const objects = later(livepatch('klp_objects', { m: null, n: [] }));
  t.match(objects, /\{ \.name = "m" \},\n\t\{ \.name = "n", \.funcs = functions_1 \},\n\t\{ \}\n\};/);
  t.match(objects, /functions_1\[\] = \{\n\t\{ \}\n\};/, 'an empty array has its end only');
  const functions = [{ name: null }, { name: 'f', replacement: 'missing' }, { name: 'g', replacement: 'nowhere' }] as const;
  const source = later(livepatch('klp_functions', { m: functions }));
  t.match(source, /\t\{ \.new_func = replacement_0 \},\n\t\{ \.old_name = "f" \},\n\t\{ \.old_name = "g", \.new_func = \(void \*\)8 \},/);
  t.notMatch(source, /replacement_[12]/, 'and no function is made that nothing uses');
  t.end();
});

void t.test('objects and functions by any name, and twice', (t) => {
  const literal = (name: string): PatchedObject => ({ name, functions: ['f', 'f'].map((f) => ({ name: f })), literal: true });
  const named = later(livepatch('klp_named', [literal('vmlinux'), { name: 'vmlinux', functions: [] }, literal('zfs.ko'), literal('zfs.ko')]));
  const names = [...named.matchAll(/^\t\{ (?:\.name = "(.*)", )?\.funcs = functions_(\d)/gm)].map(([, name, index]) => [name, index]);
  t.strictSame(names, [['vmlinux', '0'], [undefined, '1'], ['zfs.ko', '2'], ['zfs.ko', '3']]);
  t.equal(named.match(/\.old_name = "f"/g)?.length, 6);
  const long = 'x'.repeat(200);
  t.match(later(livepatch('klp_long', { [long]: [long] })), new RegExp(`old_name = "${long}"[^]*\\.name = "${long}"`));
  t.end();
});

void t.test('immediate, and the value of the modinfo field', (t) => {
  const immediate = livepatch('klp_now', { m: [{ name: 'f', immediate: true }, 'g'] }, { immediate: true, marked: 'N' });
  for (const dialect of ['registration', 'marked'] as const) t.match(livepatchSource(immediate, dialect), /MODULE_INFO\(livepatch, "N"\);/);
  const source = livepatchSource(immediate, 'registration');
  t.match(source, /"f", \.new_func = replacement_0, \.immediate = true \}/);
  t.match(source, /\.objs = objects,\n\t\.immediate = true,\n\};/);
  t.equal(source.match(/immediate/g)?.length, 2);
  t.end();
});

void t.test('a patch that replaces', (t) => {
  t.match(later(livepatch('klp_all', { m: ['f'] }, { replace: true })), /\.objs = objects,\n\t\.replace = true,\n\};/);
  t.notMatch(later(livepatch('klp_one', { m: ['f'] })), /replace =/);
  t.end();
});

void t.test('callbacks', (t) => {
  const objects = [
    { name: 'vmlinux', functions: [], callbacks: ['pre_patch', 'post_unpatch'] },
    { name: 'm', functions: [], callbacks: ['pre_patch'], failing: true },
    { name: 'n', functions: [] },
  ] as const;
  const source = later(livepatch('klp_calls', objects));
  t.match(source, /\{ \.funcs = functions_0, \.callbacks = \{ \.pre_patch = pre_patch_0, \.post_unpatch = post_unpatch_0 \} \},/);
  t.match(source, /static void post_unpatch_0\(struct klp_object \*obj\)\n\{\n\tcallback\(obj, "post_unpatch"\);\n\}/);
  t.match(source, /static int pre_patch_1\(struct klp_object \*obj\)\n\{\n\tcallback\(obj, "pre_patch"\);\n\treturn -ENODEV;\n\}/);
  t.match(source, /\.name = "n", \.funcs = functions_2 \},/);
  t.notMatch(later(livepatch('klp_none', { m: ['f'] })), /callback/);
  t.end();
});

void t.test('system states', (t) => {
  const source = later(livepatch('klp_states', {}, { states: [{ id: 1, version: 2 }] }));
  t.match(source, /klp_state states\[\] = \{\n\t\{ \.id = 1, \.version = 2 \},\n\t\{ \}\n\};[^]*\.states = states,\n\};/);
  const keeping = later(livepatch('klp_keeping', [{ name: 'vmlinux', functions: [], callbacks: ['pre_patch'] }], { states: [{ id: 1, version: 2 }] }));
  t.equal(keeping.split('klp_state states[] = {').length, 2, 'one table');
  t.match(keeping, /klp_state states\[\][^]*#include "states\.h"[^]*take_over\(\);[^]*pre_patch_0\(/, 'which callbacks keep something in');
  t.notMatch(source, /states\.h/);
  t.end();
});

void t.test('a driven module calls livepatch from its file only', async (t) => {
  const driven = livepatch('klp_driven', { m: ['f'] }, { driven: true });
  for (const dialect of ['registration', 'enable-only'] as const) {
    const source = livepatchSource(driven, dialect);
    t.notMatch(source, /klp_\w+_patch\(/, 'neither init nor exit');
    const whole = await withTemplates(source);
    t.notMatch(whole, /#include "/);
    t.equal(whole.match(/struct proc_dir_entry \*directory;/g)?.length, 1);
    t.equal(/^#define REGISTRATION$/m.test(whole), dialect === 'registration');
  }
});

void t.test('a module that calls for shadow variables', async (t) => {
  const calls = livepatch('klp_calls', { m: ['f'] }, { shadow: true });
  const source = later(calls);
  t.match(source, /patch_enter\(void\)\n\{\n\treturn klp_enable_patch\(&patch\);\n\}/);
  t.match(source, /int ret = make_shadow\(\) \? patch_enter\(\) : -ENOMEM;/);
  t.match(livepatchSource(calls, 'registration'), /patch_exit\(void\)\n\{\n\tWARN_ON\(klp_unregister_patch\(&patch\)\);\n\tremove_files\(\);\n\}/);
  t.notMatch(livepatchSource(calls, 'marked'), /shadow/);
  const driven = await withTemplates(later({ ...calls, driven: true }));
  t.match(driven, /int ret = make_api\(\) && make_shadow\(\) \? 0 : -ENOMEM;/);
  t.equal(driven.match(/struct proc_dir_entry \*directory;/g)?.length, 1);
});

void t.test('a template that is included twice stands there once', async (t) => {
  const whole = await withTemplates('a\n#include "proc.h"\n#include <linux/module.h>\n#include "proc.h"\nb');
  t.equal(whole.match(/define PROC_OPS struct proc_ops/g)?.length, 1);
  t.match(whole, /^a\n[^]*\n#include <linux\/module\.h>\nb$/);
  await t.rejects(withTemplates('#include "none.h"'), { code: 'ENOENT' });
});

void t.test('a target module knows its name, and whether its init fails', async (t) => {
  const sound = await targetSource(target('klp_x'));
  t.match(sound, /^\/\/ SPDX-License-Identifier: GPL-2\.0-only\n#define TARGET klp_x\n\/\*/);
  t.match(await targetSource(target('klp_x', { failing: true })), /\n#define TARGET klp_x\n#define FAILING\n\/\*/);
});

const someFunction = fc.record(
  {
    name: fc.constantFrom('f', 'g', 'cmdline_proc_show', null),
    sympos: fc.nat(3),
    immediate: fc.constant(true as const),
    replacement: fc.constantFrom('missing' as const, 'nowhere' as const),
  },
  { requiredKeys: ['name'] },
);
const someObject = fc.record(
  {
    name: fc.constantFrom('m', 'n', 'vmlinux'),
    functions: fc.option(fc.array(someFunction, { maxLength: 4 })),
    literal: fc.constant(true as const),
  },
  { requiredKeys: ['name', 'functions'] },
);

void t.test('property: every replacement and table that is used is there once, and none that is not', (t) => {
  fc.assert(
    fc.property(fc.option(fc.array(someObject, { maxLength: 4 })), (objects) => {
      const source = later(livepatch('klp_any', objects));
      const used = [...source.matchAll(/\.(?:new_func|funcs|objs) = (\w+)/g)].map(([, name]) => name).sort();
      const made = [...source.matchAll(/^static .*\b(\w+)(?:\(.*\)|\[\] = \{)$/gm)].map(([, name]) => name);
      t.strictSame(made.filter((name) => !name?.startsWith('patch_')).sort(), used);
      const functions = (objects ?? []).flatMap((o) => o.functions ?? []);
      t.equal([...source.matchAll(/\.old_name = /g)].length, functions.filter((f) => f.name !== null).length);
    }),
    { numRuns: 100 },
  );
  t.end();
});
