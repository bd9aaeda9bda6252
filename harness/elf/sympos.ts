// SPDX-License-Identifier: MIT
import { LivepatchError } from './errors.js';

/** A line of /proc/kallsyms. */
export interface KallsymsEntry {
  readonly name: string;
  /** The module that has it; undefined for vmlinux. */
  readonly module?: string | undefined;
  readonly address: bigint;
}

/**
 * The sympos of a symbol: 0 if its object has one of that name, else its place among them, from 1
 * (module-elf-format.txt 3.3.2 [D]; kernel/livepatch/core.c, klp_find_callback). Namesakes are counted within
 * the object only, functions and data alike, in the order of kallsyms: that of addresses in vmlinux, that of
 * the symbol table in a module. Entries without a module are those of vmlinux.
 * @param entries in the order of /proc/kallsyms, addresses not hidden (kptr_restrict) if namesakes are to be
 *   told apart
 * @param object `vmlinux` or a module's name
 * @param address which of several is meant
 * @throws LivepatchError (`sympos-missing`, `sympos-ambiguous`)
 */
export function symposOf(
  entries: Iterable<KallsymsEntry>,
  object: string,
  symbol: string,
  address?: bigint,
): number {
  const module = object === 'vmlinux' ? undefined : object;
  const namesakes: bigint[] = [];
  for (const entry of entries) {
    if (entry.name === symbol && entry.module === module) namesakes.push(entry.address);
  }
  if (namesakes.length === 0) {
    throw new LivepatchError('sympos-missing', `kallsyms has no symbol ${symbol} in ${object}`, [symbol]);
  }
  if (address === undefined) {
    if (namesakes.length === 1) return 0;
    throw new LivepatchError(
      'sympos-ambiguous',
      `kallsyms has ${namesakes.length} symbols ${symbol} in ${object}: an address must say which`,
      [symbol],
    );
  }
  const position = namesakes.indexOf(address);
  if (position < 0) {
    throw new LivepatchError(
      'sympos-missing',
      `kallsyms has no symbol ${symbol} at 0x${address.toString(16)} in ${object}`,
      [symbol],
    );
  }
  if (namesakes.includes(address, position + 1)) {
    throw new LivepatchError(
      'sympos-ambiguous',
      `kallsyms has several symbols ${symbol} at 0x${address.toString(16)} in ${object}`,
      [symbol],
    );
  }
  return namesakes.length === 1 ? 0 : position + 1;
}
