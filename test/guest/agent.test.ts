// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { AgentFailure, ConnectionLostError } from '../../harness/guest/errors.js';
import { calls, must } from '../../harness/guest/guest.js';
import { writeFlags } from '../../harness/guest/protocol.js';
import { LocalGuest } from './local-agent.js';

// The agent of this host's architecture, on this host: everything but livepatch itself is the same there.
const guest = await LocalGuest.start();
const folder = t.testdir({ file: 'content\n', empty: '', folder: { deeper: { deepest: 'x' } }, link: t.fixture('symlink', 'file') });
const file = join(folder, 'file');

t.teardown(() => guest.end());

await t.test('reads a file, and says why it cannot', async (t) => {
  const outcome = await guest.readText(file);
  t.match(outcome, { ok: true, errno: 0, name: 'OK', value: 'content\n' });
  t.ok(outcome.span.begin < outcome.span.end, 'it took time on the guest clock');
  t.match(await guest.read(`${file}-not`), { ok: false, errno: 2, name: 'ENOENT', value: undefined });
  t.match(await guest.read(folder), { errno: 21, name: 'EISDIR' });
  t.match(await guest.read(`${file}/x`), { errno: 20, name: 'ENOTDIR' });
  t.match(await guest.agent().request(calls.read(file, 3)), { value: { data: Buffer.from('con'), full: true } });
});

await t.test('binary data of a megabyte survives', async (t) => {
  const data = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 7919) >> 3));
  t.equal(must(await guest.write(join(folder, 'big'), data, writeFlags.create), 'writing'), data.length);
  t.ok(must(await guest.read(join(folder, 'big'), 2 << 20), 'reading').equals(data));
});

await t.test('writes with one write(2), and only truncates, appends or creates when told to', async (t) => {
  await writeFile(file, 'abcdef');
  t.match(await guest.write(file, 'XY'), { value: 2 });
  t.equal(await readFile(file, 'utf8'), 'XYcdef');
  await guest.write(file, 'Z', writeFlags.append);
  t.equal(await readFile(file, 'utf8'), 'XYcdefZ');
  await guest.write(file, '1', writeFlags.truncate);
  t.equal(await readFile(file, 'utf8'), '1');
  t.match(await guest.write(join(folder, 'new'), '1'), { name: 'ENOENT' });
  t.match(await guest.write('/dev/full', '1'), { errno: 28, name: 'ENOSPC' });
  t.match(await guest.write('/proc/self/oom_score_adj', 'junk'), { errno: 22, name: 'EINVAL' });
});

await t.test('lists a tree as deep as it is told', async (t) => {
  const entries = must(await guest.tree(join(folder, 'folder')), 'listing');
  t.strictSame(
    entries.map(({ name, type }) => `${type} ${name}`).sort(),
    ['directory ', 'directory deeper', 'file deeper/deepest'],
  );
  t.equal(must(await guest.tree(`${folder}/folder/`, 1), 'listing').length, 2);
  const [link] = must(await guest.tree(join(folder, 'link')), 'listing');
  t.match(link, { name: '', type: 'link', target: /file$/ });
  t.match(must(await guest.tree('/proc/self/environ', 0), 'listing'), [{ name: '', type: 'file', mode: 0o400 }]);
  t.match(await guest.tree(join(folder, 'nothing')), { name: 'ENOENT' });
});

await t.test('a sweep shows every thread, with why its patch_state could not be read', async (t) => {
  const task = must(await guest.spawn({ kind: 'sleep', name: 'three (threads)', threads: 2 }), 'spawn');
  await sleep(100);
  const outcome = await guest.sweep();
  const threads = must(outcome, 'sweep');
  const own = threads.filter(({ pid }) => pid === task.pid);
  t.equal(own.length, 3);
  t.strictSame(new Set(own.map(({ comm, state, kernel }) => `${comm} ${state} ${kernel}`)), new Set(['three (threads) S false']));
  const agent = threads.find(({ tid }) => tid === guest.agentPid);
  t.match(agent, { comm: 'klp-agent', state: 'R', kernel: false });
  if (!existsSync('/proc/self/patch_state')) t.match(agent, { patchState: undefined, errno: 2 });
  for (const { span } of threads) {
    t.ok(outcome.span.begin <= span.begin && span.begin <= span.end && span.end <= outcome.span.end);
  }
  await guest.kill(task.pid, 'SIGKILL');
  t.match(await guest.wait(task, 5000), { value: { state: 'signalled', status: 9 } });
});

await t.test('a task carries out an operation, and its outcome is waited for', async (t) => {
  await writeFile(file, 'before');
  const call = calls.io(file, { write: 'BE', read: 100 });
  const task = must(await guest.spawn({ kind: 'op', call }), 'spawn');
  const end = must(await guest.wait(task, 5000), 'wait');
  t.match(end, { state: 'exited', status: 0, outcome: { name: 'OK', value: { written: 2, data: Buffer.from('BEfore') } } });
  t.match(await guest.wait(task), { errno: 10, name: 'ECHILD' }, 'it can be waited for once');
  const failing = must(await guest.spawn({ kind: 'op', call: calls.read(join(folder, 'none')) }), 'spawn');
  t.match(await guest.wait(failing, 5000), { value: { state: 'exited', outcome: { name: 'ENOENT' } } });
});

await t.test('a task that has ended is a zombie until it is waited for', async (t) => {
  const task = must(await guest.spawn({ kind: 'op', call: calls.ping(), name: 'dead' }), 'spawn');
  const state = async () => must(await guest.sweep(), 'sweep').find(({ pid }) => pid === task.pid)?.state;
  while ((await state()) !== 'Z') await sleep(5);
  await guest.wait(task, 1000);
  t.equal(await state(), undefined);
});

await t.test('tasks are stopped, continued and killed; a running one is not waited for longer than told', async (t) => {
  const task = must(await guest.spawn({ kind: 'spin', cpus: [0] }), 'spawn');
  t.match(await guest.wait(task, 20), { value: { state: 'running', outcome: undefined } });
  t.match(must(await guest.readText(`/proc/${task.pid}/status`), 'status'), /Cpus_allowed_list:\s+0\n/);
  await guest.kill(task.pid, 'SIGSTOP');
  const state = async () => must(await guest.sweep(), 'sweep').find(({ pid }) => pid === task.pid)?.state;
  while ((await state()) !== 'T') await sleep(5);
  await guest.kill(task.pid, 'SIGCONT');
  while ((await state()) !== 'R') await sleep(5);
  t.match(await guest.kill(task.pid, 'SIGTERM'), { name: 'OK' });
  t.match(await guest.wait(task, 5000), { value: { state: 'signalled', status: 15 } });
  t.match(await guest.kill(task.pid, 'SIGTERM'), { errno: 3, name: 'ESRCH' });
});

await t.test('awaits a content, its absence, or the end of the time', async (t) => {
  await writeFile(file, '1\n');
  const late = guest.awaitContent(file, '1\n', 5000);
  t.match(await late, { value: { came: true, readings: 1, content: Buffer.from('1\n') } });
  const writer = sleep(50).then(() => writeFile(file, '0\n'));
  const outcome = must(await guest.awaitContent(file, '0\n', 10_000), 'await');
  t.ok(outcome.came && outcome.readings > 1 && outcome.seen.begin < outcome.seen.end);
  await writer;
  t.match(await guest.awaitContent(file, '7\n', 5), { value: { came: false, content: Buffer.from('0\n') } });
  t.match(await guest.awaitContent(join(folder, 'none'), '0\n', 5000), { name: 'ENOENT' });
  t.match(await guest.awaitGone(file, 5), { value: { came: false } });
  t.match(await guest.awaitGone(join(folder, 'none'), 5), { value: { came: true } });
});

await t.test('a batch is carried out back to back, each call with its own outcome and span', async (t) => {
  const outcome = await guest.batch([calls.write(file, '5'), calls.read(join(folder, 'none')), calls.sweep(), calls.read(file)]);
  const [written, none, sweep, read] = must(outcome, 'batch');
  t.match(written, { name: 'OK', value: 1 });
  t.match(none, { name: 'ENOENT' });
  t.ok(must(sweep, 'sweep').length > 0);
  t.equal(must(read, 'read').data.toString(), '5\n');
  t.ok(written.span.end <= none.span.begin && none.span.end <= sweep.span.begin && sweep.span.end <= read.span.begin);
  t.strictSame(must(await guest.batch([]), 'batch'), []);
});

await t.test('overlapping requests each get their own answer', async (t) => {
  const payloads = Array.from({ length: 200 }, (_, i) => Buffer.from(String(i)));
  const answers = await Promise.all(payloads.map((payload) => guest.agent().request({ op: 'ping', payload })));
  t.strictSame(answers.map((answer) => answer.value), payloads);
});

await t.test('what the agent refuses is not taken for an answer of the kernel', async (t) => {
  await t.rejects(guest.insmod('/no/such.ko'), {
    name: 'AgentFailure',
    reason: 'cannot',
    message: 'the guest agent refused insmod /no/such.ko: cannot open /no/such.ko: No such file or directory',
  });
  const spawn = { op: 'spawn', kind: 'op', name: 'x'.repeat(16), cpus: 0n, threads: 0, call: Buffer.from([1]) } as const;
  await t.rejects(guest.agent().request(spawn), {
    message: 'the guest agent refused spawn xxxxxxxxxxxxxxxx: malformed arguments of opcode 10',
  });
  await t.rejects(guest.agent().request({ op: 'kill', pid: 0, signal: 9 }), {
    message: 'the guest agent refused kill 0: malformed arguments of opcode 12',
  });
  await t.rejects(guest.read('/dev/zero', (8 << 20) + 1), {
    message: 'the guest agent refused read /dev/zero: more than a frame holds was asked for',
  });
  await t.rejects(guest.read('/dev/zero', 8 << 20), {
    message: 'the guest agent refused read /dev/zero: the answer of opcode 4 is too large',
  });
  await t.rejects(guest.batch([calls.read('/dev/zero', 6 << 20), calls.read('/dev/zero', 6 << 20)]), AgentFailure);
  t.match(await guest.readText(file), { name: 'OK' }, 'and it goes on after it');
});

await t.test('the end of the connection ends the agent and its tasks, and rejects what is pending', async (t) => {
  const other = await LocalGuest.start();
  const task = must(await other.spawn({ kind: 'forks', threads: 1 }), 'spawn');
  const pending = other.awaitContent(file, 'never', 600_000);
  const rejected = t.rejects(pending, { name: 'ConnectionLostError', kind: 'connection lost' });
  await other.end();
  await rejected;
  await t.rejects(other.sweep(), ConnectionLostError);
  const state = async () => must(await guest.sweep(), 'sweep').find(({ pid }) => pid === task.pid)?.state ?? 'Z';
  while ((await state()) !== 'Z') await sleep(10);
});

await t.test('an agent that dies takes its tasks with it', async (t) => {
  const other = await LocalGuest.start();
  const task = must(await other.spawn({ kind: 'sleep' }), 'spawn');
  const pending = other.awaitContent(file, 'never', 600_000);
  other.child.kill('SIGKILL');
  await t.rejects(pending, ConnectionLostError);
  const state = async () => must(await guest.sweep(), 'sweep').find(({ pid }) => pid === task.pid)?.state ?? 'Z';
  while ((await state()) !== 'Z') await sleep(10);
});
