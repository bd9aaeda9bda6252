// SPDX-License-Identifier: MIT

/**
 * What a module is, as data. The same description is turned into C by `harness/modules` and interpreted by the model,
 * so the two can't disagree about what was asked of the kernel.
 */
export type ModuleDescription = LivepatchDescription | TargetDescription | PlainDescription;

/** The object that stands for the kernel itself: `klp_object.name == NULL`. */
export const vmlinux = 'vmlinux';

/** A function by the object it lives in. */
export interface FunctionName {
  /** {@link vmlinux} or a module's name. */
  readonly object: string;
  readonly name: string;
}

/** One `struct klp_func`. Its replacement says the patch's name when it is called. */
export interface ReplacedFunction {
  readonly name: string;
  /** `old_sympos`; 0 when left out. */
  readonly sympos?: number;
}

/** One `struct klp_object`. */
export interface PatchedObject {
  readonly name: string;
  readonly functions: readonly ReplacedFunction[];
}

/** A symbol the replacement refers to although nothing exports it: it becomes a `.klp.sym`. */
export interface UsedSymbol {
  readonly object: string;
  readonly name: string;
}

/** Byte-level faults, by their row in the table of malformed modules. */
export type FaultId = 'EF-01' | 'EF-09';

/** A livepatch module. */
export interface LivepatchDescription {
  readonly kind: 'livepatch';
  /** Module name, and so the name of its sysfs directory. */
  readonly name: string;
  readonly objects: readonly PatchedObject[];
  readonly uses: readonly UsedSymbol[];
  readonly fault?: FaultId;
}

/** Our target module: functions to patch, each behind a file in /proc that calls it (harness/modules/c/target.c). */
export interface TargetDescription {
  readonly kind: 'target';
  /** Module name; its functions are `<name>_alpha` and `<name>_beta`. */
  readonly name: string;
}

/**
 * A module of the scenario's own C: the model knows that it loads and is there, and nothing of what it does. No livepatch
 * of a scenario may name it.
 */
export interface PlainDescription {
  readonly kind: 'plain';
  readonly name: string;
  /** The whole file, with its licence. */
  readonly source: string;
}

/** Every function of a target module that a patch may replace and /proc/<name> calls. */
export const targetFunctions = ['alpha', 'beta'] as const;
export type TargetFunction = (typeof targetFunctions)[number];

/** The function of a target module in which tasks sleep; a replacement that uses it is a place to sleep in, too. */
export function gateOf(target: TargetDescription): UsedSymbol {
  return { object: target.name, name: `${target.name}_gate` };
}

/** A livepatch, described shortly: `livepatch('klp_x', { vmlinux: ['cmdline_proc_show'] })`. */
export function livepatch(
  name: string,
  objects: Readonly<Record<string, readonly (string | ReplacedFunction)[]>>,
  more: { readonly uses?: readonly UsedSymbol[]; readonly fault?: FaultId } = {},
): LivepatchDescription {
  return {
    kind: 'livepatch',
    name,
    objects: Object.entries(objects).map(([object, functions]) => ({
      name: object,
      functions: functions.map((f) => (typeof f === 'string' ? { name: f } : f)),
    })),
    uses: more.uses ?? [],
    ...(more.fault === undefined ? {} : { fault: more.fault }),
  };
}

/** A target module; the functions it offers are named by {@link FunctionName}. */
export function target(name: string): TargetDescription & Readonly<Record<TargetFunction, FunctionName>> {
  return {
    kind: 'target',
    name,
    alpha: { object: name, name: `${name}_alpha` },
    beta: { object: name, name: `${name}_beta` },
  };
}

/** A module of the scenario's own C. */
export function plain(name: string, source: string): PlainDescription {
  return { kind: 'plain', name, source };
}

/** `object:function`, for messages and keys. */
export function functionKey(f: FunctionName): string {
  return `${f.object}:${f.name}`;
}
