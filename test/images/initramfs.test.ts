// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import t from 'tap';
import { dependencies, findDrivers } from '../../images/drivers.js';
import { buildImage } from '../../images/initramfs.js';
import { readNewc } from '../../images/newc.js';
import type { AcquiredKernel } from '../../kernels/types.js';
import { hostSuite } from '../../kernels/mirrors.js';
import { patience, stockImage } from '../vm/stock.js';

t.setTimeout(patience);

const { kernel, image } = await stockImage();
const chain = ['virtio', 'virtio_ring', 'virtio_pci', 'failover', 'net_failover', 'virtio_net', 'virtio_rng'];

/** A kernel with the stock configuration, changed, and some of its modules in another folder. */
async function altered(
  t: { testdir: () => string },
  change: (config: string) => string,
  modules?: (from: string, to: string) => Promise<void>,
): Promise<AcquiredKernel> {
  const folder = t.testdir();
  const config = join(folder, 'config');
  await writeFile(config, change(await readFile(kernel.config, 'utf8')));
  if (!modules) return { ...kernel, config, modulesDir: undefined };
  const modulesDir = join(folder, 'modules');
  await mkdir(join(modulesDir, 'kernel'), { recursive: true });
  for (const name of await readdir(kernel.modulesDir ?? '', { recursive: true })) {
    if (/\/(virtio|failover|net_failover)[\w-]*\.ko$/.test(name)) {
      await modules(join(kernel.modulesDir ?? '', name), join(modulesDir, 'kernel', basename(name)));
    }
  }
  return { ...kernel, config, modulesDir };
}

const same = (config: string): string => config;

void t.test('modules come after what they depend on', async (t) => {
  const { modules, transport, notes } = await findDrivers(kernel);
  const names = modules.map(({ name }) => name);
  for (const name of chain) t.ok(names.includes(name), name);
  for (const [index, { object }] of modules.entries()) {
    t.ok(dependencies(names[index] ?? '', object).every((dependency) => names.slice(0, index).includes(dependency)), names[index] ?? '');
  }
  t.equal(transport, 'pci');
  t.same(notes, []);
});

void t.test('modules of the source tree that a link leads to are none of the kernel', async (t) => {
  const linked = await altered(t, same, async (from, to) => {
    if (!from.endsWith('/failover.ko')) await copyFile(from, to);
  });
  const source = join(linked.modulesDir ?? '', '..', 'source');
  await mkdir(source);
  await writeFile(join(source, 'failover.ko'), 'of another build');
  await symlink('../source', join(linked.modulesDir ?? '', 'build'));
  await t.rejects(findDrivers(linked), { message: 'kernel module failover is depended upon but nowhere to be found' });
});

void t.test('compressed modules are unpacked', async (t) => {
  const expected = await findDrivers(kernel);
  for (const [tool, suffix] of [['xz', '.xz'], ['zstd', '.zst'], ['gzip', '.gz']] as const) {
    await t.test(tool, async (t) => {
      const packed = await altered(t, same, async (from, to) => {
        await writeFile(to + suffix, execFileSync(tool, ['-c', from], { maxBuffer: 1e9 }));
      });
      t.same(await findDrivers(packed), expected);
    });
  }
});

void t.test('what is built in needs no module', async (t) => {
  const builtin = await altered(t, (config) => config.replace(/^(CONFIG_(VIRTIO_PCI|VIRTIO_NET|HW_RANDOM_VIRTIO))=m$/gm, '$1=y'));
  t.same((await findDrivers(builtin)).modules, []);
});

void t.test('a kernel without a driver is refused before anything boots, with option, module and device', async (t) => {
  const without = await altered(t, (config) => config.replace(/^CONFIG_(VIRTIO_NET|VIRTIO_PCI)=m$/gm, '# not set'));
  await t.rejects(buildImage({ kernel: without, suite: await hostSuite(), progress: () => undefined }), {
    name: 'InfrastructureError',
    message:
      `kernel ${without.name} (` +
      `${kernel.release}) cannot run a guest: not built in, and no modules came with it: CONFIG_VIRTIO_PCI, CONFIG_VIRTIO_NET`,
    details: ['CONFIG_VIRTIO_PCI (virtio_pci): for virtio devices on PCI', 'CONFIG_VIRTIO_NET (virtio_net): for the network card'],
    hint: 'build it with these options set to y',
  });
});

void t.test('a module that is there but whose dependency is not', async (t) => {
  const partial = await altered(t, same, async (from, to) => {
    if (!from.endsWith('/failover.ko')) await copyFile(from, to);
  });
  await t.rejects(findDrivers(partial), { message: 'kernel module failover is depended upon but nowhere to be found' });
});

void t.test('a kernel without virtio-rng can do, and it is said', async (t) => {
  const mute = await altered(t, (config) =>
    config.replace(/^(CONFIG_VIRTIO_(PCI|NET|CONSOLE))=m$/gm, '$1=y').replace('CONFIG_HW_RANDOM_VIRTIO=m', ''),
  );
  t.same((await findDrivers(mute)).notes, [
    `${mute.name} has no CONFIG_HW_RANDOM_VIRTIO: nothing feeds the source of randomness (virtio-rng)`,
  ]);
});

void t.test('an arm64 kernel without PCI gets virtio-mmio', async (t) => {
  const config = ['BLK_DEV_INITRD', 'DEVTMPFS', 'SYSCTL', 'INET', 'SERIAL_AMBA_PL011_CONSOLE', 'VIRTIO_MMIO', 'VIRTIO_NET'];
  const arm: AcquiredKernel = {
    ...(await altered(t, () => config.map((option) => `CONFIG_${option}=y\n`).join(''))),
    arch: 'arm64',
  };
  t.match(await findDrivers(arm), { transport: 'mmio', modules: [] });
});

void t.test('what is in the initramfs', async (t) => {
  const entries = new Map(readNewc(await readFile(image.initramfs)).map((entry) => [entry.path, entry]));
  t.match(entries.get('init'), { kind: 'file', mode: 0o755 });
  t.match(entries.get('dev/console'), { kind: 'device', mode: 0o600, major: 5, minor: 1 });
  t.match(entries.get('root/.ssh/authorized_keys'), { kind: 'file', mode: 0o600 });
  t.match(entries.get('etc/dropbear/host_key'), { kind: 'file', mode: 0o600 });
  t.ok(entries.has('lib64/ld-linux-x86-64.so.2'));
  t.ok(entries.has('lib/x86_64-linux-gnu/libc.so.6'));
  t.notOk(entries.has('bin/klp-agent'), 'no agent was asked for');
  for (const secret of [image.userKeyFile, image.initramfs]) t.equal((await stat(secret)).mode & 0o777, 0o600, secret);
});

void t.test('the same request gives the same image, keys and all; another agent another one', async (t) => {
  const again = await stockImage();
  t.same(again.image, image);
  const agent = join(t.testdir(), 'agent');
  await writeFile(agent, 'not really');
  const other = await buildImage({ kernel, agent, suite: await hostSuite(), progress: () => undefined });
  t.not(other.fingerprint, image.fingerprint);
  t.notOk(other.hostKey.equals(image.hostKey));
  const [entry] = readNewc(await readFile(other.initramfs)).filter((e) => e.path === 'bin/klp-agent');
  t.match(entry, { kind: 'file', mode: 0o755 });
});
