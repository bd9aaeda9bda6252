// SPDX-License-Identifier: MIT
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Machine } from '../../harness/vm/machine.js';
import { MachineError } from '../../harness/vm/failure.js';
import { inGuest, patience, stockImage } from './stock.js';

t.setTimeout(patience * 2);

const { options, image, kernel } = await stockImage();

async function failedStart(changes: Partial<typeof options>): Promise<MachineError> {
  try {
    const machine = await Machine.start({ ...options, ...changes });
    await machine.stop();
  } catch (error) {
    if (error instanceof MachineError) return error;
    throw error;
  }
  throw new Error('the guest got ready');
}

void t.test('no init: a boot panic, told by name', async (t) => {
  const failure = await failedStart({ rdinit: '/nonexistent' });
  t.equal(failure.kind, 'panic');
  t.equal(
    failure.message,
    'the kernel panicked while booting: Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
  );
  t.match(failure.details.at(-1), /^command: \S*qemu-system-x86_64 .*rdinit=\/nonexistent/);
});

void t.test('a guest that never gets ready: the deadline, what was awaited, the end of the console', async (t) => {
  const init = join(t.testdir(), 'init.sh');
  await writeFile(init, '#!/bin/busybox sh\n/bin/busybox echo waiting for nothing\nexec /bin/busybox sleep 100000\n');
  const mute = await stockImage(init);
  const failure = await failedStart({ initramfs: mute.image.initramfs, bootDeadline: 20_000 });
  t.equal(failure.kind, 'boot failed');
  t.equal(
    failure.message,
    'waited 20 s for the x86_64 guest to print "klp-guest: ready": its console ends with what is below',
  );
  t.ok(failure.details.some((line) => line.startsWith('console: ')));
});

void t.test('a guest that says nothing at all is silent', async (t) => {
  const failure = await failedStart({ append: ['console=tty0'], bootDeadline: 1 });
  t.equal(failure.kind, 'silence');
  t.equal(failure.message, 'waited 0.0 s for the x86_64 guest to print "klp-guest: ready": its console stayed empty');
});

void t.test('an init that gives up says why', async (t) => {
  const init = join(t.testdir(), 'init.sh');
  await writeFile(
    init,
    '#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs d /dev\necho "<1>klp-guest: failed: on purpose" > /dev/kmsg\n/bin/busybox sleep 1000\n',
  );
  const failure = await failedStart({ initramfs: (await stockImage(init)).image.initramfs });
  t.equal(failure.kind, 'boot failed');
  t.equal(failure.message, 'the guest gave up: on purpose');
});

void t.test('QEMU that ends by itself: its own words', async (t) => {
  const failure = await failedStart({ kernel: '/nonexistent' });
  t.equal(failure.kind, 'infrastructure');
  t.match(failure.message, /^QEMU ended with status 1 /);
  t.ok(failure.details.some((line) => line.startsWith('qemu: ') && line.includes('/nonexistent')));
});

void t.test('the image as it is boots too; only then the decompressor moves the kernel about', async (t) => {
  const placesOf = async (file: string): Promise<string> => {
    await using machine = await Machine.start({ ...options, kernel: file });
    t.equal((await inGuest(machine, image, 'uname -r')).trim(), kernel.release);
    return await inGuest(machine, image, "grep ' _text$' /proc/kallsyms; grep 'Kernel code' /proc/iomem");
  };
  t.not(options.kernel, kernel.image, 'the stock kernel has a PVH entry');
  const linked = /^ffffffff81000000 T _text\n\s*01000000-/;
  t.match(await placesOf(options.kernel), linked);
  // That both the virtual and the physical place come out as linked happens once in many thousand boots.
  t.notMatch(await placesOf(kernel.image), linked);
});

void t.test('poweroff ends QEMU, and is told from a crash', async (t) => {
  const machine = await Machine.start(options);
  t.teardown(() => machine.stop());
  await inGuest(machine, image, 'poweroff').catch(() => '');
  t.match(await machine.exited, { reason: 'powered off', code: 0 });
});
