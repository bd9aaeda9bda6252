// SPDX-License-Identifier: MIT

/**
 * Every difference between kernel generations that a rule or a scenario depends on, named once. A version number stands
 * nowhere else in the model. Probes look at existence (a symbol, a config option, a header's field), never at the
 * behaviour under test, so that a broken feature is a failure and not a missing capability.
 */
export const capabilityTexts = {
  livepatch: 'livepatch is built in (CONFIG_LIVEPATCH=y)',
  'no-livepatch': 'livepatch is not built in (CONFIG_LIVEPATCH=n)',
  'reliable-stacks': 'sleeping tasks are switched by stack check (CONFIG_HAVE_RELIABLE_STACKTRACE=y)',
  'no-reliable-stacks': 'the architecture or configuration has no reliable stack traces (CONFIG_HAVE_RELIABLE_STACKTRACE=n)',
  registration: 'klp_register_patch() and its siblings: patches can be enabled again, in stack order (4.12 to 5.0)',
  immediate: 'the immediate flags of klp_patch and klp_func (4.12 to 4.15)',
  'sysfs-signal': 'a signal file beside enabled (4.16 to 5.0)',
  'sysfs-force': 'a force file beside enabled (4.16 and later)',
  'sysfs-replace': 'a replace file beside enabled (6.11 and later)',
  'sysfs-stack-order': 'a stack_order file beside enabled (6.14 and later)',
  'sysfs-patched': 'a patched file in each object directory (6.1 and later)',
  'relocations-at-load': 'relocations of vmlinux are applied while the module loads, before its init (5.8 and later)',
} as const;

export type Capability = keyof typeof capabilityTexts;

/** What the probes look at; all of it is there before a livepatch is loaded. */
export interface ProbeFacts {
  /** `.config` of the kernel, as text. */
  readonly config: string;
  /** include/linux/livepatch.h of the build directory, or '' when there is none. */
  readonly livepatchHeader: string;
  /** Names in the guest's /proc/kallsyms, or undefined when no guest has been asked yet. */
  readonly symbols: ReadonlySet<string> | undefined;
}

function option(config: string, name: string): boolean {
  return config.includes(`\nCONFIG_${name}=y\n`) || config.startsWith(`CONFIG_${name}=y\n`);
}

/**
 * Probes what a kernel can be asked.
 * @returns the capabilities found; without `symbols` only those that configuration and header show
 */
export function probe(facts: ProbeFacts): ReadonlySet<Capability> {
  const found = new Set<Capability>();
  const { config, livepatchHeader: header, symbols } = facts;
  found.add(option(config, 'LIVEPATCH') ? 'livepatch' : 'no-livepatch');
  if (found.has('no-livepatch')) return found;
  found.add(option(config, 'HAVE_RELIABLE_STACKTRACE') ? 'reliable-stacks' : 'no-reliable-stacks');
  if (/\bklp_register_patch\b/.test(header)) found.add('registration');
  if (/\bbool\s+immediate\b/.test(header)) found.add('immediate');
  // klp_apply_section_relocs() came with the change that moved vmlinux relocations into load_module (5.8).
  if (/\bklp_apply_section_relocs\b/.test(header)) found.add('relocations-at-load');
  const attributes: readonly (readonly [string, Capability])[] = [
    ['signal_kobj_attr', 'sysfs-signal'],
    ['force_kobj_attr', 'sysfs-force'],
    ['replace_kobj_attr', 'sysfs-replace'],
    ['stack_order_kobj_attr', 'sysfs-stack-order'],
    ['patched_kobj_attr', 'sysfs-patched'],
  ];
  for (const [symbol, capability] of attributes) if (symbols?.has(symbol)) found.add(capability);
  return found;
}
