// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InfrastructureError } from './errors.js';

/**
 * The folder of this package: of the working copy, or of the installed tarball. What is shipped as source (the agent's
 * and the modules' C) is found from here, whether the caller runs from `dist/` or not.
 *
 * @param from where to begin, a path or a file: URL; upwards until a package.json named klp-conformance
 * @throws InfrastructureError when there is none
 */
export function packageRoot(from: string = import.meta.url): string {
  const start = from.startsWith('file:') ? fileURLToPath(from) : from;
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
