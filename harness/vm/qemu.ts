// SPDX-License-Identifier: MIT
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { InfrastructureError } from '../errors.js';

/**
 * Absolute path of a program the harness runs.
 * @param debianPackage what to install when it is not there
 * @throws InfrastructureError when no folder of PATH has it
 */
export function findProgram(name: string, debianPackage: string): string {
  const { PATH: path = '' } = process.env;
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder === '' ? '.' : folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // not in this one
    }
  }
  throw new InfrastructureError(`${name} is not installed`, { hint: `apt-get install ${debianPackage}` });
}

/**
 * A command line that ends with the process that starts it, however that one ends. `setpriv` replaces itself by the
 * program, so the child's pid is the program's. The kernel sends the signal when the starting *thread* ends: start
 * such programs from the main thread.
 *
 * @throws InfrastructureError when setpriv is missing
 */
export function tiedToUs(program: string, args: readonly string[]): { command: string; args: string[] } {
  const command = findProgram('setpriv', 'util-linux');
  return { command, args: ['--pdeathsig', 'KILL', '--', program, ...args] };
}
