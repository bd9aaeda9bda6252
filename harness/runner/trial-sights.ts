// SPDX-License-Identifier: MIT
import { type ElfObject, SHN_UNDEF, parseKlpSymbolName } from '../elf/index.js';
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

/** Livepatch symbols in one line: how many lead where they should. */
export function symbolsText(symbols: readonly Resolved[]): string {
  const right = symbols.filter((s) => s.address !== undefined && s.address === s.expected).length;
  const wrong = symbols.filter(leadsAstray).length;
  const pending = symbols.length - right - wrong;
  return [`${right} of ${symbols.length} lead where they should`, pending > 0 ? `${pending} can't be told (the object is not loaded)` : '', wrong > 0 ? `${wrong} do not` : '']
    .filter((text) => text !== '')
    .join(', ');
}

/** Whether a symbol was resolved to something else than what it names. */
export function leadsAstray({ address, expected }: Resolved): boolean {
  return address !== undefined && expected !== undefined && address !== expected;
}

/** Where a symbol leads, and where it should. */
export function symbolText({ name, address, expected }: Resolved): string {
  return `${name} leads to ${hex(address)}, not to ${hex(expected)}`;
}

function hex(address: bigint | undefined): string {
  return address === undefined ? 'nowhere' : `0x${address.toString(16)}`;
}

/** Lines of {@link sysfsTree}, at most. */
const treeLines = 400;

/** Everything below /sys/kernel/livepatch, a line each: a folder's path, or a file's with what it holds. */
export async function sysfsTree(guest: Guest): Promise<readonly string[]> {
  const root = '/sys/kernel/livepatch';
  const tree = await guest.tree(root);
  if (!tree.ok) return [`${root}: ${tree.name}`];
  const lines: string[] = [];
  for (const { name, type, mode } of tree.value.slice(0, treeLines)) {
    if (type === 'directory' && name !== '') lines.push(`${name}/`);
    // A file that is for writing only says nothing.
    if (type !== 'file' || (mode & 0o400) === 0) continue;
    const content = await guest.readText(`${root}/${name}`, 200);
    lines.push(`${name}: ${content.ok ? content.value.trim() : content.name}`);
  }
  const more = tree.value.length - treeLines;
  return [...lines.sort(), ...(more > 0 ? [`… and ${more} more`] : [])];
}

/**
 * Why a module cannot be unloaded, as far as it shows.
 * @param object the module's file
 */
export async function whyItStays(guest: Guest, module: string, object: ElfObject): Promise<string | undefined> {
  if (hasNoExit(object)) return 'it has no exit function, and the kernel keeps such a module for good';
  const count = await guest.readText(`/sys/module/${module}/refcnt`);
  if (!count.ok || count.value.trim() === '0') return undefined;
  return `its reference count is ${count.value.trim()}: a transition that was forced, or is immediate, leaves one for good, and so does whoever uses its symbols`;
}

/** Whether a module can come but not go: kernel/module/main.c, delete_module(). */
export function hasNoExit(object: ElfObject): boolean {
  const named = (name: string): boolean => object.symbols.some((s) => s.name === name && s.shndx !== SHN_UNDEF);
  return named('init_module') && !named('cleanup_module');
}
