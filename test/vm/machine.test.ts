// SPDX-License-Identifier: MIT
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';
import ssh2 from 'ssh2';
import t from 'tap';
import { Machine } from '../../harness/vm/machine.js';
import { fileDigest, stateFingerprint } from '../../harness/vm/states.js';
import { generateKeys } from '../../images/keys.js';
import { inGuest, patience, stockImage } from './stock.js';

// One boot serves every test.
t.setTimeout(patience * 2);

const { kernel, image, options } = await stockImage();
const saved = join(t.testdir(), 'states.qcow2');
const machine = await Machine.start(options);
t.teardown(() => machine.stop());

void t.test('the guest is as its image says', async (t) => {
  t.equal((await inGuest(machine, image, 'uname -r')).trim(), kernel.release);
  t.equal(await inGuest(machine, image, 'nproc; cat /proc/cmdline; cat /proc/1/comm'), '2\nconsole=ttyS0 panic=1\ninit\n');
  t.equal(await inGuest(machine, image, 'stat -c %a / /root /root/.ssh/authorized_keys /tmp'), '755\n700\n600\n1777\n');
  const mounts = await inGuest(machine, image, 'cat /proc/mounts');
  for (const place of ['/proc', '/sys', '/dev', '/dev/pts', '/tmp', '/run', '/sys/kernel/debug', '/sys/kernel/tracing']) {
    t.match(mounts, new RegExp(`^\\S+ ${place} `, 'm'));
  }
  const symbol = await inGuest(machine, image, "grep ' klp_enable_patch$' /proc/kallsyms");
  t.match(symbol, /^[0-9a-f]{16} T /);
  t.notMatch(symbol, /^0{16}/, 'addresses are shown to root');
  t.match(await inGuest(machine, image, 'cat /sys/class/misc/hw_random/rng_current'), /^virtio_rng/);
  t.match(await inGuest(machine, image, 'sleep 0 & sleep 1; ps -o stat,comm'), /^STAT/);
  t.same(machine.reports, [], 'no warning, no Oops');
});

void t.test('orphans are reaped', async (t) => {
  await inGuest(machine, image, '(sleep 1 &) ; (sh -c "exit 3" &)');
  await inGuest(machine, image, 'sleep 2');
  t.notMatch(await inGuest(machine, image, 'ps -o stat,args'), /^Z/m);
});

void t.test('the guest does not reach the host, or beyond', async (t) => {
  let reached = 0;
  const server = createServer((socket) => {
    reached++;
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  // And one on every address the host has.
  const wide = createServer((socket) => {
    reached++;
    socket.end();
  });
  wide.listen(0);
  await once(wide, 'listening');
  t.teardown(() => wide.close());
  const { port: outerPort } = wide.address() as AddressInfo;
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const outer = all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
  // A way out as any guest of QEMU's would have it, so that it is no missing route that keeps it in.
  await inGuest(machine, image, 'ip route add default via 10.0.2.2');
  t.match(await inGuest(machine, image, 'ip route'), /^default via 10\.0\.2\.2 dev eth0/m);
  for (const place of [`10.0.2.2 ${port}`, `127.0.0.1 ${port}`, ...outer.map((address) => `${address} ${outerPort}`), '10.0.2.3 53']) {
    t.match(await inGuest(machine, image, `nc -w 3 ${place} < /dev/null; echo status $?`), /status [1-9]/, place);
  }
  t.match(await inGuest(machine, image, 'nslookup localhost 10.0.2.3; echo status $?'), /status [1-9]/, 'no name is looked up');
  t.match(await inGuest(machine, image, 'ping -c 1 -W 3 192.0.2.1; echo status $?'), /status [1-9]/);
  await inGuest(machine, image, 'ip route del default');
  t.equal(reached, 0);
});

void t.test('only the key of the image gets in, and only the guest with the pinned key is believed', async (t) => {
  const connect = async (settings: ssh2.ConnectConfig): Promise<string> => {
    const client = new ssh2.Client();
    const outcome = Promise.race([
      once(client, 'ready').then(() => 'in', (error: unknown) => String(error)),
      once(client, 'close').then(() => 'closed'),
    ]);
    client.connect({ host: '127.0.0.1', port: machine.sshPort, username: 'root', readyTimeout: patience, ...settings });
    const result = await outcome;
    client.end();
    return result;
  };
  const stranger = generateKeys().userKey;
  t.equal(await connect({ privateKey: image.userKey }), 'in');
  t.match(await connect({ privateKey: stranger }), /authentication methods failed/);
  t.match(await connect({ password: '' }), /authentication methods failed/);
  t.match(await connect({ privateKey: image.userKey, hostVerifier: () => false }), /[Hh]ost/);
});

void t.test('a snapshot isolates: a file written after it is gone, again and again', async (t) => {
  await inGuest(machine, image, 'echo early > /tmp/early');
  await machine.saveSnapshot('pristine');
  for (let round = 0; round < 3; round++) {
    t.equal(await inGuest(machine, image, 'cat /tmp/*; echo late > /tmp/late; ls /tmp'), 'early\nearly\nlate\n');
    await machine.loadSnapshot('pristine');
  }
  t.equal(await inGuest(machine, image, 'ls /tmp'), 'early\n');
});

void t.test("QEMU's refusals are told, and names that could be more than a name are refused", async (t) => {
  await t.rejects(machine.loadSnapshot('no-such'), {
    name: 'MachineError',
    kind: 'infrastructure',
    message: "loadvm no-such: Snapshot 'no-such' does not exist in one or more devices",
  });
  await t.rejects(machine.saveSnapshot('a b'), { message: '"a b" is no name for a snapshot' });
  t.match(await machine.qmp.execute('query-status'), { running: false }, 'after a failed restore the guest stands still');
  await machine.loadSnapshot('pristine');
  t.equal((await inGuest(machine, image, 'echo alive')).trim(), 'alive');
});

void t.test('the states have no name on disk; another machine can start from a copy', async (t) => {
  const links = await Promise.all([3, 4].map((fd) => readFile(`/proc/${machine.pid}/fdinfo/${fd}`, 'utf8')));
  t.equal(links.length, 2);
  await machine.exportStates(saved);
  t.equal((await stat(saved)).mode & 0o777, 0o600, "the guest's memory is for nobody else");
  const states = { file: saved, sha256: await fileDigest(saved) };
  t.equal(await stateFingerprint(options, 'k', 'i'), await stateFingerprint({ ...options, kernel: `/elsewhere/${basename(options.kernel)}` }, 'k', 'i'));
  t.not(await stateFingerprint(options, 'k', 'i'), await stateFingerprint({ ...options, kernel: kernel.image }, 'k', 'i'));
  t.not(await stateFingerprint(options, 'k', 'i'), await stateFingerprint({ ...options, memory: 300 }, 'k', 'i'));
  const other = await Machine.start({ ...options, restore: { states, snapshot: 'pristine' } });
  t.teardown(() => other.stop());
  t.equal(await inGuest(other, image, 'ls /tmp'), 'early\n');
  t.not(other.sshPort, machine.sshPort);
  await other.stop();
  await t.rejects(Machine.start({ ...options, restore: { states, snapshot: 'other' } }), {
    message: "loadvm other: Snapshot 'other' does not exist in one or more devices",
  });
});

void t.test('a state that lacks its end, or has one bit changed, is never loaded', async (t) => {
  const sha256 = await fileDigest(saved);
  const damaged = join(t.testdir(), 'damaged.qcow2');
  const refused = { message: `saved guest state ${damaged} is damaged`, hint: `remove it: ${damaged}` };
  const start = (): Promise<Machine> => Machine.start({ ...options, restore: { states: { file: damaged, sha256 }, snapshot: 'pristine' } });
  await copyFile(saved, damaged);
  await truncate(damaged, 200_000);
  await t.rejects(start(), refused);
  const bytes = await readFile(saved);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(damaged, bytes);
  await t.rejects(start(), refused);
});

void t.test('a panic is seen on the console; the panic ends QEMU', async (t) => {
  const mark = machine.console.mark();
  const gone = inGuest(machine, image, 'echo c > /proc/sysrq-trigger').catch(() => 'connection lost');
  const failure = await machine.diagnose(patience);
  t.equal(failure.kind, 'panic');
  t.equal(failure.message, 'the guest is gone: Kernel panic - not syncing: sysrq triggered crash');
  t.ok(failure.details.some((line) => line.startsWith('command: ')));
  t.match(await machine.exited, { reason: 'panic', code: 0 });
  t.ok(machine.console.since(mark).some((line) => line.text.includes('Rebooting in 1 seconds')), 'shown to the end');
  t.notOk(existsSync(`/proc/${machine.pid}`));
  await gone;
  await t.rejects(machine.saveSnapshot('late'), /savevm late: QEMU's control connection was closed/);
});
