// SPDX-License-Identifier: MIT
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { runMake } from '../../kernels/toolchain.js';
import type { AcquiredKernel } from '../../kernels/types.js';
import { architectures } from '../arch.js';
import { cacheRoot } from '../cache.js';
import { InfrastructureError } from '../errors.js';

/** A module as one C file. */
export interface ModuleSource {
  readonly name: string;
  readonly source: string;
}

/** kbuild refused a module: the compiler's own lines are the details. */
export class ModuleBuildError extends InfrastructureError {}

/**
 * Builds modules for a kernel in one kbuild run.
 *
 * @param modules with distinct names: kbuild knows a module by its file's
 * @param deliver called with each module's name and the path of its .ko, which is gone when `deliver` has returned
 * @param signal  aborting it ends the build
 * @throws ModuleBuildError naming the modules, with the compiler's lines; the signal's reason
 */
export async function kbuild(
  kernel: AcquiredKernel,
  modules: readonly ModuleSource[],
  deliver: (name: string, file: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const scratch = join(cacheRoot(), 'tmp');
  await mkdir(scratch, { recursive: true });
  const work = await mkdtemp(join(scratch, 'kbuild-'));
  try {
    await writeFile(join(work, 'Kbuild'), `obj-m := ${modules.map((m) => `${m.name}.o`).join(' ')}\n`);
    await Promise.all(modules.map((m) => writeFile(join(work, `${m.name}.c`), m.source)));
    const result = await runMake(kernel.toolchain, makeArguments(kernel, work), [kernel.buildDir, work], {
      timeout: 30 * 60_000,
      ...(signal === undefined ? {} : { signal }),
    });
    if (result.exitCode !== 0) {
      throw new ModuleBuildError(`kbuild of ${modules.map((m) => m.name).join(', ')} for ${kernel.name} failed`, {
        hint: `the build directory is ${kernel.buildDir}, the compiler ${kernel.toolchain.version}`,
        details: compilerLines(result.all, work),
      });
    }
    for (const { name } of modules) await deliver(name, join(work, `${name}.ko`));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Everything kbuild would otherwise take from the caller's environment is said here; see scrubbedEnvironment(). */
function makeArguments(kernel: AcquiredKernel, work: string): string[] {
  return [
    '-C',
    kernel.buildDir,
    `M=${work}`,
    `ARCH=${architectures[kernel.arch].kbuild}`,
    // Symbols that nothing exports become livepatch symbols after modpost.
    'KBUILD_MODPOST_WARN=1',
    '--no-print-directory',
    `-j${cpus().length}`,
    'modules',
  ];
}

/** What a person needs of a failed build: the compiler's errors with their context, else its last lines. */
function compilerLines(output: string, work: string): string[] {
  const lines = output.replaceAll(`${work}/`, '').split('\n');
  const wanted = new Set<number>();
  lines.forEach((line, i) => {
    if (/\b(error|undefined|No such file)\b|ERROR:|\*\*\*/.test(line)) for (let k = i; k < i + 4; k++) wanted.add(k);
  });
  const chosen = lines.filter((line, i) => wanted.has(i) && line !== '');
  return (chosen.length > 0 ? chosen : lines.filter((l) => l !== '')).slice(0, 40);
}
