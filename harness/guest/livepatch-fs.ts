// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import { calls, must, type Guest, type Outcome } from './guest.js';
import { parseEnabledFunctions, parseKallsyms, parseNumber, parsePatches } from './parsers.js';
import type { EnabledFunction, KernelSymbol, PatchDirectory } from './parsers.js';

/** Where livepatch shows itself. */
export const paths = {
  livepatch: '/sys/kernel/livepatch',
  patch: (patch: string) => `/sys/kernel/livepatch/${patch}`,
  enabled: (patch: string) => `/sys/kernel/livepatch/${patch}/enabled`,
  transition: (patch: string) => `/sys/kernel/livepatch/${patch}/transition`,
  module: (module: string) => `/sys/module/${module}`,
  refcnt: (module: string) => `/sys/module/${module}/refcnt`,
  taint: (module: string) => `/sys/module/${module}/taint`,
  patchState: (pid: number, tid?: number) =>
    tid === undefined ? `/proc/${pid}/patch_state` : `/proc/${pid}/task/${tid}/patch_state`,
} as const;

/** The value of an outcome in another form; a refusal stays what it is. */
function map<A, B>(outcome: Outcome<A>, change: (value: A) => B): Outcome<B> {
  return outcome.ok ? { ...outcome, value: change(outcome.value) } : outcome;
}

/** Every patch there is, with objects, functions and modes; empty where the kernel has no livepatch folder. */
export async function listPatches(guest: Guest): Promise<readonly PatchDirectory[]> {
  const tree = await guest.tree(paths.livepatch, 3 + 1);
  return tree.name === 'ENOENT' ? [] : parsePatches(must(tree, `listing ${paths.livepatch}`));
}

/** A file that holds a number: `enabled`, `transition`, `patched`, `refcnt`, `patch_state`. */
export async function readNumber(guest: Guest, path: string): Promise<Outcome<number>> {
  return map(await guest.readText(path, 64), (text) => parseNumber(text, path));
}

/** `enabled` and `transition` of a patch, read one after the other inside the guest. */
export async function readPatch(
  guest: Guest,
  patch: string,
): Promise<{ readonly enabled: Outcome<number>; readonly transition: Outcome<number> }> {
  const both = await guest.batch([calls.read(paths.enabled(patch), 64), calls.read(paths.transition(patch), 64)]);
  const [enabled, transition] = must(both, `reading patch ${patch}`);
  return {
    enabled: map(enabled, ({ data }) => parseNumber(data.toString(), paths.enabled(patch))),
    transition: map(transition, ({ data }) => parseNumber(data.toString(), paths.transition(patch))),
  };
}

/** One write(2) of a number's text, without a newline, to a patch's `enabled`. */
export function writeEnabled(guest: Guest, patch: string, value: 0 | 1): Promise<Outcome<number>> {
  return guest.write(paths.enabled(patch), String(value));
}

/** What /sys/module/<module> says of a loaded module. */
export interface ModuleState {
  /** Undefined where the kernel can't unload modules. */
  readonly refcnt: number | undefined;
  /** Letters: O out of tree, E unsigned, K livepatch. */
  readonly taint: string;
  /** live, coming, going; undefined for a built-in module. */
  readonly initstate: string | undefined;
  /** Start addresses by section name. */
  readonly sections: ReadonlyMap<string, bigint>;
}

/** @returns undefined when no such module is there, or when it goes away meanwhile */
export async function readModule(guest: Guest, module: string): Promise<ModuleState | undefined> {
  const folder = paths.module(module);
  const tree = await guest.tree(`${folder}/sections`, 1);
  const names = tree.ok ? tree.value.map(({ name }) => name).filter((name) => name !== '') : [];
  const files = [folder + '/refcnt', folder + '/taint', folder + '/initstate', ...names.map((n) => `${folder}/sections/${n}`)];
  const outcomes = must(await guest.batch(files.map((file) => calls.read(file, 256))), `reading ${folder}`);
  const [refcnt, taint, initstate, ...addresses] = outcomes.map((outcome) =>
    outcome.ok ? outcome.value.data.toString().trim() : undefined,
  );
  if (taint === undefined) return undefined;
  return {
    refcnt: refcnt === undefined ? undefined : Number(refcnt),
    taint,
    initstate,
    sections: new Map(names.map((name, i) => [name, BigInt(addresses[i] ?? 0)])),
  };
}

/** The patch_state of a process, or of one thread. */
export function readPatchState(guest: Guest, pid: number, tid?: number): Promise<Outcome<number>> {
  return readNumber(guest, paths.patchState(pid, tid));
}

/**
 * Lines of /proc/kallsyms that contain one of the texts (all of them together are more than one reply holds).
 * @param texts parts of a line: ` printk`, `[mymodule]`, `.klp.sym.`
 */
export async function readKallsyms(guest: Guest, ...texts: readonly string[]): Promise<readonly KernelSymbol[]> {
  const patterns = texts.map((text) => `-e '${text.replaceAll("'", "'\\''")}'`).join(' ');
  const { code, stdout, stderr } = await guest.run(`grep -F ${patterns} /proc/kallsyms`);
  if (code > 1) throw new InfrastructureError(`reading /proc/kallsyms: ${stderr.trim()}`);
  return parseKallsyms(stdout);
}

/** Functions that ftrace redirects. Tracefs must be mounted, at /sys/kernel/tracing or below debugfs. */
export async function readEnabledFunctions(guest: Guest): Promise<readonly EnabledFunction[]> {
  const folders = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
  for (const folder of folders) {
    const outcome = await guest.readText(`${folder}/enabled_functions`);
    if (outcome.ok) return parseEnabledFunctions(outcome.value);
    if (outcome.name !== 'ENOENT') must(outcome, `reading ${folder}/enabled_functions`);
  }
  throw new InfrastructureError(`no enabled_functions in ${folders.join(' or ')}`, {
    hint: 'is tracefs mounted in the guest, and has its kernel CONFIG_DYNAMIC_FTRACE?',
  });
}
