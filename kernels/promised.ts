// SPDX-License-Identifier: MIT
import type { Capability } from '../harness/model/capabilities.js';

/*
 * What each kernel of the catalogue is known to have. A probe that does not find it means that the probe or the kernel is
 * broken: the scenarios that need it fail instead of being n/a.
 */

/** Livepatch as it has been since 5.1 on an architecture with reliable stacks, and what scenarios watch it with. */
const livepatch: readonly Capability[] = [
  'livepatch',
  'reliable-stacks',
  'replace',
  'callbacks',
  'shadow-variables',
  'shadow-constructors',
  'sysfs-force',
  'fake-signals',
  'kprobes',
  'function-tracer',
  'graph-tracer',
  'dynamic-debug',
  'module-unload',
  'all-symbols',
];
const since510: readonly Capability[] = [...livepatch, 'states', 'relocations-at-load', 'permanent-ftrace'];
const since61: readonly Capability[] = [...since510, 'sysfs-patched', 'long-symbol-names'];
const since612: readonly Capability[] = [...since61, 'switch-at-schedule', 'sysfs-replace'];
const since7: readonly Capability[] = [...since612, 'sysfs-stack-order', 'ftrace-stays-on', 'preempts-kernel'];

const promises: Readonly<Record<string, readonly Capability[]>> = {
  'bullseye-x86_64': [...since510, 'getpid-x64', 'modversions'],
  'bookworm-x86_64': [...since61, 'getpid-x64', 'modversions', 'preempts-kernel'],
  'trixie-x86_64': [...since612, 'getpid-x64', 'modversions', 'relocations-cleared', 'preempts-kernel'],
  'trixie-backports-x86_64': [...since7, 'getpid-x64', 'relocations-cleared'],
  'bullseye-arm64': ['no-livepatch'],
  'bookworm-arm64': ['no-livepatch'],
  'trixie-arm64': ['no-livepatch'],
  'trixie-backports-arm64': ['no-livepatch'],
  'built-6.1-x86_64': [...since61, 'getpid-x64'],
  'built-6.12-x86_64': [...since612, 'getpid-x64', 'relocations-cleared'],
  'built-7-x86_64': [...since7, 'getpid-x64', 'relocations-cleared'],
  'built-7-arm64': [...since7, 'getpid-arm64'],
  'built-7-x86_64-unreliable': [...since7.filter((c) => c !== 'reliable-stacks'), 'no-reliable-stacks', 'relocations-cleared'],
  'built-7-x86_64-no-livepatch': ['no-livepatch'],
};

/**
 * What a kernel of the catalogue must have.
 * @param name as the catalogue has it, with or without a pinned version (`@…`); nothing is known of any other
 */
export function promised(name: string): readonly Capability[] {
  return promises[name.replace(/@.*$/, '')] ?? [];
}
