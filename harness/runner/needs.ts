// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import type { FileToPush } from '../guest/guest.js';
import { type Capability, capabilityTexts } from '../model/capabilities.js';
import { type BuiltModule, moduleKey } from '../modules/build.js';
import type { Scenario } from './scenario.js';

/** Capabilities that neither configuration nor header show. */
export const onlyInGuest: ReadonlySet<Capability> = new Set([
  'sysfs-signal',
  'sysfs-force',
  'sysfs-replace',
  'sysfs-stack-order',
  'sysfs-patched',
]);

/** What a kernel's report says of missing capabilities. */
export function lacks(missing: readonly Capability[]): string {
  return `the kernel lacks: ${missing.map((c) => `${c} (${capabilityTexts[c]})`).join('; ')}`;
}

/** Capabilities that a scenario needs and the kernel has not. */
export function lacking(s: Scenario, capabilities: ReadonlySet<Capability>): readonly Capability[] {
  return s.needs.filter((c) => !capabilities.has(c));
}

/** A scenario's modules as files, or why one of them could not be built. */
export function moduleFiles(s: Scenario, modules: ReadonlyMap<string, BuiltModule>): readonly FileToPush[] | InfrastructureError {
  const files: FileToPush[] = [];
  for (const m of s.modules) {
    const built = modules.get(moduleKey(m)) ?? { error: new InfrastructureError(`module ${m.name} was not built`) };
    if ('error' in built) return built.error;
    files.push({ name: `${m.name}.ko`, file: built.file });
  }
  return files;
}
