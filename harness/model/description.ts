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
  /** Which of several of that name, counted from 1 as sympos counts; left out where there is one only. */
  readonly position?: number;
}

/** One `struct klp_func`. Its replacement says the patch's name when it is called. */
export interface ReplacedFunction {
  /** null: `old_name` is NULL. */
  readonly name: string | null;
  /** `old_sympos`; 0 when left out. */
  readonly sympos?: number;
  /** `klp_func.immediate`, where the generation has it. */
  readonly immediate?: true;
  /** `missing`: `new_func` is NULL. `nowhere`: it is an address that lies in no symbol. */
  readonly replacement?: 'missing' | 'nowhere';
}

export const callbackNames = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;
export type CallbackName = (typeof callbackNames)[number];

/** One `struct klp_object`. */
export interface PatchedObject {
  readonly name: string;
  /** null: `funcs` is NULL. */
  readonly functions: readonly ReplacedFunction[] | null;
  /** The name is given as a string even if it reads `vmlinux`, which `name == NULL` stands for. */
  readonly literal?: true;
  /** Those of `klp_object.callbacks` that it has, where the generation has them; each says in the kernel log that it runs. */
  readonly callbacks?: readonly CallbackName[];
  /** Its pre_patch returns -ENODEV. */
  readonly failing?: true;
}

/** A symbol the replacement refers to although nothing exports it: it becomes a `.klp.sym`. */
export interface UsedSymbol {
  readonly object: string;
  readonly name: string;
}

/** Byte-level faults, by their row in the table of malformed modules. */
export type FaultId = 'EF-01' | 'EF-09';

/** One `struct klp_state`: something of the system that a patch changes, and the variant of the change that it knows. */
export interface SystemState {
  readonly id: number;
  readonly version: number;
}

/** A livepatch module. */
export interface LivepatchDescription {
  readonly kind: 'livepatch';
  /** Module name, and so the name of its sysfs directory. */
  readonly name: string;
  /** null: `klp_patch.objs` is NULL. */
  readonly objects: readonly PatchedObject[] | null;
  readonly uses: readonly UsedSymbol[];
  readonly fault?: FaultId;
  /** `klp_patch.immediate`, where the generation has it. */
  readonly immediate?: true;
  /** `klp_patch.replace`, where the generation has it: all patches that are there are replaced by this one. */
  readonly replace?: true;
  /**
   * `klp_patch.states`, where the generation has them. Callbacks of vmlinux's object keep something in them, which they take over
   * from the patch before in pre_patch, and say what (harness/modules/c/states.h).
   */
  readonly states?: readonly SystemState[];
  /** `klp_patch.mod` is NULL. */
  readonly orphan?: true;
  /**
   * Its init calls nothing of livepatch, and neither does its exit: /proc/<name>/api does, a call a write (harness/modules/source.ts).
   */
  readonly driven?: true;
  /** /proc/<name>/shadow calls the shadow variable API, a call a write, where the generation has it with constructors (harness/modules/c/shadow.h). */
  readonly shadow?: true;
  /** The value of its `livepatch` modinfo field; `Y` when left out. */
  readonly marked?: string;
}

/** Our target module: functions to patch, each behind a file in /proc that calls it (harness/modules/c/target.c). */
export interface TargetDescription {
  readonly kind: 'target';
  /** Module name; its functions are named by {@link targetSymbols}. */
  readonly name: string;
  /** Its init does all its work and then fails with ENODEV. */
  readonly failing?: true;
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

/** What a target module offers beside its gate: calls of it through /proc/<name>/<key>, and its symbol. */
export interface TargetSymbol {
  readonly symbol: (target: string) => string;
  /** How many functions of that name the module has, and which of them this is, as sympos counts. */
  readonly position: 1 | 2;
  readonly of: 1 | 2;
  /** `function`: ftrace knows it. `untraced`: a notrace function. `data`: no function at all. */
  readonly what: 'function' | 'untraced' | 'data';
}

const one = (suffix: string, what: TargetSymbol['what'] = 'function'): TargetSymbol => ({
  symbol: (target) => `${target}_${suffix}`,
  position: 1,
  of: 1,
  what,
});

/** Everything in a target module that a patch may name. Tasks can be parked in `alpha` and `beta`. */
export const targetSymbols = {
  alpha: one('alpha'),
  beta: one('beta'),
  /** ftrace cannot attach to it. */
  quiet: one('quiet', 'untraced'),
  datum: one('datum', 'data'),
  /** Two static functions of one name. */
  twin1: { ...one('twin'), position: 1, of: 2 },
  twin2: { ...one('twin'), position: 2, of: 2 },
  /** A static function of the same name in every target module. */
  common: { ...one('common'), symbol: () => 'klp_common' },
} as const satisfies Readonly<Record<string, TargetSymbol>>;
export type TargetKey = keyof typeof targetSymbols;
export const targetKeys = Object.keys(targetSymbols) as readonly TargetKey[];

/** The function of a target module in which tasks sleep; a replacement that uses it is a place to sleep in, too. */
export function gateOf(target: TargetDescription): UsedSymbol {
  return { object: target.name, name: `${target.name}_gate` };
}

type More = Partial<Omit<LivepatchDescription, 'kind' | 'name' | 'objects'>>;

/** A livepatch, described shortly: `livepatch('klp_x', { vmlinux: ['cmdline_proc_show'] })`. */
export function livepatch(
  name: string,
  objects: Readonly<Record<string, readonly (string | ReplacedFunction)[] | null>> | readonly PatchedObject[] | null,
  more: More = {},
): LivepatchDescription {
  return { kind: 'livepatch', name, objects: isList(objects) ? objects : Object.entries(objects).map(objectOf), uses: [], ...more };
}

function isList(objects: unknown): objects is readonly PatchedObject[] | null {
  return objects === null || Array.isArray(objects);
}

function objectOf([name, functions]: [string, readonly (string | ReplacedFunction)[] | null]): PatchedObject {
  return { name, functions: functions === null ? null : functions.map((f) => (typeof f === 'string' ? { name: f } : f)) };
}

/** A target module; the functions it offers are named by {@link FunctionName}. */
export function target(
  name: string,
  more: { readonly failing?: true } = {},
): TargetDescription & Readonly<Record<TargetKey, FunctionName>> {
  const functions = targetKeys.map((key) => {
    const { symbol, position, of }: TargetSymbol = targetSymbols[key];
    return [key, { object: name, name: symbol(name), ...(of === 1 ? {} : { position }) }] as const;
  });
  return { kind: 'target', name, ...more, ...(Object.fromEntries(functions) as Record<TargetKey, FunctionName>) };
}

/** The file below /proc/<target> that calls a function of a target module; undefined when it has no such function. */
export function targetKeyOf(f: FunctionName): TargetKey | undefined {
  return targetKeys.find((key) => {
    const { symbol, position }: TargetSymbol = targetSymbols[key];
    return symbol(f.object) === f.name && position === (f.position ?? 1);
  });
}

/** A module of the scenario's own C. */
export function plain(name: string, source: string): PlainDescription {
  return { kind: 'plain', name, source };
}

/** `object:function`, with its position where it has one, for messages and keys. */
export function functionKey(f: FunctionName): string {
  return `${f.object}:${f.name}${f.position === undefined ? '' : `,${f.position}`}`;
}

/** The objects of a patch, in their order; none where the array is missing. */
export function objectsOf(patch: Pick<LivepatchDescription, 'objects'>): readonly PatchedObject[] {
  return patch.objects ?? [];
}

/** One entry of a patch with the object it is in. */
export interface Entry {
  readonly object: PatchedObject;
  readonly entry: ReplacedFunction;
  /** What it replaces; undefined where the entry has no name. */
  readonly function: FunctionName | undefined;
}

/** Every function entry of a patch, in the order of the arrays. */
export function entriesOf(patch: Pick<LivepatchDescription, 'objects'>): readonly Entry[] {
  return objectsOf(patch).flatMap((object) =>
    (object.functions ?? []).map((entry) => ({ object, entry, function: functionOf(object, entry) })),
  );
}

/**
 * The function that an entry's replacement is in the patch's module.
 * @param index the entry's place in {@link entriesOf}
 */
export function replacementName(index: number): string {
  return `replacement_${index}`;
}

/**
 * What a patch replaces a function with, as tracers know it.
 * @throws RangeError when the patch does not replace it
 */
export function replacementOf(patch: LivepatchDescription, f: FunctionName): FunctionName {
  const index = entriesOf(patch).findIndex((e) => e.function !== undefined && functionKey(e.function) === functionKey(f));
  if (index < 0) throw new RangeError(`${patch.name} replaces no ${functionKey(f)}`);
  return { object: patch.name, name: replacementName(index) };
}

function functionOf(object: PatchedObject, entry: ReplacedFunction): FunctionName | undefined {
  if (entry.name === null) return undefined;
  const f = { object: object.name, name: entry.name };
  const twins = targetKeys.some((key) => targetSymbols[key].of === 2 && targetSymbols[key].symbol(f.object) === f.name);
  return twins && entry.sympos ? { ...f, position: entry.sympos } : f;
}
