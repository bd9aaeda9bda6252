// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arch } from '../harness/arch.js';
import { ElfError, modinfoFields, readObject } from '../harness/elf/index.js';
import { InfrastructureError, messageOf } from '../harness/errors.js';
import { type ModuleFile, moduleName, modulesOf } from '../harness/modules/packed.js';
import type { AcquiredKernel } from '../kernels/types.js';

/** How the guest's devices are attached: over PCI, or as QEMU's virtio-mmio where a small kernel has no PCI. */
export type Transport = 'pci' | 'mmio';

/** A module to load, its object code unpacked. */
export interface KernelModule {
  readonly name: string;
  readonly object: Buffer;
}

export interface Drivers {
  readonly transport: Transport;
  /** In the order in which they must be loaded. */
  readonly modules: readonly KernelModule[];
  /** Whether the guest agent can have a virtio port; otherwise it is reached over SSH. */
  readonly agentPort: boolean;
  /** What is missing but can be done without: one line each. */
  readonly notes: readonly string[];
}

interface Driver {
  readonly option: string;
  readonly module?: string;
  readonly for: string;
}

/** What no module can bring, since it is needed before the first module is loaded. */
function builtins(arch: Arch): Driver[] {
  return [
    { option: 'BLK_DEV_INITRD', for: 'the initramfs' },
    { option: 'DEVTMPFS', for: '/dev' },
    { option: 'SYSCTL', for: '/proc/sys, which tells one boot from another' },
    { option: 'INET', for: 'the network' },
    arch === 'x86_64'
      ? { option: 'SERIAL_8250_CONSOLE', for: 'the console (QEMU device isa-serial)' }
      : { option: 'SERIAL_AMBA_PL011_CONSOLE', for: 'the console (QEMU device pl011)' },
  ];
}

const network: Driver = { option: 'VIRTIO_NET', module: 'virtio_net', for: 'the network card' };
const random: Driver = { option: 'HW_RANDOM_VIRTIO', module: 'virtio_rng', for: 'the source of randomness (virtio-rng)' };

const port: Driver = { option: 'VIRTIO_CONSOLE', module: 'virtio_console', for: 'the port of the guest agent' };

function bus(arch: Arch, transport: Transport): Driver[] {
  if (transport === 'mmio') return [{ option: 'VIRTIO_MMIO', module: 'virtio_mmio', for: 'the virtio-mmio bus' }];
  const pci: Driver[] = [{ option: 'PCI', for: 'the PCI bus' }];
  if (arch === 'arm64') {
    pci.push({ option: 'PCI_HOST_GENERIC', module: 'pci_host_generic', for: 'the PCI bus of QEMU virt' });
  }
  return [...pci, { option: 'VIRTIO_PCI', module: 'virtio_pci', for: 'virtio devices on PCI' }];
}

/**
 * Finds what a kernel needs to reach the guest's devices, by looking at its configuration and modules, before anything
 * is booted.
 *
 * @throws InfrastructureError naming each option and device a guest of ours cannot do without
 */
export async function findDrivers(kernel: AcquiredKernel): Promise<Drivers> {
  const shelf = await Shelf.open(kernel);
  const missing = builtins(kernel.arch).filter((need) => shelf.where(need) === 'missing');
  // Only QEMU's arm machine has virtio-mmio slots; PCI wins where both would do.
  const transports: Transport[] = kernel.arch === 'arm64' ? ['pci', 'mmio'] : ['pci'];
  const transport =
    transports.find((t) => bus(kernel.arch, t).every((need) => shelf.where(need) !== 'missing')) ?? 'pci';
  const needs = [...bus(kernel.arch, transport), network];
  missing.push(...needs.filter((need) => shelf.where(need) === 'missing'));
  if (missing.length > 0) throw cannotBoot(kernel, missing);

  const notes: string[] = [];
  if (shelf.where(random) === 'missing') {
    notes.push(`${kernel.name} has no CONFIG_${random.option}: nothing feeds ${random.for}`);
  } else {
    needs.push(random);
  }
  const agentPort = shelf.where(port) !== 'missing';
  if (agentPort) needs.push(port);
  else notes.push(`${kernel.name} has no CONFIG_${port.option}: the guest agent is reached over SSH, which is slower`);
  const modules = new Map<string, KernelModule>();
  for (const need of needs) {
    if (need.module !== undefined && shelf.where(need) === 'module') await shelf.load(need.module, modules);
  }
  return { transport, modules: [...modules.values()], agentPort, notes };
}

function cannotBoot(kernel: AcquiredKernel, missing: readonly Driver[]): InfrastructureError {
  const where =
    kernel.modulesDir === undefined ? 'not built in, and no modules came with it' : 'neither built in nor among its modules';
  const lines = missing.map((m) => `CONFIG_${m.option}${m.module === undefined ? '' : ` (${m.module})`}: for ${m.for}`);
  return new InfrastructureError(
    `kernel ${kernel.name} (${kernel.release}) cannot run a guest: ${where}: ${missing.map((m) => `CONFIG_${m.option}`).join(', ')}`,
    { details: lines, hint: 'build it with these options set to y' },
  );
}

/** One kernel's configuration, built-in drivers and module files. */
class Shelf {
  private constructor(
    private readonly config: string,
    private readonly builtin: ReadonlySet<string>,
    private readonly files: ReadonlyMap<string, ModuleFile>,
  ) {}

  static async open(kernel: AcquiredKernel): Promise<Shelf> {
    const config = await readFile(kernel.config, 'utf8').catch((error: unknown) => {
      throw new InfrastructureError(`the configuration of ${kernel.name} cannot be read: ${messageOf(error)}`);
    });
    const { modulesDir } = kernel;
    if (modulesDir === undefined) return new Shelf(config, new Set(), new Map());
    const builtin = await readFile(join(modulesDir, 'modules.builtin'), 'utf8').catch(() => '');
    const files = await modulesOf(modulesDir);
    return new Shelf(
      config,
      new Set(builtin.split('\n').map(moduleName)),
      new Map(files.map((file) => [file.name, file])),
    );
  }

  where({ option, module }: Driver): 'builtin' | 'module' | 'missing' {
    if (new RegExp(`^CONFIG_${option}=y$`, 'm').test(this.config)) return 'builtin';
    if (module === undefined) return 'missing';
    if (this.builtin.has(module)) return 'builtin';
    return this.files.has(module) ? 'module' : 'missing';
  }

  /** Adds a module to `loaded`, what it depends on first. */
  async load(name: string, loaded: Map<string, KernelModule>): Promise<void> {
    if (loaded.has(name) || this.builtin.has(name)) return;
    const file = this.files.get(name);
    if (file === undefined) throw new InfrastructureError(`kernel module ${name} is depended upon but nowhere to be found`);
    const object = await file.unpacked();
    for (const dependency of dependencies(name, object)) await this.load(dependency, loaded);
    loaded.set(name, { name, object });
  }
}

/**
 * The modules that a module names in its `.modinfo` (kernel: scripts/mod/modpost.c, add_depends).
 * @throws InfrastructureError when the object is no ELF64 relocatable file, or has no `.modinfo`
 */
export function dependencies(name: string, object: Buffer): string[] {
  try {
    const fields = modinfoFields(readObject(object));
    if (fields.length === 0) throw new InfrastructureError(`kernel module ${name} has no .modinfo section`);
    const depends = fields.find(({ key }) => key === 'depends')?.value ?? '';
    return depends.split(',').filter((other) => other !== '').map(moduleName);
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    throw new InfrastructureError(`kernel module ${name} is damaged: ${error.message}`);
  }
}
