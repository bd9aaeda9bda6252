// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arch } from '../harness/arch.js';
import { InfrastructureError } from '../harness/errors.js';
import { lastLines } from '../harness/host.js';
import { type KernelTree, treeFolders, treeWords } from './compile.js';
import { runMake } from './toolchain.js';
import type { Toolchain } from './types.js';

/** Options set in a `.config` or a fragment, by name; `# CONFIG_X is not set` reads as `n`. Later lines win. */
export function parseConfig(text: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const set = /^(CONFIG_\w+)=(.*)$/.exec(line.trim());
    const unset = /^# (CONFIG_\w+) is not set$/.exec(line.trim());
    if (set?.[1] !== undefined) options.set(set[1], set[2] ?? '');
    else if (unset?.[1] !== undefined) options.set(unset[1], 'n');
  }
  return options;
}

/** An option that a fragment asks for and the finished configuration has otherwise. */
export interface UntakenOption {
  readonly option: string;
  readonly wanted: string;
  /** Undefined when the configuration does not mention it: no such option, or a dependency is missing. */
  readonly got: string | undefined;
}

/** Compares what fragments ask for with what Kconfig made of it; an option left out counts as `n`. */
export function untaken(fragment: string, config: string): UntakenOption[] {
  const result = parseConfig(config);
  return [...parseConfig(fragment)]
    .map(([option, wanted]) => ({ option, wanted, got: result.get(option) }))
    .filter(({ wanted, got }) => (got ?? 'n') !== wanted);
}

/**
 * Writes `.config` into a kernel source tree: allnoconfig with `fragments` laid over it.
 *
 * @param fragments texts; of two that set the same option the later wins
 * @throws InfrastructureError naming every option that Kconfig did not take as asked
 */
export async function configure(
  tree: KernelTree,
  arch: Arch,
  toolchain: Toolchain,
  fragments: readonly string[],
): Promise<void> {
  const wanted = fragments.join('\n');
  const file = join(tree.objects, '.klp-fragments');
  await writeFile(file, wanted);
  const result = await runMake(toolchain, [...treeWords(tree, arch), 'allnoconfig'], treeFolders(tree), {
    cwd: tree.objects,
    env: { KCONFIG_ALLCONFIG: file },
    timeout: 10 * 60_000,
  });
  if (result.exitCode !== 0) {
    throw new InfrastructureError('the kernel could not be configured', { details: lastLines(result.all, 20) });
  }
  const refused = untaken(wanted, await readFile(join(tree.objects, '.config'), 'utf8'));
  if (refused.length > 0) {
    throw new InfrastructureError(
      `the kernel configuration did not take ${refused.map((o) => o.option).join(', ')}`,
      {
        hint: 'the source has no such option any more, or something that it depends on is missing in kernels/config',
        details: refused.map((o) => `${o.option}: asked for ${o.wanted}, got ${o.got ?? 'nothing'}`),
      },
    );
  }
}
