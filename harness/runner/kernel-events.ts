// SPDX-License-Identifier: MIT
import type { AcquiredKernel } from '../../kernels/types.js';
import type { Bench } from './bench.js';
import type { Journal } from './journal.js';

/** Writes down what a kernel is. */
export function tellAcquired(journal: Journal, name: string, kernel: AcquiredKernel): void {
  journal.emit('kernel.acquired', {
    kernel: name,
    arch: kernel.arch,
    origin: kernel.origin,
    release: kernel.release,
    version: kernel.version,
    fingerprint: kernel.fingerprint,
    packages: [...kernel.packages],
    toolchain: kernel.toolchain.version,
    ...(kernel.toolchain.packages === undefined ? {} : { toolchainPackages: [...kernel.toolchain.packages] }),
    config: kernel.config,
  });
}

/** Writes down what its first guest is. */
export function tellBooted(journal: Journal, name: string, bench: Bench, capabilities: readonly string[]): void {
  journal.emit('kernel.booted', {
    kernel: name,
    accel: bench.accel,
    qemu: bench.qemu,
    machine: bench.profile,
    argv: [...bench.machine.argv],
    commandLine: bench.commandLine,
    bootMs: bench.bootMs,
    restored: bench.restored,
    capabilities: [...capabilities],
  });
}
