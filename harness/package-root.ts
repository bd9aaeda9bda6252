// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InfrastructureError } from './errors.js';

/**
 * The folder of this package: of the working copy, or of the installed tarball. What is shipped as source (the agent's
 * and the modules' C) is found from here, whether the caller runs from `dist/` or not.
 *
 * @throws InfrastructureError when no folder above has a package.json named klp-conformance
 */
function packageRoot(): string {
  const start = fileURLToPath(import.meta.url);
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && /"name":\s*"klp-conformance"/.test(readFileSync(file, 'utf8'))) return folder;
    if (dirname(folder) === folder) throw new InfrastructureError(`no folder above ${start} is the klp-conformance package`);
  }
}

/** A path inside the package: `packagePath('harness/modules/c/target.c')`. */
export function packagePath(...parts: readonly string[]): string {
  return join(packageRoot(), ...parts);
}
