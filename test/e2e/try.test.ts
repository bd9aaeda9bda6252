// SPDX-License-Identifier: MIT
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readObject, withModinfo, writeObject } from '../../harness/elf/index.js';
import { gateOf, livepatch, plain, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { type TrialResult, trialSchema } from '../../harness/report/trial-schema.js';
import { Bench } from '../../harness/runner/bench.js';
import { kernelFacts, staticFacts } from '../../harness/runner/probe.js';
import { type Ended, klp } from '../cli/klp.js';
import { patience } from '../vm/stock.js';
import { stockKernel, stockName } from './kernel.js';
import { isAlive, qemusOf } from './processes.js';

/*
 * `klp try` from outside, with modules as a user would bring them.
 */
t.setTimeout(patience * 2);

/** A livepatch of the user's own C, whose replacement breaks the kernel that calls it. */
const breaking = plain(
  'klp_breaking',
  `#include <linux/module.h>
#include <linux/livepatch.h>
#include <linux/seq_file.h>
static int breaking(struct seq_file *m, void *v) { WRITE_ONCE(*(int *)8, 1); return 0; }
static struct klp_func funcs[] = { { .old_name = "cmdline_proc_show", .new_func = breaking }, { } };
static struct klp_object objs[] = { { .funcs = funcs }, { } };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objs };
static int first(void) { return klp_enable_patch(&patch); }
static void last(void) { }
module_init(first);
module_exit(last);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
`,
);
/** One that can come but not go: it has no exit function. */
const staying = plain('klp_staying', breaking.source.replace(/static void last.*\nmodule_init\(first\);\nmodule_exit\(last\);/, 'module_init(first);'));
const lib = target('klp_target');
const modules = {
  target: lib,
  sound: livepatch('klp_sound', { vmlinux: ['cmdline_proc_show'] }),
  newer: livepatch('klp_newer', { vmlinux: ['cmdline_proc_show'] }, { replace: true }),
  held: livepatch('klp_held', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] }),
  missing: livepatch('klp_missing', { vmlinux: ['no_such_function'] }),
  plain: plain('klp_plain', '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'),
  breaking,
  staying,
};

const folder = t.testdir({});
await build();

/** Compiles them for the stock kernel, and leaves them where a user has them. */
async function build(): Promise<void> {
  const kernel = await stockKernel();
  const { signal } = new AbortController();
  await using bench = await Bench.start({ kernel, accel: 'auto', progress: () => undefined, signal, bootDeadline: patience });
  const facts = await kernelFacts(kernel, await staticFacts(kernel), bench);
  const built = await buildModules({ kernel, ...facts }, Object.values(modules), () => undefined, signal);
  for (const description of Object.values(modules)) {
    const module = built.get(moduleKey(description));
    if (!module || 'error' in module) throw new Error(`module ${description.name}: ${module?.error.message ?? 'not built'}`);
    copyFileSync(module.file, join(folder, `${description.name}.ko`));
  }
}

interface Tried extends Ended {
  readonly trial: TrialResult | undefined;
  readonly page: string;
}

async function attempt(...words: readonly string[]): Promise<Tried> {
  const output = join(folder, `out-${readdirSync(folder).length}`);
  const ended = await klp(['try', ...words, '--kernel', stockName, '--output', output], { cwd: folder, timeout: patience });
  try {
    const trial = trialSchema.parse(JSON.parse(readFileSync(join(output, 'evidence.json'), 'utf8')));
    return { ...ended, trial, page: readFileSync(join(output, 'evidence.md'), 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { ...ended, trial: undefined, page: '' };
  }
}

void t.test('a sound patch comes and goes, twice', async (t) => {
  const { status, stdout, stderr, trial, page } = await attempt('klp_sound.ko', '--exercise', 'grep klp_sound /proc/cmdline');
  t.equal(status, 0, `${stdout}${stderr}`);
  t.match(trial, { verdict: 'clean', reasons: [] });
  t.match(stdout, /klp_sound on \S+ \(\S+\): applies and reverts cleanly$/m);
  t.equal(trial?.transitions.length, 4, 'to the new code and back, twice');
  t.ok(trial?.transitions.every((x) => x.ended !== null && x.ended >= 0), 'each was seen to end');
  t.ok(trial?.steps.some((s) => s.what === 'klp_sound replaces in vmlinux' && s.outcome === 'cmdline_proc_show,1'));
  t.match(page, /^# klp\\_sound: applies and reverts cleanly$/m);
});

void t.test('a sleeper holds it: who, where, and the way back', async (t) => {
  const sleeper = `(printf 'uninterruptible 3 user' > /proc/klp_target/alpha) > /dev/null 2>&1 < /dev/null & sleep 1`;
  const { status, stdout, trial } = await attempt('klp_held.ko', '--target', 'klp_target.ko', '--before', sleeper, '--patience', '1');
  t.equal(status, 1, stdout);
  t.match(trial, { verdict: 'held', reasons: ['the transition of klp_held to patched does not end'] });
  const held = trial?.steps.find((s) => s.outcome === 'held');
  t.match(held?.lines.join('\n'), /klp_held is being patched.*: 1 of \d+ threads hold it\n.*, asleep, cannot be woken by signals, in klp_target_alpha/);
  t.ok(trial?.transitions[0]?.threads.some((x) => x.switched === null), 'the one that never switched');
  t.ok(trial?.steps.some((s) => s.what.startsWith('write 0') && s.outcome === 'the patch is gone'));
});

void t.test('relocations lead where they should; a target that comes later', async (t) => {
  const { status, stdout, trial } = await attempt('klp_held.ko', '--target-later', 'klp_target.ko', '--stress');
  t.equal(status, 0, stdout);
  const outcomes = trial?.steps.filter((s) => s.what === 'klp_held replaces in klp_target').map((s) => s.outcome);
  t.match(outcomes?.slice(0, 2), ['nothing yet, klp_target is not loaded (klp_target_alpha,1)', 'klp_target_alpha,1']);
  const symbols = trial?.steps.filter((s) => s.what === 'relocation symbols of klp_held').map((s) => s.outcome);
  t.match(symbols?.slice(0, 2), ["0 of 1 lead where they should, 1 can't be told (the object is not loaded)", '1 of 1 lead where they should']);
});

void t.test('an upgrade: the newer one replaces the older', async (t) => {
  const { status, stdout, trial } = await attempt('klp_sound.ko', 'klp_newer.ko', '--exercise', 'grep klp_newer /proc/cmdline');
  t.equal(status, 0, stdout);
  t.ok(trial?.steps.some((s) => s.what.startsWith('klp_sound, which was there') && s.outcome === 'is replaced'));
});

void t.test('one that the kernel refuses', async (t) => {
  const { status, trial } = await attempt('klp_missing.ko', '--no-lint');
  t.equal(status, 1);
  t.match(trial, { verdict: 'refused', reasons: [/^the kernel refuses klp_missing: insmod ends with E/] });
  const step = trial?.steps.find((s) => s.what === 'insmod klp_missing');
  t.match(step?.lines.join('\n'), /symbol 'no_such_function' not found/, "the kernel's own words");
});

void t.test('one whose replacement breaks the kernel', async (t) => {
  const { status, trial } = await attempt('klp_breaking.ko', '--exercise', 'cat /proc/cmdline');
  t.equal(status, 1);
  t.match(trial, { verdict: 'crashed', reasons: [/the kernel broke: .*NULL pointer/] });
  t.ok(trial?.log.some((text) => text.includes('breaking')), 'with the call that did it');
});

void t.test('an exercise that fails is a finding', async (t) => {
  const { status, trial } = await attempt('klp_sound.ko', '--exercise', 'echo no luck; exit 7');
  t.equal(status, 1);
  t.match(trial, { verdict: 'unclean', reasons: ['--exercise ends with status 7'] });
  t.same(trial?.steps.find((s) => s.what.startsWith('exercise'))?.lines, ['no luck']);
});

void t.test('one that cannot be unloaded, and why', async (t) => {
  const { status, stdout, trial } = await attempt('klp_staying.ko');
  t.equal(status, 1, stdout);
  t.match(trial, { verdict: 'unclean', reasons: ['klp_staying cannot be unloaded: rmmod ends with EBUSY; it has no exit function, and the kernel keeps such a module for good'] });
  t.match(trial?.sysfs[0], { when: 'with klp_staying in place', lines: ['klp_staying/', 'klp_staying/enabled: 1'] });
});

void t.test('one for another kernel: known before, and refused when it is tried all the same', async (t) => {
  const module = readObject(readFileSync(join(folder, 'klp_sound.ko')));
  writeFileSync(join(folder, 'klp_foreign.ko'), writeObject(withModinfo(module, 'vermagic', '4.14.0 SMP mod_unload ')));
  t.match(await attempt('klp_foreign.ko'), { status: 2, stderr: /klp_foreign\.ko is for another kernel than .*: vermagic '4\.14\.0 SMP mod_unload' should be / });
  const tried = await attempt('klp_foreign.ko', '--no-lint');
  t.match(tried, { status: 1, trial: { verdict: 'refused', reasons: ['the kernel refuses klp_sound: insmod ends with ENOEXEC'] } });
});

void t.test('what is no livepatch, no module, or two of one name', async (t) => {
  writeFileSync(join(folder, 'text.ko'), 'no ELF');
  const none = await attempt('klp_plain.ko');
  t.match(none, { status: 2, stderr: /klp_plain\.ko is no livepatch.*\n.*--target/ });
  t.match(await attempt('text.ko'), { status: 2, stderr: /text\.ko is no module: / });
  t.match(await attempt('nowhere.ko'), { status: 2, stderr: /nowhere\.ko/ });
  t.match(await attempt('klp_sound.ko', 'klp_sound.ko'), { status: 2, stderr: /two of the modules are named klp_sound/ });
});

void t.test('Ctrl-C ends it, and its QEMU', async (t) => {
  let qemus: number[] = [];
  let pid = 0;
  const ended = await klp(['try', 'klp_sound.ko', '--kernel', stockName, '--exercise', 'sleep 600', '--output', 'cut'], {
    cwd: folder,
    timeout: patience,
    onStart: (child) => (pid = child.pid ?? 0),
    onOutput: (text) => {
      if (qemus.length > 0 || !text.includes('klp_sound replaces in vmlinux')) return;
      qemus = qemusOf(pid);
      process.kill(pid, 'SIGINT');
    },
  });
  t.equal(ended.status, 130, ended.stderr);
  t.ok(qemus.length > 0 && !qemus.some(isAlive), 'there was a QEMU, and there is none left');
});
