// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { architectures } from '../../harness/arch.js';
import { kernelCommandLine, qemuArguments, shellQuoted, type Hardware } from '../../harness/vm/argv.js';

const x86: Hardware = { arch: architectures.x86_64, accel: 'tcg', kernel: '/k', initramfs: '/i', transport: 'pci' };
const arm: Hardware = { ...x86, arch: architectures.arm64, transport: 'mmio' };

/** The value after an option. */
function option(argv: readonly string[], name: string): string | undefined {
  return argv[argv.indexOf(name) + 1];
}

void t.test('the judged x86-64 guest', (t) => {
  const argv = qemuArguments(x86);
  t.equal(option(argv, '-smp'), '2');
  t.equal(option(argv, '-m'), '256');
  t.equal(option(argv, '-accel'), 'tcg,thread=multi');
  t.equal(option(argv, '-append'), 'console=ttyS0 panic=1', 'no mitigations=, nothing but console and panic');
  t.ok(argv.includes('-no-reboot'));
  t.ok(argv.includes('user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22'));
  t.ok(argv.includes('virtio-net-pci,netdev=net0,romfile='));
  t.notOk(argv.includes('-S'));
  t.end();
});

void t.test('the MT2731-like guest, without PCI', (t) => {
  const argv = qemuArguments(arm);
  t.equal(option(argv, '-machine'), 'virt');
  t.equal(option(argv, '-cpu'), 'cortex-a35');
  t.equal(option(argv, '-m'), '256');
  t.equal(option(argv, '-append'), 'console=ttyAMA0 panic=1');
  t.ok(argv.includes('virtio-net-device,netdev=net0'));
  t.ok(argv.includes('virtio-rng-device'));
  t.end();
});

void t.test('the port of the agent, for kernels that have its driver', (t) => {
  const argv = qemuArguments({ ...x86, agentPort: true });
  t.ok(argv.includes('socket,id=agent,fd=5'));
  t.ok(argv.includes('virtio-serial-pci'));
  t.ok(argv.includes('virtserialport,chardev=agent,name=klp.agent'));
  t.notOk(qemuArguments(x86).some((word) => word.includes('agent')));
  t.ok(qemuArguments({ ...arm, agentPort: true }).includes('virtio-serial-device'));
  t.end();
});

void t.test('what may be chosen', (t) => {
  const argv = qemuArguments({ ...x86, accel: 'kvm', memory: 1024, cpus: 4, paused: true });
  t.equal(option(argv, '-accel'), 'kvm');
  t.equal(option(qemuArguments({ ...x86, accel: 'kvm', threads: 'single' }), '-accel'), 'kvm', 'threads are of emulation');
  t.equal(option(qemuArguments({ ...x86, threads: 'single' }), '-accel'), 'tcg,thread=single');
  t.equal(option(argv, '-cpu'), 'host');
  t.equal(option(argv, '-m'), '1024');
  t.equal(option(argv, '-smp'), '4');
  t.ok(argv.includes('-S'));
  t.equal(
    kernelCommandLine({ ...x86, rdinit: '/nonexistent', append: ['nokaslr', 'mitigations=off'] }),
    'console=ttyS0 panic=1 rdinit=/nonexistent nokaslr mitigations=off',
  );
  t.end();
});

void t.test('whatever the hardware, the guest is walled in', (t) => {
  const hardware = fc.record({
    arch: fc.constantFrom(...Object.values(architectures)),
    accel: fc.constantFrom('tcg' as const, 'kvm' as const),
    kernel: fc.constant('/k'),
    initramfs: fc.constant('/i'),
    transport: fc.constantFrom('pci' as const, 'mmio' as const),
    agentPort: fc.boolean(),
    paused: fc.boolean(),
    append: fc.array(fc.string()),
  });
  fc.assert(
    fc.property(hardware, (one) => {
      const argv = qemuArguments(one);
      // The kernel's words are one argument, whatever is in them.
      const words = argv.filter((_, i) => argv[i - 1] !== '-append');
      const all = (name: string): (string | undefined)[] => words.flatMap((word, i) => (word === name ? [words[i + 1]] : []));
      assert.deepEqual(all('-sandbox'), ['on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny']);
      assert.deepEqual(all('-netdev'), ['user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22']);
      assert.ok(words.includes('-nodefaults') && words.includes('-no-user-config'));
      const open = /^-(nic|net|virtfs|fsdev|vnc|spice|monitor|qmp|gdb|s|incoming|hda|cdrom|usb.*)$|guestfwd|smb=|tftp=|9p|vhost|tcp:(?!127\.0\.0\.1:0-)/;
      assert.deepEqual(words.filter((word) => open.test(word)), []);
      assert.deepEqual(all('-drive').map((drive) => /(?:^|,)file\.filename=([^,]*)/.exec(drive ?? '')?.[1]), ['/dev/fdset/1']);
    }),
  );
  t.end();
});

void t.test("a debugger's stub is a socket in the file system, after everything else", (t) => {
  const without = qemuArguments(x86);
  t.strictSame(qemuArguments({ ...x86, gdb: '/tmp/a,b/gdb' }), [
    ...without,
    ...['-chardev', 'socket,id=gdb,path=/tmp/a,,b/gdb,server=on,wait=off', '-gdb', 'chardev:gdb'],
  ]);
  t.end();
});

void t.test('a command line can be pasted into a shell', (t) => {
  t.equal(shellQuoted(['qemu', '-append', "a b='c'", '-m', '512', '']), `qemu -append 'a b='\\''c'\\''' -m 512 ''`);
  t.end();
});
