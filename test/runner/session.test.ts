// SPDX-License-Identifier: MIT
import t from 'tap';
import type { Call, Guest, Outcome } from '../../harness/guest/guest.js';
import { errnoNames } from '../../harness/guest/errno.js';
import { livepatch, target, vmlinux } from '../../harness/model/description.js';
import { Session } from '../../harness/runner/session.js';
import { NotingModel } from './noting-model.js';

/*
 * The session against a guest that is a table of files, and a model that only takes notes: what is written where, and what
 * of it the model is told. The same against a kernel is in test/e2e/operations.test.ts.
 */

const lib = target('klp_target');
const patch = livepatch('klp_driven', { klp_target: ['klp_target_alpha'] }, { driven: true });
const quietPatch = livepatch('klp_quiet', { klp_target: ['klp_target_alpha'] });

const span = { begin: 1n, end: 2n };
const good = <T>(value: T): Outcome<T> => ({ ok: true, errno: 0, name: 'OK', value, span });
const bad = (name: string): Outcome<never> => ({
  ok: false,
  errno: Number(Object.keys(errnoNames).find((n) => errnoNames[Number(n)] === name)),
  name,
  value: undefined,
  span,
});

/** A file of the guest. `writes` gives an errno's name, or `OK`. */
interface FakeFile {
  readonly reads?: () => string;
  readonly writes?: (text: string) => string;
}

interface FakeTask {
  /** undefined while it runs. */
  outcome: Outcome<unknown> | undefined;
  stack: string;
}

/** What was written where, in order: `path: text`. */
type Written = string[];

function fakeGuest(files: Readonly<Record<string, FakeFile>>, task?: FakeTask): { guest: Guest; written: Written } {
  const written: Written = [];
  const write = (path: string, text: string): string => {
    if (path === '/dev/kmsg') return 'OK';
    const file = files[path];
    if (!file) return 'ENOENT';
    written.push(`${path}: ${text}`);
    return file.writes?.(text) ?? 'OK';
  };
  const read = (path: string): Outcome<string> => {
    const { reads } = files[path] ?? {};
    return reads ? good(reads()) : bad('ENOENT');
  };
  const one = (call: Call): Outcome<unknown> => {
    if (call.op !== 'io') throw new Error(`no ${call.op} in a fake guest`);
    const name = write(call.path, call.data.toString());
    return name === 'OK' ? good({ written: 1, data: Buffer.from(read(call.path).value ?? '') }) : bad(name);
  };
  const guest = {
    agentPid: 7,
    logEnd: () => Promise.resolve(0n),
    log: () => Promise.resolve({ next: 0n, records: [] }),
    write: (path: string, data: string) => {
      const name = write(path, data);
      return Promise.resolve(name === 'OK' ? good(1) : bad(name));
    },
    readText: (path: string) => Promise.resolve(read(path)),
    tree: (path: string) => {
      const below = Object.keys(files).filter((f) => f.startsWith(`${path}/`));
      if (!files[path] && below.length === 0) return Promise.resolve(bad('ENOENT'));
      const names = ['', ...below.map((f) => f.slice(path.length + 1).split('/')[0] ?? '')];
      return Promise.resolve(good(names.map((name) => ({ name, type: 'file', mode: 0o644, size: 0n, target: '' }))));
    },
    batch: (calls: readonly Call[]) => Promise.resolve(good(calls.map(one))),
    spawn: ({ call }: { call: Call }) => {
      if (call.op === 'io' || call.op === 'write') write(call.path, call.data.toString());
      return Promise.resolve(good({ pid: 42, call }));
    },
    wait: () => Promise.resolve(good({ state: task?.outcome ? 'exited' : 'running', status: 0, outcome: task?.outcome })),
    stacks: () => Promise.resolve([good(task?.stack ?? '')]),
  };
  return { guest: guest as unknown as Guest, written };
}

function sessionOn(files: Readonly<Record<string, FakeFile>>, task?: FakeTask): {
  readonly context: Session['context'];
  readonly model: NotingModel;
  readonly written: Written;
} {
  const { guest, written } = fakeGuest(files, task);
  const model = new NotingModel();
  const { context } = new Session(guest, model, [lib, patch, quietPatch], 1, () => undefined);
  return { context, model, written };
}

const api = '/proc/klp_driven/api';

void t.test('calls of the livepatch API', async (t) => {
  const busy = { writes: (text: string) => (text === 'enable second' ? 'EBUSY' : 'OK') };
  const { context, model, written } = sessionOn({ [api]: busy });
  await context.api.register(patch);
  await context.api.enable(patch, 'second');
  await context.api.disable(patch, 'null');
  await context.api.hold(patch);
  await context.api.letGo(patch);
  await context.api.unregister(patch);
  const words = ['register first', 'enable second', 'disable null', 'hold', 'let-go', 'unregister first'];
  t.strictSame(written, words.map((text) => `${api}: ${text}`));
  const call = (name: string, which: string, errno = 'OK'): object => ({
    op: { kind: 'api', call: name, patch: 'klp_driven', which },
    errno,
  });
  t.strictSame(model.operations, [
    call('register', 'first'),
    call('enable', 'second', 'EBUSY'),
    call('disable', 'null'),
    { op: { kind: 'hold', patch: 'klp_driven' }, errno: 'OK' },
    { op: { kind: 'let-go', patch: 'klp_driven' }, errno: 'OK' },
    call('unregister', 'first'),
  ]);
});

void t.test('a patch that offers no calls, or is not there, is no answer of the kernel', async (t) => {
  const { context, model } = sessionOn({});
  await t.rejects(context.api.register(quietPatch), { message: 'klp_quiet is not described as driven: it offers no calls' });
  await t.rejects(context.api.register(patch), { message: 'there is no /proc/klp_driven/api (ENOENT): klp_driven is not loaded' });
  t.strictSame(model.operations, []);
});

void t.test('klp_unregister_patch() in a task of its own', async (t) => {
  const asleep = { '/proc/42/stat': { reads: () => '42 (klp-unregister) D 7 42' }, [api]: {} };
  const stack = '[<0>] klp_unregister_patch+0x9b/0xd0\n[<0>] api_write+0x10/0x20\n';
  const op = { kind: 'api', call: 'unregister', patch: 'klp_driven', which: 'first' };

  const task: FakeTask = { outcome: undefined, stack };
  const { context, model, written } = sessionOn(asleep, task);
  const unregistering = await context.api.beginUnregister(patch);
  t.equal(unregistering.tid, 42);
  t.strictSame(written, [`${api}: unregister first`]);
  await unregistering.waits();
  t.strictSame(model.observations, [{ kind: 'unregister-waits', patch: 'klp_driven', waits: true }]);
  t.strictSame(model.operations, [], 'no operation yet');
  task.outcome = good(1);
  await unregistering.waits();
  t.match(model.observations.at(-1), { waits: false });
  task.outcome = undefined; // the agent tells of an end once
  await unregistering.end();
  t.strictSame(model.operations, [{ op, errno: 'OK' }]);

  const refused = sessionOn(asleep, { outcome: bad('EBUSY'), stack: '' });
  await (await refused.context.api.beginUnregister(patch)).end();
  t.strictSame(refused.model.operations, [{ op, errno: 'EBUSY' }]);

  const stuck = sessionOn(asleep, { outcome: undefined, stack });
  await (await stuck.context.api.beginUnregister(patch)).end();
  t.strictSame(stuck.model.operations, [{ op, errno: 'does not return' }], 'for the model to judge');
});

void t.test('probes: set, hit, removed', async (t) => {
  let hits = 0;
  let rise = 1;
  const files = {
    '/proc/klp_target/probe': { reads: () => `${hits}\n` },
    '/proc/klp_target/beta': {
      reads: () => {
        hits += rise;
        return 'original\n';
      },
    },
  };
  const { context, model, written } = sessionOn(files);
  await context.probe(lib.beta, { place: 'inside', postHandler: true });
  await context.probe(lib.alpha, { place: 'return' });
  await context.unprobe(lib);
  t.strictSame(written, ['inside beta post', 'return alpha nopost', 'remove'].map((text) => `/proc/klp_target/probe: ${text}`));
  t.match(model.operations, [
    { op: { kind: 'probe', function: { name: 'klp_target_beta' }, place: 'inside', postHandler: true } },
    { op: { kind: 'probe', function: { name: 'klp_target_alpha' }, place: 'return', postHandler: false } },
    { op: { kind: 'unprobe', target: 'klp_target' } },
  ]);

  await context.observe.probeHit(lib.beta);
  rise = 0;
  await context.observe.probeHit(lib.beta);
  const called = { kind: 'call', function: lib.beta, caller: 7, body: 'original' };
  t.strictSame(model.observations, [
    called,
    { kind: 'probe-hit', function: lib.beta, hit: true },
    called,
    { kind: 'probe-hit', function: lib.beta, hit: false },
  ]);
  rise = 2;
  await t.rejects(context.observe.probeHit(lib.beta), {
    name: 'InfrastructureError',
    message: '/proc/klp_target/probe went from 1 to 3 hits with one call of klp_target_beta',
  });

  await t.rejects(context.probe(lib.quiet, { place: 'entry' }), {
    message: 'cannot set a probe in klp_target:klp_target_quiet: only alpha and beta of a target module allow it',
  });
  const without = sessionOn({ '/proc/klp_target/probe': { writes: () => 'EOPNOTSUPP' } });
  await t.rejects(without.context.probe(lib.beta, { place: 'return' }), {
    message: 'kretprobe at the return of klp_target_beta: the kernel has no kprobes (CONFIG_KPROBES, CONFIG_KRETPROBES)',
  });
  t.strictSame(without.model.operations, []);
});

void t.test('the switch of ftrace', async (t) => {
  const sysctl = '/proc/sys/kernel/ftrace_enabled';
  const { context, model, written } = sessionOn({ [sysctl]: { writes: (text) => (text === '0' ? 'EBUSY' : 'OK') } });
  await context.ftraceEnabled(false);
  await context.ftraceEnabled(true);
  t.strictSame(written, [`${sysctl}: 0`, `${sysctl}: 1`]);
  t.strictSame(model.operations, [
    { op: { kind: 'switch-ftrace', on: false }, errno: 'EBUSY' },
    { op: { kind: 'switch-ftrace', on: true }, errno: 'OK' },
  ]);
  await t.rejects(sessionOn({}).context.ftraceEnabled(true), { message: /^there is no \S+ftrace_enabled \(ENOENT\): the kernel lacks CONFIG_FUNCTION_TRACER/ });
});

void t.test('tracers', async (t) => {
  const below = '/sys/kernel/debug/tracing';
  const lines = ['# tracer: function', ''];
  let recording = true;
  const files = {
    [`${below}/tracing_on`]: { reads: () => '1\n' },
    [`${below}/available_tracers`]: { reads: () => 'function nop\n' },
    [`${below}/set_ftrace_filter`]: { writes: (text: string) => (text === 'klp_target_quiet\n' ? 'EINVAL' : 'OK') },
    [`${below}/current_tracer`]: {},
    [`${below}/trace`]: {
      reads: () => lines.join('\n'),
      writes: () => {
        lines.length = 1;
        return 'OK';
      },
    },
    '/proc/klp_target/alpha': {
      reads: () => {
        if (recording) lines.push('  klp-agent-7  [000] ....  12.3: klp_target_alpha <-function_read');
        return 'klp_driven\n';
      },
    },
    '/proc/klp_target/beta': { reads: () => 'original\n' },
  };
  const { context, model, written } = sessionOn(files);
  await context.trace('function', lib.alpha);
  t.strictSame(written.splice(0), [`${below}/set_ftrace_filter: klp_target_alpha\n`, `${below}/current_tracer: function\n`]);
  await context.observe.traced(lib.alpha);
  recording = false;
  await context.observe.traced(lib.alpha);
  await context.observe.traced(lib.beta);
  written.length = 0;
  await context.untrace();
  t.strictSame(written, [`${below}/current_tracer: nop\n`, `${below}/set_ftrace_filter: `]);
  t.strictSame(model.operations.map((o) => o.op), [{ kind: 'trace', tracer: 'function', function: lib.alpha }, { kind: 'untrace' }]);
  t.strictSame(model.observations, [
    { kind: 'call', function: lib.alpha, caller: 7, body: 'klp_driven' },
    { kind: 'traced', function: lib.alpha, seen: true },
    { kind: 'call', function: lib.alpha, caller: 7, body: 'klp_driven' },
    { kind: 'traced', function: lib.alpha, seen: false },
    { kind: 'call', function: lib.beta, caller: 7, body: 'original' },
    { kind: 'traced', function: lib.beta, seen: false },
  ], 'what was there before the call is not taken for it');

  await t.rejects(context.trace('function_graph', lib.alpha), { message: /: the kernel has no such tracer \(CONFIG_FUNCTION_GRAPH_TRACER\)$/ });
  await t.rejects(context.trace('function', lib.quiet), { message: /: ftrace does not know the function: EINVAL$/ });
  await t.rejects(context.trace('function', lib.twin1), { message: /does not tell functions of one name apart/ });
  await t.rejects(sessionOn({}).context.trace('function', lib.alpha), { name: 'InfrastructureError', message: /^no tracefs in / });
});

void t.test('a sleeper makes a call itself', async (t) => {
  let answer = 'OK';
  const files = {
    '/proc/klp_target/alpha': {},
    '/proc/klp_target/ask': { writes: () => answer, reads: () => 'klp_driven\n' },
    '/proc/klp_target/sleepers': { reads: () => '42 1 0 1\n' },
    '/proc/42/stat': { reads: () => '42 (klp-sleeper) D 7 42' },
  };
  const other = target('klp_other');
  const { context, model, written } = sessionOn(files, { outcome: undefined, stack: '[<0>] klp_target_alpha+0x10/0x20\n' });
  const sleeper = await context.park(lib.alpha);
  await sleeper.call(other.beta);
  t.strictSame(written, ['/proc/klp_target/alpha: uninterruptible 0 user', '/proc/klp_target/ask: 42 klp_other_beta']);
  t.strictSame(model.observations, [{ kind: 'call', function: other.beta, caller: 42, body: 'klp_driven' }]);
  answer = 'ENOENT';
  await t.rejects(sleeper.call(other.beta), { message: 'call of klp_other:klp_other_beta by thread 42: ENOENT: klp_other is not loaded' });
  await t.rejects(sleeper.call(lib.twin1), { message: /only alpha, beta and quiet of a target module are exported$/ });
  await t.rejects(context.park(lib.quiet), { message: /^cannot park a task in klp_target:klp_target_quiet: only alpha and beta/ });
});

void t.test('debug messages are switched on for a look at the reasons, and off again', async (t) => {
  const control = '/proc/dynamic_debug/control';
  const { context, model, written } = sessionOn({ [control]: {} });
  await context.observe.reasons();
  t.strictSame(written, [`${control}: func klp_try_switch_task +p`, `${control}: func klp_try_switch_task -p`]);
  t.strictSame(model.observations, [{ kind: 'reasons', lines: [], gaps: [] }], 'nobody holds anything: there is nothing to wait for');
  await t.rejects(sessionOn({}).context.observe.reasons(), { message: /: the kernel lacks CONFIG_DYNAMIC_DEBUG$/ });
  await t.rejects(sessionOn({ [control]: { writes: () => 'EINVAL' } }).context.observe.reasons(), { name: 'InfrastructureError' });
});

void t.test('calls: every function of a target, one of vmlinux, and no other', async (t) => {
  const said = (text: string): FakeFile => ({ reads: () => text });
  const files = {
    '/proc/klp_target/quiet': said('original\n'),
    '/proc/klp_target/twin2': said('klp_driven\n'),
    '/proc/klp_target/common': said('something else\n'),
    '/proc/cmdline': said('klp_driven\n'),
  };
  const { context, model } = sessionOn(files);
  const cmdline = { object: vmlinux, name: 'cmdline_proc_show' };
  for (const f of [lib.quiet, lib.twin2, lib.common, cmdline]) await context.observe.call(f);
  t.strictSame(model.observations.map((o) => o.kind === 'call' && o.body), ['original', 'klp_driven', 'unknown: something else', 'klp_driven']);
  const message = 'of vmlinux cmdline_proc_show can be called, of a target module alpha, beta, quiet, twin1, twin2, common';
  for (const [f, name] of [
    [lib.datum, 'klp_target:klp_target_datum'],
    [{ object: vmlinux, name: 'schedule' }, 'vmlinux:schedule'],
    [{ object: 'klp_target', name: 'other' }, 'klp_target:other'],
  ] as const) {
    await t.rejects(context.observe.call(f), { message: `nothing calls ${name}: ${message}` });
  }
});

void t.test('taint, patches, and what cannot be looked at', async (t) => {
  let mask = 4096 + 32768;
  const files = {
    '/sys/module/klp_driven/taint': { reads: () => 'OEK\n' },
    '/proc/sys/kernel/tainted': { reads: () => `${mask}\n` },
    '/sys/kernel/livepatch/klp_driven': {},
  };
  const { context, model } = sessionOn(files);
  await context.observe.taint(patch);
  mask = 4096;
  await context.observe.taint(patch);
  await context.observe.patches();
  const without = sessionOn({});
  await without.context.observe.patches();
  t.strictSame(without.model.observations, [{ kind: 'patches', names: [] }], 'a kernel without livepatch');
  t.strictSame(model.observations, [
    { kind: 'taint', module: 'klp_driven', letters: 'OEK', kernel: true },
    { kind: 'taint', module: 'klp_driven', letters: 'OEK', kernel: false },
    { kind: 'patches', names: ['klp_driven'] },
  ]);
  await t.rejects(context.observe.resolvedSymbols(patch), {
    message: 'symbols of klp_driven: the patch replaces no cmdline_proc_show of vmlinux, which would print them',
  });
  await t.rejects(context.observe.ftrace(lib.twin2), { message: /: enabled_functions does not tell functions of one name apart$/ });
});
