// SPDX-License-Identifier: MIT
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { architectures } from '../../harness/arch.js';
import { chooseAccel, parseAccel, probe } from '../../harness/vm/accel.js';
import { findProgram } from '../../harness/vm/qemu.js';

/** A fresh cache, so that no earlier answer counts. */
function freshCache(t: { testdir: () => string; teardown: (f: () => void) => void }): string {
  const before = process.env.KLP_CACHE;
  const folder = t.testdir();
  process.env.KLP_CACHE = folder;
  t.teardown(() => {
    if (before === undefined) delete process.env.KLP_CACHE;
    else process.env.KLP_CACHE = before;
  });
  return folder;
}

void t.test('the boot sector ends QEMU under TCG, and the probe sees it', async (t) => {
  t.equal(await probe(findProgram('qemu-system-x86_64', ''), 'tcg', 120_000), undefined);
});

void t.test('a guest that gets nowhere in time is a no', async (t) => {
  t.equal(await probe(findProgram('qemu-system-x86_64', ''), 'tcg', 5), 'a boot sector did not end within 0.005 s');
});

void t.test('auto: KVM only when it ran something; only a yes is kept', async (t) => {
  const cache = freshCache(t);
  const { accel, reason } = await chooseAccel('x86_64', 'auto');
  const kept = await readdir(join(cache, 'accel')).catch(() => []);
  if (accel === 'kvm') {
    t.equal(kept.length, 1);
    t.equal((await chooseAccel('x86_64', 'auto', 1)).reason, 'KVM ran a guest since the host was booted');
  } else {
    t.match(reason, /^KVM is of no use here: ./);
    t.same(kept, []);
  }
});

void t.test('a choice is passed through; a foreign architecture is emulated', async (t) => {
  freshCache(t);
  t.same(await chooseAccel('x86_64', 'kvm'), { accel: 'kvm', reason: '--accel kvm' });
  t.same(await chooseAccel('x86_64', 'tcg'), { accel: 'tcg', reason: '--accel tcg' });
  t.equal((await chooseAccel('arm64', 'auto')).accel, 'tcg');
  t.throws(() => parseAccel('hvf'), { message: 'unknown accelerator "hvf"', hint: 'use auto, kvm or tcg' });
});

void t.test('without QEMU the Debian package is named', async (t) => {
  const path = process.env.PATH;
  process.env.PATH = t.testdir();
  t.teardown(() => (process.env.PATH = path));
  for (const { arch, qemu, qemuPackage } of Object.values(architectures)) {
    await t.rejects(chooseAccel(arch, 'auto'), {
      name: 'InfrastructureError',
      message: `${qemu} is not installed`,
      hint: `apt-get install ${qemuPackage}`,
    });
  }
});
