// SPDX-License-Identifier: MIT
import { type Capability, capabilities } from './capabilities.js';
import type { Facts } from './state.js';

/*
 * What kernels of each generation were found to have (klp kernels probe), for a model without any kernel beside it.
 */

const everywhere: readonly Capability[] = [
  'livepatch',
  'reliable-stacks',
  'kprobes',
  'function-tracer',
  'graph-tracer',
  'dynamic-debug',
  'module-unload',
  'all-symbols',
];
const x86: readonly Capability[] = ['relocations-checked', 'kprobes-on-ftrace'];
const since510: readonly Capability[] = [
  'replace',
  'callbacks',
  'shadow-variables',
  'shadow-constructors',
  'states',
  'sysfs-force',
  'fake-signals',
  'relocations-at-load',
  'permanent-ftrace',
];
const x86Since510: readonly Capability[] = ['getpid-x64', 'kprobes-share-ftrace', 'kprobes-report-errors', 'unwinds-exceptions'];
const since61: readonly Capability[] = [
  ...['sysfs-patched', 'long-symbol-names', 'true-false', 'ftrace-finds-sites', 'graph-operations'] as const,
  ...['finds-probed-returns', 'reasons-in-one-function', 'preempts-kernel'] as const,
];
const since612: readonly Capability[] = ['sysfs-replace', 'switch-at-schedule'];
const since73: readonly Capability[] = ['sysfs-stack-order', 'ftrace-stays-on', 'enabled-disabled'];
/** Of Debian's kernels; those of 7.x have no checksums of symbols. */
const packaged: readonly Capability[] = ['module-signatures'];

/** Capabilities by generation: a 4.14.177 of no distribution, Debian's kernels for x86-64, and our own build for arm64. */
export const generations = {
  '4.14': [...everywhere, ...x86, 'registration', 'immediate', 'architecture-sections', 'ftrace-saves-registers', 'getpid-plain'],
  '5.10': [...everywhere, ...x86, ...since510, ...x86Since510, ...packaged, 'modversions', 'ftrace-saves-registers'],
  '6.1': [...everywhere, ...x86, ...since510, ...x86Since510, ...since61, ...packaged, 'modversions'],
  '6.12': [
    ...[...everywhere, ...x86, ...since510, ...x86Since510, ...since61, ...since612],
    ...['relocations-cleared', 'modversions', ...packaged] as const,
  ],
  '7.3': [
    ...[...everywhere, ...x86, ...since510, ...x86Since510, ...since61, ...since612, ...since73],
    ...['relocations-cleared', ...packaged] as const,
  ],
  '7.3-arm64': [...everywhere, ...since510, ...since61, ...since612, ...since73, 'getpid-arm64'],
} satisfies Readonly<Record<string, readonly Capability[]>>;

export type Generation = keyof typeof generations;
export const generationNames = Object.keys(generations) as readonly Generation[];

/** Symbols of vmlinux that are not there once; the number of the ambiguous one differs between kernels. */
const symbolCounts: Readonly<Record<string, number>> = { init_once: 6, klp_no_such_function: 0 };

/** Capabilities of which a kernel has one or the other. */
const opposites: readonly (readonly [Capability, Capability])[] = [
  ['livepatch', 'no-livepatch'],
  ['reliable-stacks', 'no-reliable-stacks'],
];

/**
 * The facts of a kernel of that generation.
 *
 * @param changes a capability that it has as well, or with a minus one that it has not; with one of a pair of opposites goes the other
 */
export function factsLike(generation: Generation, changes: readonly (Capability | `-${Capability}`)[] = []): Facts {
  const has = new Set<Capability>(generations[generation]);
  const put = (name: Capability, there: boolean): void => {
    if (there) has.add(name);
    else has.delete(name);
  };
  for (const change of changes) {
    const there = !change.startsWith('-');
    const name = capabilities.find((c) => c === change.replace(/^-(?=.)/, ''));
    if (!name) continue;
    put(name, there);
    const pair = opposites.find((p) => p.includes(name));
    const opposite = pair?.find((c) => c !== name);
    if (opposite) put(opposite, !there);
  }
  return { capabilities: has, vmlinuxSymbols: (name) => symbolCounts[name] ?? 1 };
}
