// SPDX-License-Identifier: MIT
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { architectures } from '../harness/arch.js';
import { cached, digest } from '../harness/cache.js';
import { packagePath } from '../harness/package-root.js';
import type { AcquiredKernel, Progress } from '../kernels/types.js';
import { fetchPackages, unpackPackage } from '../kernels/packages.js';
import { findDrivers, type Transport } from './drivers.js';
import { generateKeys, type ImageKeys } from './keys.js';
import { withParents, writeNewc, type Entry } from './newc.js';
import { userland, userlandPackages } from './userland.js';

/** Raised whenever what `assemble` does with the same inputs changes. */
const layout = 2;

export interface ImageRequest {
  readonly kernel: AcquiredKernel;
  /** The static agent binary for the guest's architecture, which becomes `/bin/klp-agent`. */
  readonly agent?: string;
  /** Debian suite the guest's programs are taken from: the host's own. */
  readonly suite: string;
  readonly progress: Progress;
  /** Another PID 1 than `images/init/init.sh`; for tests of the harness. */
  readonly init?: string;
}

/** What a guest is booted from, beside its kernel. */
export interface Image {
  /** File for QEMU's `-initrd`. */
  readonly initramfs: string;
  /** How QEMU must attach the guest's devices for this kernel to see them. */
  readonly transport: Transport;
  /** Whether the agent waits at a virtio port (init.sh starts it there); otherwise start it over SSH. */
  readonly agentPort: boolean;
  /** Private key, as text, that lets root in. */
  readonly userKey: string;
  /** The same key as a file of mode 0600, for `ssh -i`. */
  readonly userKeyFile: string;
  /** Public key of the guest, as it goes over the wire: pin it. */
  readonly hostKey: Buffer;
  /** Hex digest of the initramfs: changes with anything the guest could notice, the keys among them. */
  readonly fingerprint: string;
}

/**
 * Builds the initramfs for a kernel, or takes it from the cache: busybox, dropbear, the virtio modules the kernel
 * lacks built in, new keys and the agent.
 *
 * @throws InfrastructureError when the kernel lacks a driver a guest cannot do without, or a package cannot be had
 */
export async function buildImage(request: ImageRequest): Promise<Image> {
  const { kernel, suite, progress } = request;
  const info = architectures[kernel.arch];
  const drivers = await findDrivers(kernel);
  drivers.notes.forEach(progress);
  const agent = request.agent === undefined ? undefined : await readFile(request.agent);
  const init = await readFile(request.init ?? packagePath('images/init/init.sh'));
  const packages = await fetchPackages({ suite, arch: info.debian, names: userlandPackages, progress });
  const key = digest(
    String(layout),
    kernel.arch,
    kernel.fingerprint,
    drivers.transport,
    ...drivers.modules.flatMap((module) => [module.name, module.object]),
    ...packages.map((p) => p.record.sha256),
    init,
    agent ?? 'no agent',
  );

  const directory = await cached('images', key, async (work) => {
    progress(`building the initramfs for ${kernel.name}`);
    const root = join(work, 'root');
    await mkdir(root);
    for (const { file } of packages) await unpackPackage(file, root);
    const keys = generateKeys();
    const archive = writeNewc(
      withParents([
        ...skeleton(keys),
        ...(await userland(root, info)),
        { kind: 'file', path: 'init', mode: 0o755, data: init },
        ...drivers.modules.map(({ name, object }) => file(`lib/klp/${name}.ko`, object)),
        file('etc/klp/modules', drivers.modules.map(({ name }) => `${name}\n`).join('')),
        ...(agent ? [file('bin/klp-agent', agent, 0o755)] : []),
      ]),
    );
    await rm(root, { recursive: true });
    // Not compressed: an emulated guest would take longer to unpack it than it takes to be handed the whole. And for nobody
    // else's eyes, since the guest's private key is in it.
    await writeFile(join(work, 'initramfs.cpio'), archive, { mode: 0o600 });
    await writeFile(join(work, 'user_key'), keys.userKey, { mode: 0o600 });
    await writeFile(join(work, 'host_key.pub'), keys.hostKey);
    await writeFile(join(work, 'fingerprint'), digest(archive));
  });
  return {
    initramfs: join(directory, 'initramfs.cpio'),
    transport: drivers.transport,
    agentPort: drivers.agentPort && agent !== undefined,
    userKey: await readFile(join(directory, 'user_key'), 'utf8'),
    userKeyFile: join(directory, 'user_key'),
    hostKey: await readFile(join(directory, 'host_key.pub')),
    fingerprint: await readFile(join(directory, 'fingerprint'), 'utf8'),
  };
}

/** Folders to mount on, the accounts, the keys. */
function skeleton(keys: ImageKeys): Entry[] {
  return [
    ...['dev', 'proc', 'sys', 'tmp', 'run', 'root', 'root/.ssh'].map(
      (path): Entry => ({ kind: 'directory', path, mode: path.startsWith('root') ? 0o700 : 0o755 }),
    ),
    // The kernel opens it for PID 1 before anything is mounted.
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/false\n'),
    file('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    file('etc/shells', '/bin/sh\n'),
    file('etc/hostname', 'klp-guest\n'),
    // PID 1 becomes busybox's init; without this file it would open shells on every terminal.
    file('etc/inittab', '# nothing to start\n'),
    file('root/.ssh/authorized_keys', keys.authorizedKey, 0o600),
    file('etc/dropbear/host_key', keys.hostKeyFile, 0o600),
  ];
}

function file(path: string, data: string | Buffer, mode = 0o644): Entry {
  return { kind: 'file', path, mode, data: typeof data === 'string' ? Buffer.from(data) : data };
}

