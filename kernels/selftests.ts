// SPDX-License-Identifier: MIT
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { architectures } from '../harness/arch.js';
import { cached, digest } from '../harness/cache.js';
import { unpackSource } from './built.js';
import { withPlan, type Plan } from './plan.js';
import type { AcquiredKernel, KernelSource, Progress } from './types.js';

/** Upstream's livepatch selftests as a kernel's own source tree has them. */
export interface Selftests {
  /** Where they were taken from, for a person. */
  readonly from: string;
  /** Folder of the scripts, `functions.sh` and programs in C. */
  readonly scripts: string;
  /** Folder of the test modules' sources. */
  readonly modules: string;
  /** Names of the modules, without `.ko`. */
  readonly moduleNames: readonly string[];
  /** `test_modules`: the scripts load the .ko files beside them. `modprobe`: from the kernel's module folder, by name. */
  readonly loading: 'test_modules' | 'modprobe';
}

const folder = 'tools/testing/selftests/livepatch';

/**
 * Finds upstream's livepatch selftests in a kernel's source: in the source package of its version, of which only what is
 * about livepatch is unpacked and kept in the cache, or in the tree it was built from.
 *
 * @returns why there are none, as text, when the tree has none or is not to be found
 * @throws InfrastructureError when the package can't be had
 */
export async function findSelftests({ name, source }: AcquiredKernel, progress: Progress): Promise<Selftests | string> {
  if (!source) return `nothing says where the source of ${name} is`;
  const tree = 'folder' in source ? source.folder : await unpacked(source, progress);
  const from = 'folder' in source ? source.folder : `${source.name} ${source.version}`;
  const scripts = join(tree, folder);
  // Since 6.9 beside the scripts; before that they were modules of the kernel.
  for (const [loading, modules] of [['test_modules', join(scripts, 'test_modules')], ['modprobe', join(tree, 'lib/livepatch')]] as const) {
    const moduleNames = modulesOf(await readFile(join(modules, 'Makefile'), 'utf8').catch(() => ''));
    if (moduleNames.length > 0 && (await scriptsIn(scripts)).length > 0) return { from, scripts, modules, moduleNames, loading };
  }
  return `the source of the kernel (${from}) has no selftests for livepatch`;
}

/** Names of the test scripts in a folder, sorted. */
export async function scriptsIn(scripts: string): Promise<string[]> {
  const names = await readdir(scripts).catch(() => []);
  return names.filter((name) => /^test-.*\.sh$/.test(name)).sort();
}

/** The modules that a Makefile of theirs names. */
export function modulesOf(makefile: string): string[] {
  return [...new Set([...makefile.matchAll(/\b(test_klp_\w+)\.o\b/g)].map(([, name = '']) => name))].sort();
}

async function unpacked(source: Exclude<KernelSource, { folder: string }>, progress: Progress): Promise<string> {
  const { suite, name, version } = source;
  const plan: Plan = {
    suite,
    key: `source ${name} ${version}`,
    exact: true,
    find: async (find) => [await find(name, architectures.x86_64.debian, version)],
  };
  return withPlan(plan, progress, async ([record], root) => {
    if (!record) throw new Error('a source plan has one package');
    const key = digest('1', record.sha256);
    const directory = await cached('selftests', key, async (work) => {
      // What is about livepatch, wherever it is: tar fails on a pattern that matches nothing.
      await unpackSource(join(work, 'src'), record, root, progress, ['*/livepatch/*']);
    });
    return join(directory, 'src', name);
  });
}
