// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arch } from '../harness/arch.js';
import { InfrastructureError } from '../harness/errors.js';
import { lastLines } from '../harness/host.js';
import { type KernelTree, treeFolders, treeWords } from './compile.js';
import { readKconfig, whyUntaken } from './kconfig-why.js';
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

/** Whether a text is a whole configuration, as Kconfig writes it, rather than a fragment. */
export function isWholeConfiguration(text: string): boolean {
  return /^# Linux\/\S+ \S+ Kernel Configuration$/m.test(text);
}

/**
 * Writes `.config` for a kernel source tree: allnoconfig with `fragments` laid over it; or, when the first of them is a
 * whole configuration, that one, brought up to date, with the rest laid over it.
 *
 * @param fragments texts; of two that set the same option the later wins
 * @throws InfrastructureError naming every option of a fragment that Kconfig did not take as asked, and why
 */
export async function configure(
  tree: KernelTree,
  arch: Arch,
  toolchain: Toolchain,
  fragments: readonly string[],
): Promise<void> {
  const [first = '', ...rest] = fragments;
  const whole = isWholeConfiguration(first);
  const wanted = (whole ? rest : fragments).join('\n');
  const file = join(tree.objects, '.klp-fragments');
  await writeFile(file, wanted);
  const config = join(tree.objects, '.config');
  if (whole) await writeFile(config, `${first}\n${wanted}\n`);
  const result = await runMake(
    toolchain,
    [...treeWords(tree, arch), whole ? 'olddefconfig' : 'allnoconfig'],
    treeFolders(tree),
    { cwd: tree.objects, env: whole ? {} : { KCONFIG_ALLCONFIG: file }, timeout: 10 * 60_000 },
  );
  if (result.exitCode !== 0) {
    throw new InfrastructureError('the kernel could not be configured', { details: lastLines(result.all, 20) });
  }
  const made = await readFile(config, 'utf8');
  const refused = untaken(wanted, made);
  if (refused.length === 0) return;
  const menu = await readKconfig(tree.source, arch === 'x86_64' ? 'x86' : arch);
  const reason = whyUntaken(menu, parseConfig(made));
  throw new InfrastructureError(`the kernel configuration did not take ${refused.map((o) => o.option).join(', ')}`, {
    hint: 'add what is missing to a fragment, or take the option out of it',
    details: refused.map((o) => `${o.option}: asked for ${o.wanted}, got ${o.got ?? 'nothing'}: ${reason(o)}`),
  });
}
