// SPDX-License-Identifier: MIT
import { UsageError } from './errors.js';

/** The two architectures, by the one name each has in every file, result and cache key. */
export type Arch = 'x86_64' | 'arm64';

/** Machine profiles, by the name each has on the command line and in results. */
export type MachineName = 'pc' | 'mt2731' | 'virt';

/** How QEMU plays a machine; one row a profile. */
export interface Machine {
  readonly name: MachineName;
  readonly arch: Arch;
  /** `-machine` */
  readonly machine: string;
  /** `-cpu` under TCG; with an accelerator the host's own CPU is used. */
  readonly cpu: string;
  /** Guest memory in MiB. */
  readonly memory: number;
  readonly cpus: number;
  /** The kernel's name of the first serial port. */
  readonly console: string;
}

/** What differs between architectures, as data. */
export interface ArchInfo {
  readonly arch: Arch;
  /** Name in Debian's archive. */
  readonly debian: string;
  /** `ARCH=` of kbuild. */
  readonly kbuild: string;
  /** GNU triplet: the cross compiler's prefix is this and a dash. */
  readonly triplet: string;
  readonly qemu: string;
  /** Debian package that has the QEMU binary. */
  readonly qemuPackage: string;
  /** `e_machine` of its ELF objects. */
  readonly elfMachine: number;
  /** Machine profile of a guest for which no other is named. */
  readonly machine: Machine;
  /** Factor on every guest deadline without an accelerator. */
  readonly tcgSlowdown: number;
}

export const machines: Readonly<Record<MachineName, Machine>> = {
  pc: { name: 'pc', arch: 'x86_64', machine: 'q35', cpu: 'max', memory: 256, cpus: 2, console: 'ttyS0' },
  // MT2731-like: two Cortex-A35, 256 MiB.
  mt2731: { name: 'mt2731', arch: 'arm64', machine: 'virt', cpu: 'cortex-a35', memory: 256, cpus: 2, console: 'ttyAMA0' },
  // ARMv8.2. Not `max`, whose features change with QEMU's version and whose pointer authentication is slow to emulate.
  virt: { name: 'virt', arch: 'arm64', machine: 'virt', cpu: 'cortex-a76', memory: 512, cpus: 2, console: 'ttyAMA0' },
};

export const architectures: Readonly<Record<Arch, ArchInfo>> = {
  x86_64: {
    arch: 'x86_64',
    debian: 'amd64',
    kbuild: 'x86_64',
    triplet: 'x86_64-linux-gnu',
    qemu: 'qemu-system-x86_64',
    qemuPackage: 'qemu-system-x86',
    elfMachine: 62,
    machine: machines.pc,
    tcgSlowdown: 6,
  },
  arm64: {
    arch: 'arm64',
    debian: 'arm64',
    kbuild: 'arm64',
    triplet: 'aarch64-linux-gnu',
    qemu: 'qemu-system-aarch64',
    qemuPackage: 'qemu-system-arm',
    elfMachine: 183,
    machine: machines.mt2731,
    tcgSlowdown: 6,
  },
};

const aliases: Readonly<Record<string, Arch>> = {
  x86_64: 'x86_64',
  'x86-64': 'x86_64',
  amd64: 'x86_64',
  x86: 'x86_64',
  arm64: 'arm64',
  aarch64: 'arm64',
};

/**
 * @param word what a person wrote: `amd64`, `x86-64`, `aarch64`, …
 * @throws UsageError when no architecture goes by that name
 */
export function parseArch(word: string): Arch {
  const arch = aliases[word.toLowerCase()];
  if (!arch) throw new UsageError(`unknown architecture "${word}"`, { hint: 'use x86_64 or arm64' });
  return arch;
}

/**
 * The machine profile that a guest runs on.
 * @param word what a person wrote; the architecture's own profile when left out
 * @throws UsageError when there is no such profile, or it is of the other architecture
 */
export function machineFor(arch: Arch, word?: string): Machine {
  if (word === undefined) return architectures[arch].machine;
  const found = Object.values(machines).find((m) => m.name === word);
  const fitting = Object.values(machines).filter((m) => m.arch === arch).map((m) => m.name).join(' or ');
  if (!found) throw new UsageError(`unknown machine "${word}"`, { hint: `for ${arch}: ${fitting}` });
  if (found.arch !== arch) {
    throw new UsageError(`machine ${word} is ${found.arch}, the kernel is ${arch}`, { hint: `for ${arch}: ${fitting}` });
  }
  return found;
}
