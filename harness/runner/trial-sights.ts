// SPDX-License-Identifier: MIT
import { parseKlpSymbolName } from '../elf/index.js';
import { type Guest, must } from '../guest/guest.js';
import { type KernelSymbol, readKallsyms } from '../guest/kernel-tables.js';

/*
 * What a kernel shows of a patch that nobody described: from its files alone.
 */

/** What a taint bit says (Documentation/admin-guide/tainted-kernels.rst), as far as it can come up in a trial. */
const taintBits: Readonly<Record<number, string>> = {
  0: 'P: a proprietary module',
  1: 'F: a module was forced in',
  3: 'R: a module was forced out',
  5: 'B: a bad page',
  7: 'D: it has died (an oops)',
  9: 'W: a warning',
  12: 'O: a module from out of the tree',
  13: 'E: a module that is not signed',
  14: 'L: a soft lockup',
  15: 'K: a livepatch',
  18: 'N: a test module',
};

/** What the kernel says it is tainted with. */
export async function taints(guest: Guest): Promise<readonly string[]> {
  return taintText(must(await guest.readText('/proc/sys/kernel/tainted'), '/proc/sys/kernel/tainted'));
}

/** @param text the mask, as the kernel prints it */
export function taintText(text: string): readonly string[] {
  const mask = BigInt(text.trim());
  const bits = [...Array(64).keys()].filter((bit) => ((mask >> BigInt(bit)) & 1n) === 1n);
  return bits.map((bit) => taintBits[bit] ?? `bit ${bit}`);
}

/** Functions that a patch has in one object. */
export interface PatchedHere {
  readonly object: string;
  readonly functions: readonly string[];
  /** Whether the object is there to be patched. */
  readonly loaded: boolean;
}

/** What a patch says it replaces: `<object>/<function>,<position>` below its directory. */
export async function patchedFunctions(guest: Guest, patch: string): Promise<readonly PatchedHere[]> {
  const tree = must(await guest.tree(`/sys/kernel/livepatch/${patch}`), `/sys/kernel/livepatch/${patch}`);
  const folders = tree.filter((e) => e.type === 'directory' && e.name !== '').map((e) => e.name);
  const objects = folders.filter((name) => !name.includes('/'));
  const found: PatchedHere[] = [];
  for (const object of objects) {
    const functions = folders.flatMap((name) => (name.startsWith(`${object}/`) ? [name.slice(object.length + 1)] : []));
    const loaded = object === 'vmlinux' || (await guest.tree(`/sys/module/${object}`, 1)).ok;
    found.push({ object, functions, loaded });
  }
  return found;
}

/** A livepatch symbol of a module that is loaded. */
export interface Resolved {
  /** `.klp.sym.<object>.<symbol>,<position>` */
  readonly name: string;
  /** Where it leads; undefined where it was not resolved. */
  readonly address: bigint | undefined;
  /** Where it should: the symbol of that name and position; undefined where there is none. */
  readonly expected: bigint | undefined;
}

/** Every livepatch symbol of a module, beside what it stands for: both as kallsyms has them. */
export async function resolvedSymbols(guest: Guest, module: string): Promise<readonly Resolved[]> {
  const own = (await readKallsyms(guest, '.klp.sym.')).filter((s) => s.module === module);
  const meant = [...new Set(own.flatMap((s) => parseKlpSymbolName(s.name)?.symbol ?? []))];
  const table: KernelSymbol[] = [];
  // As many as one command line has room for.
  for (let i = 0; i < meant.length; i += 200) table.push(...(await readKallsyms(guest, ...meant.slice(i, i + 200).map((name) => ` ${name}`))));
  return own.map((symbol) => resolved(symbol, table));
}

/**
 * Where a livepatch symbol leads and should lead.
 * @param table lines of kallsyms, in their order; others may be among them
 */
export function resolved({ name, address }: Pick<KernelSymbol, 'name' | 'address'>, table: readonly KernelSymbol[]): Resolved {
  const parsed = parseKlpSymbolName(name);
  const module = parsed?.object === 'vmlinux' ? undefined : parsed?.object;
  const same = parsed ? table.filter((s) => s.name === parsed.symbol && s.module === module) : [];
  const expected = parsed?.sympos === 0 ? (same.length === 1 ? same[0] : undefined) : same[(parsed?.sympos ?? 0) - 1];
  return { name, address: address === 0n ? undefined : address, expected: expected?.address };
}
