// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Guest, type Task, calls, must } from '../../harness/guest/guest.js';
import { schedulerState } from '../../harness/guest/tasks.js';
import { gateOf, livepatch, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { Bench } from '../../harness/runner/bench.js';
import { interruption, preemptMode } from '../../harness/runner/preemption.js';
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
const driven = livepatch('klp_driven', { vmlinux: ['cmdline_proc_show'] }, { driven: true, shadow: true, marked: 'N' });
const shadow = livepatch('klp_shadow', {}, { shadow: true });
const modules = [lib, other, failing, patch, driven, shadow];

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
    const parked = await park(guest, 'uninterruptible 3 user');
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

  await t.test('a kernel thread stays in a function, asleep or running, until it is let go', async (t) => {
    for (const [activity, state] of [['uninterruptible', 'D'], ['interruptible', 'S'], ['running', 'R']] as const) {
      const [made] = must(await guest.batch([calls.io('/proc/klp_target/beta', { write: `${activity} 2 kernel`, read: 80 })]), 'batch');
      const tid = Number(must(made, activity).data.toString());
      const own = async (): Promise<readonly string[]> =>
        (await text('/proc/klp_target/sleepers')).split('\n').map((line) => line.split(' ')).find(([of]) => of === String(tid)) ?? [];
      await until(`${tid} in state ${state}`, async () => (await schedulerState(guest, tid)) === state);
      if (activity === 'running') {
        const [, , before] = await own();
        await until(`another turn of ${tid}`, async () => (await own())[2] !== before);
      }
      t.equal(await ask({ pid: tid }, 'klp_target_quiet'), 'original', activity);
      t.strictSame((await own()).slice(3), ['3'], 'as many frames as it was told, and the first');
      t.equal(await wrote('/proc/klp_target/release', String(tid)), 'OK');
      t.equal(await schedulerState(guest, tid), 'ENOENT', 'it is gone when the write returns');
      t.strictSame(await own(), []);
    }
    for (const wrong of ['uninterruptible 0', 'asleep 0 user', 'running 0 nobody', 'running 151 user', 'faulting 0 kernel', 'preempted 0 kernel']) {
      t.equal(await wrote('/proc/klp_target/beta', wrong), 'EINVAL', wrong);
    }
  });

  await t.test('a sleeper forks from where it is, and its child is gone soon', async (t) => {
    const fork = async (tid: number): Promise<string> => {
      const [outcome] = must(await guest.batch([calls.io('/proc/klp_target/fork', { write: String(tid), read: 80 })]), 'fork');
      return outcome.ok ? outcome.value.data.toString().trim() : outcome.name;
    };
    const gone = (child: number): Promise<void> =>
      until(`child ${child} gone`, async () => /^(Z|X|ENOENT|ESRCH)$/.test(await schedulerState(guest, child)));
    const parked = await park(guest, 'uninterruptible 0 user');
    const [made] = must(await guest.batch([calls.io('/proc/klp_target/beta', { write: 'interruptible 3 kernel', read: 80 })]), 'batch');
    const kernel = Number(must(made, 'a kernel thread').data.toString());
    for (const tid of [parked.pid, kernel, parked.pid]) {
      const said = await fork(tid);
      t.match(said, /^\d+ -1 0 -1 0$/, 'at rest');
      await gone(Number(said.split(' ')[0]));
      t.equal(await ask({ pid: tid }, 'klp_target_quiet'), 'original', 'the parent sleeps on');
    }
    t.equal(await fork(1), 'ESRCH');
    t.equal(await fork(0), 'ESRCH');
    for (const tid of [parked.pid, kernel]) t.equal(await wrote('/proc/klp_target/release', String(tid)), 'OK');
    t.match(must(await guest.wait(parked, 60_000), 'end'), { outcome: { value: { data: Buffer.from('klp_patch\n') } } }, 'it alone says so');
  });

  await t.test('an interrupt goes off over a task that runs, and over an idle CPU', async (t) => {
    const interrupt = async (words: string): Promise<string> => {
      const [outcome] = must(await guest.batch([calls.io('/proc/klp_target/interrupt', { write: words, read: 80 })]), 'interrupt');
      return outcome.ok ? outcome.value.data.toString().trim() : outcome.name;
    };
    const call = calls.io('/proc/klp_target/alpha', { write: 'running 0 user', read: 80 });
    const running = must(await guest.spawn({ kind: 'op', name: 'klp-running', call }), 'a task that runs');
    await until('it runs', async () => /^\d+ \d+ [1-9]/.test(await text('/proc/klp_target/sleepers')));
    t.equal(await interrupt(`${running.pid} klp_target_quiet`), '-1 original');
    t.equal(await interrupt(`${running.pid} klp_target_alpha`), '-1 klp_patch', 'it passes the gate');
    t.equal(await interrupt(`${running.pid} klp_target_nothing`), 'ENOENT');
    t.equal(await interrupt('4000000 klp_target_quiet'), 'ESRCH');
    t.equal(await interrupt('idle 7'), 'ENXIO');
    t.equal(await interrupt('idle'), 'EINVAL');
    t.equal(await wrote('/proc/klp_target/release', String(running.pid)), 'OK');
    must(await guest.wait(running, 60_000), 'end');
    for (const cpu of [0, 1]) t.equal(await interrupt(`idle ${cpu}`), '-1', `CPU ${cpu}`);
  });

  await t.test('a task sleeps in a page fault of the kernel until it is let go', async (t) => {
    const parked = await park(guest, 'faulting 1 user');
    t.match(must((await guest.stacks([parked.pid]))[0] ?? failed(), 'stack'), /handle_mm_fault\+[^]*replacement_0\+[^]*\[klp_patch\]/);
    t.equal(await schedulerState(guest, parked.pid), 'D');
    t.equal(await ask(parked, 'klp_target_quiet'), 'original');
    t.equal(await wrote('/proc/klp_target/release', String(parked.pid)), 'OK');
    t.match(must(await guest.wait(parked, 60_000), 'end'), { outcome: { value: { data: Buffer.from('klp_patch\n') } } });
  });

  await t.test('a task is preempted where it is, again and again, and is let go', async (t) => {
    // A kernel without the file does so always.
    const before = /\((\w+)\)/.exec(await text(preemptMode))?.[1];
    if (before !== undefined) t.equal(await wrote(preemptMode, 'full'), 'OK');
    const cpus = [0];
    const other = must(await guest.spawn({ kind: 'spin', name: 'klp-other', cpus }), 'a task that wants the CPU');
    const call = calls.io('/proc/klp_target/alpha', { write: 'preempted 1 user', read: 80 });
    const parked = must(await guest.spawn({ kind: 'op', name: 'klp-preempted', call, cpus }), 'a task that is preempted');
    const switches = async (kind: string): Promise<number> =>
      Number(new RegExp(`^${kind}_ctxt_switches:\\s*(\\d+)$`, 'm').exec(await text(`/proc/${parked.pid}/status`))?.[1]);
    await until('it is in there', async () => /^\d+ \d+ [1-9]/.test(await text('/proc/klp_target/sleepers')));
    const [gaveUp, lost] = [await switches('voluntary'), await switches('nonvoluntary')];
    await until('it has lost its CPU again', async () => (await switches('nonvoluntary')) > lost);
    t.equal(await switches('voluntary'), gaveUp, 'it gives up nothing');
    await until('an interrupt on its stack', async () => {
      const stack = must((await guest.stacks([parked.pid]))[0] ?? failed(), 'stack');
      return interruption.test(stack) && /replacement_0\+[^]*\[klp_patch\]/.test(stack);
    });
    t.equal(await ask(parked, 'klp_target_quiet'), 'original');
    t.equal(await wrote('/proc/klp_target/release', String(parked.pid)), 'OK');
    t.match(must(await guest.wait(parked, 60_000), 'end'), { outcome: { value: { data: Buffer.from('klp_patch\n') } } });
    must(await guest.kill(other.pid, 'SIGKILL'), 'kill');
    must(await guest.wait(other, 60_000), 'its end');
    if (before !== undefined) t.equal(await wrote(preemptMode, before), 'OK');
  });

  await t.test('a signal has the system call of an interruptible sleeper restarted', async (t) => {
    const parked = await park(guest, 'interruptible 1 user');
    const number = async (): Promise<number> => Number((await text('/proc/klp_target/sleepers')).split(' ')[1]);
    const before = await number();
    must(await guest.kill(parked.pid, 'SIGSTOP'), 'SIGSTOP');
    await until('the task stopped', async () => (await schedulerState(guest, parked.pid)) === 'T');
    t.equal(await text('/proc/klp_target/sleepers'), '', 'it has left');
    must(await guest.kill(parked.pid, 'SIGCONT'), 'SIGCONT');
    await until('the task back', async () => (await number()) > before);
    t.equal(await wrote('/proc/klp_target/release', String(parked.pid)), 'OK');
    t.match(must(await guest.wait(parked, 60_000), 'end'), { outcome: { value: { data: Buffer.from('klp_patch\n') } } });
  });

  await t.test('a probe in a replaced function is set, counted and removed', async (t) => {
    const place = '/proc/klp_target/probe';
    const hits = async (): Promise<string> => {
      await text('/proc/klp_target/alpha');
      return text(place);
    };
    t.equal(await wrote(place, 'inside alpha post'), 'OK');
    t.equal(await wrote(place, 'entry beta nopost'), 'EBUSY');
    t.equal(await hits(), '0 0', 'the function is not run');
    t.equal(await wrote(place, 'remove'), 'OK');
    t.equal(await wrote(place, 'remove'), 'ENOENT');
    for (const wrong of ['inside quiet post', 'outside alpha post', 'entry alpha']) t.equal(await wrote(place, wrong), 'EINVAL', wrong);
    t.equal(await wrote('/sys/kernel/livepatch/klp_patch/enabled', '0'), 'OK');
    must(await guest.awaitGone('/sys/kernel/livepatch/klp_patch', 60_000), 'end of the patch');
    for (const where of ['entry alpha nopost', 'entry alpha post', 'inside alpha nopost', 'return alpha nopost']) {
      t.equal(await wrote(place, where), 'OK', where);
      t.equal(await hits(), '1 0', where);
      t.equal(await wrote(place, 'remove'), 'OK');
    }
    for (const wrong of ['entry gate nopost', 'inside gate nopost']) t.equal(await wrote(place, wrong), 'EINVAL', wrong);
    t.equal(await wrote(place, 'return gate nopost'), 'OK');
    const parked = await park(guest, 'uninterruptible 0 user');
    t.equal(await text(place), '0 1', 'a call that has not returned');
    t.equal(await wrote('/proc/klp_target/release', String(parked.pid)), 'OK');
    must(await guest.wait(parked, 60_000), 'end');
    t.equal(await text(place), '1 0');
    t.equal(await wrote(place, 'remove'), 'OK');
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

  await t.test('a module calls for shadow variables, and says what came of it', async (t) => {
    const [own, others] = ['/proc/klp_driven/shadow', '/proc/klp_shadow/shadow'];
    const call = async (words: string, file = own): Promise<string> => {
      const name = await wrote(file, words);
      return name === 'OK' ? (await text(file)).replaceAll('\n', ', ') : name;
    };
    t.equal(await insmod(shadow), 'OK', 'an ordinary patch; the other one is driven');
    t.equal(await call('get 1 7 -'), 'returned NULL');
    t.equal(await call('free 1 7 destructor'), '');
    t.equal(await call('alloc 1 7 none'), 'returned 0');
    t.equal(await call('get 1 7 -', others), 'returned 0', 'both modules mean the same object');
    t.equal(await call('get_or_alloc 1 7 4', others), 'returned 0');
    t.equal(await call('get_or_alloc 40 4294967295 4', others), 'ran constructor 40=4, returned 4');
    t.equal(await call('alloc 0 7 fails'), 'ran constructor 0=failed, returned NULL');
    t.equal(await call('free_all 0 7 destructor'), 'ran destructor 1=0');
    t.equal(await call('free 40 4294967295 none'), '');
    t.equal(await text(others), 'ran constructor 40=4\nreturned 4', 'each keeps what its own last call came to');
    for (const wrong of ['get 1 7', 'got 1 7 -', 'alloc 1 7 four', 'race 1 7 17', 'race 1 7 0', 'race 1 7 -', 'get -1 x -']) {
      t.equal(await call(wrong), 'EINVAL', wrong);
    }
    const [, first, ...rest] = /^begun \d+, ran constructor 2=(\d+), (.*)$/.exec(await call('race 2 7 16')) ?? [];
    t.strictSame(rest, [Array(16).fill(`returned ${first}`).join(', ')]);
    t.equal(await call('race 2 7 3'), Array(3).fill(`returned ${first}`).join(', '), 'no constructor, and no waiting');
    t.equal(await wrote('/sys/kernel/livepatch/klp_shadow/enabled', '0'), 'OK');
    must(await guest.awaitGone('/sys/kernel/livepatch/klp_shadow', 60_000), 'end of the patch');
    must(await guest.rmmod(shadow.name), 'unloading the patch');
    t.equal(await text(others), 'ENOENT');
    t.equal(await call('get 2 7 -'), `returned ${first}`);
  });
}

async function park(guest: Guest, how: string): Promise<Task> {
  const call = calls.io('/proc/klp_target/alpha', { write: how, read: 80 });
  const task = must(await guest.spawn({ kind: 'op', name: 'klp-parked', call }), 'parking a task');
  await until(`${task.pid} asleep`, async () => must((await guest.stacks([task.pid]))[0] ?? failed(), 'stack').includes('klp_target_gate+'));
  return task;
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not seen: ${what}`);
    await sleep(20);
  }
}

function failed(): never {
  throw new Error('no stack came');
}

void t.test('bookworm-x86_64', (t) => tryOn(t, 'stock'));
void t.test('built-7-arm64', (t) => tryOn(t, 'built-7-arm64'));
