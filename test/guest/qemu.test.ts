// SPDX-License-Identifier: MIT
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { architectures } from '../../harness/arch.js';
import { ConnectionLostError } from '../../harness/guest/errors.js';
import { calls, must } from '../../harness/guest/guest.js';
import { readEnabledFunctions, readKallsyms } from '../../harness/guest/kernel-tables.js';
import { SshGuest, type SshGuestTarget } from '../../harness/guest/ssh-guest.js';
import { connect } from '../../harness/guest/ssh.js';
import { Machine } from '../../harness/vm/machine.js';
import { buildAgent } from '../../images/agent.js';
import { buildImage } from '../../images/initramfs.js';
import { hostSuite } from '../../kernels/mirrors.js';
import { stockKernel } from '../e2e/kernel.js';
import { patience } from '../vm/stock.js';

t.setTimeout(patience * 2);

const kernel = await stockKernel();
const image = await buildImage({
  kernel,
  agent: await buildAgent(kernel.arch),
  suite: await hostSuite(),
  progress: () => undefined,
});
const machine = await Machine.start({
  arch: architectures[kernel.arch],
  accel: 'tcg',
  kernel: kernel.image,
  initramfs: image.initramfs,
  transport: image.transport,
  bootDeadline: patience,
});
t.teardown(() => machine.stop());

const target: SshGuestTarget = {
  host: '127.0.0.1',
  port: machine.sshPort,
  privateKey: image.userKey,
  hostKey: image.hostKey,
  readyTimeout: patience,
  deadline: patience,
  timeScale: 20,
};

// Before the first test: between tests, waiting for anything else would let tap end the file.
const guest = await SshGuest.connect(target);
t.teardown(() => guest.disconnect());

await t.test('a host with another key is not talked to', async (t) => {
  const hostKey = Buffer.from(image.hostKey);
  hostKey.writeUInt8(hostKey.readUInt8(hostKey.length - 1) ^ 1, hostKey.length - 1);
  await t.rejects(connect({ ...target, hostKey }), {
    name: 'HostKeyError',
    message: `the host key of 127.0.0.1 port ${machine.sshPort} is not the guest's`,
  });
});

await t.test('what cannot be reached is waited for, and no longer than told', async (t) => {
  await t.rejects(connect({ ...target, port: 1, deadline: 1000 }), {
    name: 'DeadlineError',
    message: 'waited 1.0 s for an SSH server at 127.0.0.1 port 1',
  });
  await t.rejects(connect({ ...target, port: 1, privateKey: 'no key' }), {
    message: "the SSH key for 127.0.0.1 port 1 can't be read: Unsupported key format",
  });
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('QEMU has ended')), 200);
  await t.rejects(connect({ ...target, port: 1, signal: stop.signal }), { message: 'QEMU has ended' });

  // One that accepts and says nothing.
  const mute = createServer().listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const { port } = mute.address() as AddressInfo;
  const accepted = once(mute, 'connection') as Promise<[Socket]>;
  const end = new AbortController();
  const refused = t.rejects(connect({ ...target, port, signal: end.signal }), { message: 'nobody wants it any more' });
  const [socket] = await accepted;
  // The client's greeting: it knows that it is connected.
  await once(socket, 'data');
  const reset = once(socket, 'error');
  end.abort(new Error('nobody wants it any more'));
  await refused;
  t.match(await reset, [{ code: 'ECONNRESET' }], 'nothing of it is left open');
  mute.close();
});

await t.test('a command: output, status, signal, input, deadline', async (t) => {
  t.match(await guest.run('echo out; echo err >&2; exit 3'), { code: 3, stdout: 'out\n', stderr: 'err\n' });
  t.match(await guest.run('kill -9 $$'), { code: 137, signal: 'SIGKILL' });
  t.match(await guest.run('cat', { input: 'in' }), { code: 0, stdout: 'in' });
  t.match(await guest.run('uname -r'), { stdout: `${kernel.release}\n` });
  await t.rejects(guest.run('sleep 100', { timeout: 300 }), { message: 'waited 0.3 s for sleep 100 to end in the guest' });
});

await t.test('several files at once, one of a megabyte', async (t) => {
  const big = randomBytes(1 << 20);
  await guest.push("/tmp/it's here", [
    { name: 'big.ko', content: big },
    { name: 'folder/script', content: '#!/bin/sh\necho pushed\n', mode: 0o755 },
  ]);
  t.ok(must(await guest.read("/tmp/it's here/big.ko", 2 << 20), 'reading').equals(big));
  t.match(await guest.run("'/tmp/it'\\''s here/folder/script'"), { code: 0, stdout: 'pushed\n' });
  await t.rejects(guest.push('/proc/nowhere', [{ name: 'x', content: '' }]), {
    message: 'tar of 1 files to /proc/nowhere ended with status 1',
  });
  await t.rejects(guest.push('/tmp', [{ name: 'x', file: '/no/such/file' }]), {
    message: "tar of 1 files to /tmp: ENOENT: no such file or directory, open '/no/such/file'",
  });
});

await t.test('modules: errno of the kernel, and its words in the log', async (t) => {
  const from = await guest.logEnd();
  t.match(await guest.insmod("/tmp/it's here/big.ko"), { errno: 8, name: 'ENOEXEC' });
  t.match(await guest.rmmod('no_such_module'), { errno: 2, name: 'ENOENT' });
  const { records, next } = await guest.log(from);
  t.ok(records.some(({ text }) => text.includes('Invalid ELF header magic')));
  t.ok(next > from && records.every(({ sequence }) => from <= sequence && sequence < next));
  t.strictSame((await guest.log(next)).records, []);
  await guest.write('/dev/kmsg', '<4>a "marker" of\\ours\n');
  t.match((await guest.log(next)).records, [{ level: 4, sequence: next, text: 'a "marker" of\\ours' }]);
  const all = await guest.log();
  t.equal(all.records.length, Number(all.next), 'the whole log, from record 0 on');
});

await t.test('a sweep gives the patch_state of every thread', async (t) => {
  const threads = must(await guest.sweep(), 'sweep');
  t.ok(threads.length > 20);
  t.strictSame(new Set(threads.map(({ patchState }) => patchState)), new Set([-1]));
  t.ok(threads.some(({ kernel, comm }) => kernel && comm === 'kthreadd'));
  t.ok(threads.some(({ kernel, pid }) => !kernel && pid === guest.agentPid));
});

await t.test('stacks show where a thread sleeps', async (t) => {
  const task = must(await guest.spawn({ kind: 'sleep' }), 'spawn');
  await sleep(200);
  const [own, none] = await guest.stacks([task.pid, 4_000_000]);
  t.match(own, { ok: true, value: /pause/ });
  t.match(none, { name: 'ENOENT' });
  await guest.kill(task.pid, 'SIGKILL');
  t.match(await guest.wait(task, 60_000), { value: { state: 'signalled', status: 9 } });
});

await t.test('kallsyms and enabled_functions', async (t) => {
  const symbols = await readKallsyms(guest, ' cmdline_proc_show');
  t.match(symbols, [{ type: 't', name: 'cmdline_proc_show', module: undefined }]);
  t.strictSame(await readEnabledFunctions(guest), []);
});

await t.test('a restored guest is reached anew, and knows nothing of what came after the snapshot', async (t) => {
  guest.disconnect();
  // The old agent ends when its connection does: a snapshot taken too soon has it still.
  await sleep(1000);
  await machine.saveSnapshot('ready');
  await guest.reconnect();
  await guest.write('/tmp/later', '', 4);
  guest.disconnect();
  await t.rejects(guest.sweep(), ConnectionLostError);
  await machine.loadSnapshot('ready');
  await guest.reconnect();
  t.match(await guest.read('/tmp/later'), { name: 'ENOENT' });
  const agents = must(await guest.sweep(), 'sweep').filter(({ comm, state }) => comm === 'klp-agent' && state !== 'Z');
  t.equal(agents.length, 1);
});

await t.test('a guest that dies rejects what is pending', async (t) => {
  const pending = guest.batch([calls.awaitContent('/proc/version', 'never', 600_000)]);
  const rejected = t.rejects(pending, { name: 'ConnectionLostError', kind: 'connection lost' });
  await guest.run('echo c > /proc/sysrq-trigger').catch(() => undefined);
  await rejected;
  t.notOk(guest.connected);
});
