// SPDX-License-Identifier: MIT
import { ProtocolError } from './errors.js';
import type { TreeEntry } from './protocol.js';

/** A file of a sysfs folder. */
export interface Attribute {
  readonly name: string;
  /** Permission bits: 0o644. */
  readonly mode: number;
}

export interface FunctionDirectory {
  /** Name of the function to be replaced. */
  readonly name: string;
  /** The position in the folder's name, behind the comma. */
  readonly sympos: number;
  readonly attributes: readonly Attribute[];
}

export interface ObjectDirectory {
  /** `vmlinux`, or a module's name. */
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly functions: readonly FunctionDirectory[];
}

/** /sys/kernel/livepatch/<patch>: Documentation/ABI/testing/sysfs-kernel-livepatch. */
export interface PatchDirectory {
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly objects: readonly ObjectDirectory[];
}

/** The patches in a listing of /sys/kernel/livepatch, each level sorted by name: sysfs promises no order. */
export function parsePatches(entries: readonly TreeEntry[]): readonly PatchDirectory[] {
  const folders = (path: string): readonly string[] => children(entries, path, 'directory').map(({ name }) => name);
  const attributes = (path: string): readonly Attribute[] =>
    children(entries, path, 'file').map(({ name, mode }) => ({ name, mode }));
  return folders('').map((patch) => ({
    name: patch,
    attributes: attributes(patch),
    objects: folders(patch).map((object) => ({
      name: object,
      attributes: attributes(`${patch}/${object}`),
      functions: folders(`${patch}/${object}`).map((folder) => ({
        ...parseFunctionName(folder),
        attributes: attributes(`${patch}/${object}/${folder}`),
      })),
    })),
  }));
}

function children(entries: readonly TreeEntry[], path: string, type: TreeEntry['type']): readonly TreeEntry[] {
  const prefix = path === '' ? '' : `${path}/`;
  return entries
    .filter((e) => e.type === type && e.name.startsWith(prefix) && e.name !== '')
    .map((e) => ({ ...e, name: e.name.slice(prefix.length) }))
    .filter((e) => !e.name.includes('/'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * `meminfo_proc_show,1`
 * @throws ProtocolError when no position stands behind a comma
 */
export function parseFunctionName(folder: string): { readonly name: string; readonly sympos: number } {
  const match = /^(.*),(\d+)$/.exec(folder);
  if (!match) throw new ProtocolError(`"${folder}" is no function folder of a livepatch`);
  return { name: match[1] ?? '', sympos: Number(match[2]) };
}

/** A line of /proc/kallsyms. */
export interface KernelSymbol {
  readonly address: bigint;
  /** Letter as of nm(1). */
  readonly type: string;
  readonly name: string;
  /** undefined for one of the kernel itself. */
  readonly module: string | undefined;
}

/**
 * Lines of /proc/kallsyms, in their order, which is what sympos counts.
 * @throws ProtocolError for a line that is none
 */
export function parseKallsyms(text: string): readonly KernelSymbol[] {
  return lines(text).map((line) => {
    const match = /^([0-9a-f]+) (\S) (\S+)(?:\s+\[([^\]]+)\])?$/.exec(line);
    if (!match) throw new ProtocolError(`no line of /proc/kallsyms: ${JSON.stringify(line)}`);
    const [, address = '', type = '', name = '', module] = match;
    return { address: BigInt(`0x${address}`), type, name, module };
  });
}

/** What the name of a livepatch symbol says: Documentation/livepatch/module-elf-format, section 4. */
export interface LivepatchSymbolName {
  readonly object: string;
  readonly symbol: string;
  readonly sympos: number;
}

/** `.klp.sym.vmlinux.printk,0`; undefined for any other name. */
export function parseLivepatchSymbol(name: string): LivepatchSymbolName | undefined {
  const match = /^\.klp\.sym\.([^.]+)\.([^,]+),(\d+)$/.exec(name);
  return match ? { object: match[1] ?? '', symbol: match[2] ?? '', sympos: Number(match[3]) } : undefined;
}

/** A line of tracefs' enabled_functions (kernel/trace/ftrace.c, t_show). */
export interface EnabledFunction {
  readonly name: string;
  readonly module: string | undefined;
  /** ftrace operations attached. */
  readonly users: number;
  /** Letters, such as `RI`: R saved registers, I changes the instruction pointer, D direct call, … */
  readonly flags: string;
  /** What follows: trampoline and handler, as printed. */
  readonly detail: string;
}

/** @throws ProtocolError for a line that is none */
export function parseEnabledFunctions(text: string): readonly EnabledFunction[] {
  return lines(text)
    .filter((line) => !/^\s/.test(line)) // a further operation of the function above
    .map((line) => {
      const match = /^(\S+)(?: \[([^\]]+)\])? \((\d+)\)((?: [A-Z ])*)\s*(.*)$/.exec(line);
      if (!match) throw new ProtocolError(`no line of enabled_functions: ${JSON.stringify(line)}`);
      const [, name = '', module, users, flags = '', detail = ''] = match;
      return { name, module, users: Number(users), flags: flags.replaceAll(' ', ''), detail: detail.trimEnd() };
    });
}

/**
 * A number on a line of its own, as sysfs and procfs give it.
 * @throws ProtocolError when it is none
 */
export function parseNumber(text: string, what: string): number {
  if (!/^-?\d+\n?$/.test(text)) throw new ProtocolError(`${what} reads ${JSON.stringify(text.slice(0, 40))}, not a number`);
  return Number(text);
}

/** Functions of a /proc/<pid>/stack, innermost first: `[<0>] schedule+0x10/0x20 [mod]`, in 4.14 with an address. */
export function parseStack(text: string): readonly { readonly name: string; readonly module: string | undefined }[] {
  return lines(text).flatMap((line) => {
    const match = /^\[<[0-9a-f]+>\] ([^\s+]+)\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[([^\]]+)\])?$/.exec(line);
    return match ? [{ name: match[1] ?? '', module: match[2] }] : [];
  });
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}
