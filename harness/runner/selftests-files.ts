// SPDX-License-Identifier: MIT
import { copyFile, readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { compileStatic } from '../../images/agent.js';
import { scriptTools, toolLinks } from '../../images/tools.js';
import { scriptsIn, type Selftests } from '../../kernels/selftests.js';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { cached, digest } from '../cache.js';
import type { FileToPush } from '../guest/guest.js';
import { kbuild } from '../modules/kbuild.js';

/** Where the suite is in the guest, without the slash. */
const place = 'opt/selftests';

/**
 * Everything a guest needs to run the scripts, as files for its root folder: scripts as they are, modules compiled as those
 * of scenarios are, programs, and the tools that a distribution would have.
 *
 * @throws ModuleBuildError, InfrastructureError when something can't be built or had
 */
export async function selftestFiles(kernel: AcquiredKernel, suite: Selftests, progress: Progress, signal: AbortSignal): Promise<FileToPush[]> {
  const names = (await readdir(suite.scripts)).sort();
  const scripts = [...(await scriptsIn(suite.scripts)), 'functions.sh'];
  const programs = names.filter((name) => name.endsWith('.c'));
  const modules = await compiledModules(kernel, suite, progress, signal);
  const modulePlace = suite.loading === 'modprobe' ? `lib/modules/${kernel.release}/kernel/lib/livepatch` : `${place}/test_modules`;
  return [
    ...(await scriptTools(kernel.arch, progress)),
    ...scripts.map((name) => ({ name: `${place}/${name}`, mode: 0o755, file: join(suite.scripts, name) })),
    ...(await compiledPrograms(kernel, suite.scripts, programs)).map((file) => ({ name: `${place}/${basename(file)}`, mode: 0o755, file })),
    ...suite.moduleNames.map((name) => ({ name: `${modulePlace}/${name}.ko`, file: join(modules, `${name}.ko`) })),
  ];
}

/**
 * Shell commands that make the pushed files ready. Programs are named by path: the shell is busybox's, and takes applets of its
 * own before it looks into a folder.
 */
export function prepareCommand(suite: Selftests): string {
  const links = Object.entries(toolLinks).map(([name, program]) => `ln -sf ${program} /bin/${name}`);
  return ['set -e', ...links, ...(suite.loading === 'modprobe' ? ['/bin/depmod 2> /dev/null'] : [])].join('\n');
}

/**
 * The shell command that runs a script.
 * @param seconds after which it is ended
 */
export function scriptCommand(script: string, seconds: number): string {
  // Since 7.x the scripts look for a build directory: the modules are built already, so any folder will do.
  return `cd /${place} && PATH=/bin KDIR=/${place} exec /bin/timeout -k 5 ${seconds} ./${script}`;
}

async function compiledModules(kernel: AcquiredKernel, suite: Selftests, progress: Progress, signal: AbortSignal): Promise<string> {
  const { moduleNames: names, modules: folder } = suite;
  const sources = await Promise.all(names.map(async (name) => ({ name, source: await readFile(join(folder, `${name}.c`), 'utf8') })));
  const key = digest('selftests 1', kernel.fingerprint, kernel.toolchain.version, ...sources.flatMap((s) => [s.name, s.source]));
  return cached('modules', key, async (directory) => {
    progress(`compiling ${names.length} modules of upstream's selftests`);
    await kbuild(kernel, sources, (name, file) => copyFile(file, join(directory, `${name}.ko`)), signal);
  });
}

async function compiledPrograms({ arch }: AcquiredKernel, folder: string, names: readonly string[]): Promise<string[]> {
  const sources = await Promise.all(names.map((name) => readFile(join(folder, name))));
  const directory = await cached('tools', digest('selftests 1', arch, ...names, ...sources), async (work) => {
    for (const name of names) await compileStatic(arch, name, ['-O2', '-static', '-o', join(work, basename(name, '.c')), name], folder);
  });
  return names.map((name) => join(directory, basename(name, '.c')));
}
