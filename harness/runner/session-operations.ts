// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import type { Outcome } from '../guest/guest.js';
import type { LivepatchDescription, ModuleDescription } from '../model/description.js';
import type { SessionRecord } from './session-record.js';

/** Where a scenario's modules lie in the guest. */
export const moduleDirectory = '/tmp/klp-modules';

/** insmod. */
export function load(record: SessionRecord, module: ModuleDescription): Promise<void> {
  const path = `${moduleDirectory}/${module.name}.ko`;
  return record.operate({ kind: 'load', module }, `insmod ${module.name}`, async () => {
    const outcome = await record.guest.insmod(path);
    requireTrusted(record, module, outcome);
    return outcome;
  });
}

/** A key that the kernel does not trust is the user's fault, and says nothing of livepatch. */
function requireTrusted({ model }: SessionRecord, module: ModuleDescription, { name }: Outcome<unknown>): void {
  if (!model.facts.capabilities.has('signatures-enforced') || !/^E(?:NO)?KEY/.test(name)) return;
  throw new InfrastructureError(`the kernel does not trust the key that ${module.name} is signed with: insmod ends with ${name}`, {
    hint: 'the certificate of --sign-cert must be one that the kernel was built with',
  });
}

/** rmmod, without waiting for users. */
export function unload(record: SessionRecord, module: ModuleDescription): Promise<void> {
  return record.operate({ kind: 'unload', module: module.name }, `rmmod ${module.name}`, () =>
    record.guest.rmmod(module.name),
  );
}

/** Writes a text into the patch's `enabled`. */
export function write(record: SessionRecord, patch: LivepatchDescription, text: string): Promise<void> {
  const path = `/sys/kernel/livepatch/${patch.name}/enabled`;
  return record.operate({ kind: 'write-enabled', patch: patch.name, text }, `write "${text}" to ${patch.name}/enabled`, () =>
    record.guest.write(path, text),
  );
}

/** Writes a text into the patch's `force`. */
export function force(record: SessionRecord, patch: LivepatchDescription, text = '1'): Promise<void> {
  const path = `/sys/kernel/livepatch/${patch.name}/force`;
  return record.operate({ kind: 'write-force', patch: patch.name, text }, `write "${text}" to ${patch.name}/force`, () =>
    record.guest.write(path, text),
  );
}
