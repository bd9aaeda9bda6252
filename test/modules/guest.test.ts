// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Guest, type Task, calls, must } from '../../harness/guest/guest.js';
import { gateOf, livepatch, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { Bench } from '../../harness/runner/bench.js';
import { kernelFacts, staticFacts } from '../../harness/runner/probe.js';
import { findKernel } from '../../kernels/catalogue.js';
import { patience } from '../vm/stock.js';

/* What the C of the modules does, tried without the model. */

t.setTimeout(patience * 2);

const lib = target('klp_target');
const other = target('klp_other');
const failing = target('klp_failing', { failing: true });
const functions = ['klp_target_alpha', 'klp_target_beta', 'klp_common', { name: 'klp_target_twin', sympos: 2 }];
const patch = livepatch('klp_patch', { klp_target: functions }, { uses: [gateOf(lib)] });
const driven = livepatch('klp_driven', { vmlinux: ['cmdline_proc_show'] }, { driven: true, marked: 'N' });
const modules = [lib, other, failing, patch, driven];

async function withModules(kernel: NonNullable<Parameters<typeof staticFacts>[0]>, bench: Bench): Promise<void> {
  const facts = await kernelFacts(kernel, await staticFacts(kernel), bench);
  const built = await buildModules({ kernel, ...facts }, modules, () => undefined);
  const files = modules.map((module) => {
    const file = built.get(moduleKey(module));
    if (!file || 'error' in file) throw file?.error ?? new Error(`${module.name} was not built`);
    return { name: `${module.name}.ko`, file: file.file };
  });
  await bench.guest.push('/tmp/m', files);
}

async function tryOn(t: Test, name: string): Promise<void> {
  const kernel = await (await findKernel(name)).cached();
  if (!kernel) {
    t.pass(name, { skip: 'it is not in the cache' });
    return;
  }
  const { signal } = new AbortController();
  const bench = await Bench.start({ kernel, accel: 'tcg', progress: () => undefined, signal, bootDeadline: patience });
  t.teardown(() => bench[Symbol.asyncDispose]());
  await withModules(kernel, bench);
  const { guest } = bench;
  const insmod = async (m: { readonly name: string }): Promise<string> => (await guest.insmod(`/tmp/m/${m.name}.ko`)).name;
  const wrote = async (path: string, text: string): Promise<string> => (await guest.write(path, text)).name;
  const text = async (path: string): Promise<string> => {
    const read = await guest.readText(path);
    return read.ok ? read.value.trim() : read.name;
  };
  const say = async (): Promise<readonly string[]> =>
    Promise.all(['alpha', 'beta', 'quiet', 'twin1', 'twin2', 'common'].map((key) => text(`/proc/klp_target/${key}`)));
  const ask = async ({ pid }: { readonly pid: number }, symbol: string): Promise<string> => {
    const [outcome] = must(await guest.batch([calls.io('/proc/klp_target/ask', { write: `${pid} ${symbol}`, read: 80 })]), 'ask');
    return outcome.ok ? outcome.value.data.toString().trim() : outcome.name;
  };
  const atRest = async (of: { readonly name: string }): Promise<void> => {
    must(await guest.awaitContent(`/sys/kernel/livepatch/${of.name}/transition`, '0\n', 60_000), 'end of the transition');
  };

  await t.test('a target says who is called, and one that fails leaves nothing', async (t) => {
    t.equal(await insmod(lib), 'OK');
    t.strictSame(await say(), Array(6).fill('original'));
    t.equal(await insmod(failing), 'ENODEV');
    t.equal(await text('/proc/klp_failing/alpha'), 'ENOENT');
  });

  await t.test('a sleeper is asked to call functions, and sleeps on where it did', async (t) => {
    const parked = await park(guest, 'uninterruptible 3');
    const stack = async (): Promise<string> => must((await guest.stacks([parked.pid]))[0] ?? failed(), 'stack');
    const before = await stack();
    t.equal(await ask(parked, 'klp_target_quiet'), 'original');
    t.equal(await ask(parked, 'klp_target_alpha'), 'original', 'a function with a gate: it passes');
    t.equal(await ask(parked, 'klp_other_beta'), 'ENOENT');
    t.equal(await insmod(other), 'OK');
    t.equal(await ask(parked, 'klp_other_beta'), 'original', 'of a module that came later');
    t.equal((await guest.rmmod(other.name)).name, 'OK', 'no reference stays');
    t.equal(await ask({ pid: 1 }, 'klp_target_beta'), 'ESRCH');
    t.equal(await stack(), before);

    t.equal(await insmod(patch), 'OK');
    t.strictSame(await say(), ['klp_patch', 'klp_patch', 'original', 'original', 'klp_patch', 'klp_patch'], 'of the twins the second');
    t.equal(await ask(parked, 'klp_target_beta'), 'original', 'what is held calls what it did');
    t.equal(await wrote('/proc/klp_target/release', String(parked.pid)), 'OK');
    t.match(must(await guest.wait(parked, 60_000), 'end'), { outcome: { value: { data: Buffer.from('original\n') } } });
    await atRest(patch);
  });

  await t.test('a probe in a replaced function is set, counted and removed', async (t) => {
    const place = '/proc/klp_target/probe';
    const hits = async (): Promise<string> => {
      await text('/proc/klp_target/alpha');
      return text(place);
    };
    t.equal(await wrote(place, 'inside alpha post'), 'OK');
    t.equal(await wrote(place, 'entry beta nopost'), 'EBUSY');
    t.equal(await hits(), '0', 'the function is not run');
    t.equal(await wrote(place, 'remove'), 'OK');
    t.equal(await wrote(place, 'remove'), 'ENOENT');
    for (const wrong of ['inside quiet post', 'outside alpha post', 'entry alpha']) t.equal(await wrote(place, wrong), 'EINVAL', wrong);
    t.equal(await wrote('/sys/kernel/livepatch/klp_patch/enabled', '0'), 'OK');
    must(await guest.awaitGone('/sys/kernel/livepatch/klp_patch', 60_000), 'end of the patch');
    for (const where of ['entry alpha nopost', 'entry alpha post', 'inside alpha nopost', 'return alpha nopost']) {
      t.equal(await wrote(place, where), 'OK', where);
      t.equal(await hits(), '1', where);
      t.equal(await wrote(place, 'remove'), 'OK');
    }
    t.equal(await wrote(place, 'entry beta post'), 'OK', 'one that stays goes with the module');
    must(await guest.rmmod(lib.name), 'unloading the target');
  });

  await t.test('a driven module calls livepatch when it is told to', async (t) => {
    const api = '/proc/klp_driven/api';
    const root = '/sys/kernel/livepatch/klp_driven';
    t.equal(await insmod(driven), 'OK');
    t.equal(await text(`${root}/enabled`), 'ENOENT');
    t.equal(await wrote(api, 'enable null'), 'EINVAL');
    for (const call of ['register', 'disable', 'unregister']) t.equal(await wrote(api, `${call} first`), 'EOPNOTSUPP', call);
    for (const wrong of ['enable', 'enable third', 'hold it']) t.equal(await wrote(api, wrong), 'EINVAL', wrong);
    t.equal(await wrote(api, 'enable first'), 'OK');
    await atRest(driven);
    t.equal(await text('/proc/cmdline'), 'klp_driven');
    t.equal(await wrote(api, 'hold'), 'OK');
    t.equal(await wrote(`${root}/enabled`, '0'), 'OK');
    await atRest(driven);
    t.match(must(await guest.awaitGone(root, 1500), 'a second'), { came: false }, 'the directory stays as long as it is held');
    t.equal(await wrote(api, 'let-go'), 'OK');
    t.match(must(await guest.awaitGone(root, 60_000), 'end of the patch'), { came: true });
  });
}

async function park(guest: Guest, how: string): Promise<Task> {
  const call = calls.io('/proc/klp_target/alpha', { write: how, read: 80 });
  const task = must(await guest.spawn({ kind: 'op', name: 'klp-parked', call }), 'parking a task');
  while (!must((await guest.stacks([task.pid]))[0] ?? failed(), 'stack').includes('klp_target_alpha+')) await sleep(20);
  return task;
}

function failed(): never {
  throw new Error('no stack came');
}

void t.test('bookworm-x86_64', (t) => tryOn(t, 'stock'));
void t.test('built-7-arm64', (t) => tryOn(t, 'built-7-arm64'));
