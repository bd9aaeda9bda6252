// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { type ElfObject, convertToLivepatch, readObject, requireResolved, symposOf } from '../elf/index.js';
import { plain, target, vmlinux } from '../model/description.js';
import { type BuildFacts, buildModules, exportedSymbols, moduleKey } from '../modules/build.js';
import { template } from '../modules/template.js';
import { type SigningKey, signModule } from '../modules/sign.js';
import type { Progress } from '../../kernels/types.js';

/** The module that is patched. */
export const patched = target('klp_fault_target');
/** The livepatch that is broken. */
export const patchName = 'klp_fault';
/** An ordinary module. */
const ordinaryName = 'klp_fault_plain';

const ordinaryModule = plain(
  ordinaryName,
  [
    '// SPDX-License-Identifier: GPL-2.0-only',
    '#include <linux/module.h>',
    'static int __init plain_init(void) { return 0; }',
    'static void __exit plain_exit(void) { }',
    'module_init(plain_init);',
    'module_exit(plain_exit);',
    'MODULE_LICENSE("GPL");',
    'MODULE_DESCRIPTION("Ordinary module of the livepatch conformance harness");',
    '',
  ].join('\n'),
);

/** Symbols that nothing exports and the livepatch refers to, by their object. */
export const hiddenSymbols = [
  { object: vmlinux, name: 'cmdline_proc_show' },
  { object: vmlinux, name: 'saved_command_line' },
  { object: patched.name, name: `${patched.name}_gate` },
] as const;

/** What faults are made in. */
export interface SoundModules {
  readonly livepatch: ElfObject;
  readonly ordinary: ElfObject;
  /** The file of the module that is patched, signed where need be. */
  readonly target: Buffer;
}

/**
 * Compiles the modules for a kernel, and turns the livepatch's references into livepatch relocations.
 * @throws InfrastructureError when one does not compile; LivepatchError when the kernel lacks a symbol
 */
export async function soundModules(facts: BuildFacts, progress: Progress, signal: AbortSignal): Promise<SoundModules> {
  const livepatchSource = `#define TARGET ${patched.name}\n${await template('fault.c')}`;
  const descriptions = [plain(patchName, livepatchSource), ordinaryModule, patched];
  const built = await buildModules(facts, descriptions, progress, signal);
  const [livepatch, ordinary, file] = await Promise.all(
    descriptions.map(async (d) => {
      const one = built.get(moduleKey(d));
      if (!one) throw new RangeError(`${d.name} was not built`);
      if ('error' in one) throw one.error;
      return readFile(one.file);
    }),
  );
  if (!livepatch || !ordinary || !file) throw new RangeError('a module was not built');
  const sympos = (object: string, name: string): number => (object === vmlinux ? symposOf(facts.kallsyms, object, name) : 0);
  const targets = new Map(hiddenSymbols.map(({ object, name }) => [name, { object, sympos: sympos(object, name) }]));
  const { object } = convertToLivepatch(readObject(livepatch), targets);
  requireResolved(object, await exportedSymbols(facts.kernel));
  return { livepatch: object, ordinary: readObject(ordinary), target: file };
}

/** A module's file as the kernel takes it. */
export function signed(bytes: Uint8Array, key: SigningKey | undefined): Promise<Uint8Array> {
  return key ? signModule(Buffer.from(bytes), key) : Promise.resolve(bytes);
}
