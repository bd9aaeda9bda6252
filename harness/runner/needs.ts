// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import type { FileToPush } from '../guest/guest.js';
import { type Capability, type Finding, capabilityTexts } from '../model/capabilities.js';
import { type BuiltModule, moduleKey } from '../modules/build.js';
import type { Scenario } from './scenario.js';

/** What a kernel's report says of missing capabilities. */
export function lacks(missing: readonly Capability[]): string {
  return `the kernel lacks: ${missing.map((c) => `${c} (${capabilityTexts[c]})`).join('; ')}`;
}

/** What is said where a kernel lacks what its catalogue entry promises: that is no question that can't be asked, but a failure. */
export function broke(missing: readonly Capability[], findings: ReadonlyMap<Capability, Finding>): string {
  const each = missing.map((c) => `${c} (${capabilityTexts[c]}; seen: ${findings.get(c)?.evidence ?? 'livepatch is not built in'})`);
  return `the catalogue says that this kernel has what it lacks: ${each.join('; ')}`;
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
