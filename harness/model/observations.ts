// SPDX-License-Identifier: MIT
import type { ClauseId } from './catalogue/types.js';
import { type FunctionName, functionKey, objectsOf } from './description.js';
import {
  type Body,
  type Facts,
  type Patch,
  type State,
  findPatch,
  holders,
  isLoaded,
  reachableBodies,
  references,
  stackOf,
} from './state.js';

/** One thread's line in a sweep. */
export interface SeenThread {
  readonly tid: number;
  readonly comm: string;
  /** -1, 0, 1; null when the thread went away while it was read. */
  readonly patchState: number | null;
}

/** One entry below /sys/kernel/livepatch/<patch>. */
export interface SeenEntry {
  /** Relative to the patch's directory. */
  readonly path: string;
  readonly type: 'file' | 'directory';
  /** Permission bits, as a number. */
  readonly mode: number;
  /** Content without its newline, where the file can be read. */
  readonly value: string | null;
}

/** Something that was looked at, and what was seen. */
export type Observation =
  | {
      readonly kind: 'threads';
      readonly threads: readonly SeenThread[];
      /** The harness had waited for every thread that nothing holds. */
      readonly settled: boolean;
    }
  | { readonly kind: 'sysfs'; readonly patch: string; readonly entries: readonly SeenEntry[] | null }
  | { readonly kind: 'call'; readonly function: FunctionName; readonly caller: number; readonly body: Body }
  | { readonly kind: 'references'; readonly module: string; readonly count: number }
  /** `ended` false: a wait far longer than every retry interval saw `transition` at 1 throughout. */
  | { readonly kind: 'transition-end'; readonly patch: string; readonly ended: boolean }
  | { readonly kind: 'left-sysfs'; readonly patch: string; readonly left: boolean }
  | {
      readonly kind: 'resolved-symbols';
      readonly patch: string;
      /** Addresses of `.klp.sym.*` in the module's part of kallsyms beside the true ones; null: not there. */
      readonly symbols: readonly { readonly name: string; readonly address: string | null; readonly truth: string }[];
    }
  | { readonly kind: 'ftrace'; readonly function: FunctionName; readonly users: number; readonly flags: string }
  /** Whether the target's probe ran in one call of its function. */
  | { readonly kind: 'probe-hit'; readonly function: FunctionName; readonly hit: boolean }
  /** Whether the tracer that is set recorded one call of the function. */
  | { readonly kind: 'traced'; readonly function: FunctionName; readonly seen: boolean }
  /** Letters of the module's own taint file, and bit 15 of the kernel's mask. */
  | { readonly kind: 'taint'; readonly module: string; readonly letters: string; readonly kernel: boolean }
  /** Names in /sys/kernel/livepatch. */
  | { readonly kind: 'patches'; readonly names: readonly string[] }
  /** Whether a call of klp_unregister_patch() in another task is still under way. */
  | { readonly kind: 'unregister-waits'; readonly patch: string; readonly waits: boolean };

/** One thing a rule expects of one observation from one state. */
export interface Prediction {
  readonly clause: ClauseId;
  readonly what: string;
  readonly seen: string;
  readonly allowed: string;
  readonly holds: boolean;
}

type Rule<K extends Observation['kind']> = (
  state: State,
  seen: Extract<Observation, { kind: K }>,
  facts: Facts,
) => readonly Prediction[];

function prediction(clause: ClauseId, what: string, seen: string, allowed: string, holds: boolean): Prediction {
  return { clause, what, seen, allowed, holds };
}

function equal(clause: ClauseId, what: string, seen: string | number, allowed: string | number): Prediction {
  return prediction(clause, what, String(seen), String(allowed), seen === allowed);
}

// ---- patch_state -----------------------------------------------------------------------------------------------

function summarise(threads: readonly SeenThread[]): string {
  const groups = new Map<number, SeenThread[]>();
  for (const t of threads) {
    if (t.patchState === null) continue;
    groups.set(t.patchState, [...(groups.get(t.patchState) ?? []), t]);
  }
  const names = (list: readonly SeenThread[]): string =>
    list.length > 4 ? '' : ` (${list.map((t) => `${t.comm}:${t.tid}`).join(' ')})`;
  return [...groups.entries()]
    .sort(([a], [b]) => a - b)
    .map(([state, list]) => `${list.length} × ${state}${names(list)}`)
    .join(', ');
}

function offenders(threads: readonly SeenThread[], allowed: (t: SeenThread) => readonly number[]): readonly SeenThread[] {
  return threads.filter((t) => t.patchState !== null && !allowed(t).includes(t.patchState));
}

function threadsPrediction(
  clause: ClauseId,
  what: string,
  threads: readonly SeenThread[],
  allowedText: string,
  allowed: (t: SeenThread) => readonly number[],
): Prediction {
  const wrong = offenders(threads, allowed);
  const seen = wrong.length === 0 ? summarise(threads) : `${summarise(threads)}; wrong: ${summarise(wrong)}`;
  return prediction(clause, what, seen, allowedText, wrong.length === 0);
}

const threadsRule: Rule<'threads'> = (state, { threads, settled }) => {
  const what = `patch_state of ${threads.length} threads`;
  const { transition } = state;
  if (!transition) return [threadsPrediction('TRN-2', what, threads, '-1 everywhere: nothing is in transition', () => [-1])];
  const { target } = transition;
  const initial = 1 - target;
  if (transition.phase === 'finishing') {
    return [threadsPrediction('TRN-1', what, threads, `${target}, then -1: the transition is being completed`, () => [target, -1])];
  }
  const held = holders(state);
  const heldTids = new Set(held.map((h) => h.task.tid));
  const heldText = held.map((h) => h.task.tid).join(', ');
  const free = threads.filter((t) => !heldTids.has(t.tid));
  const predictions = [
    threadsPrediction(
      'TRN-1',
      what,
      free,
      `each thread goes from ${initial} to ${target} once${settled ? `; all but ${heldText || 'none'} have` : ''}`,
      (t) => (settled || transition.arrived.has(t.tid) ? [target] : [initial, target]),
    ),
  ];
  for (const { task, frame } of held) {
    const clause = target === 0 ? 'CHK-3' : frame.body === 'original' ? 'CHK-1' : 'CHK-2';
    const thread = threads.filter((t) => t.tid === task.tid);
    const text = `${initial}: thread ${task.tid} sleeps in ${frame.body} of ${functionKey(frame.function)}`;
    const present = thread.length === 1;
    const judged = threadsPrediction(clause, `patch_state of thread ${task.tid}`, thread, text, () => [initial]);
    predictions.push(present ? judged : { ...judged, seen: 'the thread is gone', holds: false });
  }
  if (settled && held.length > 0) {
    const waiting = threads.filter((t) => t.patchState === initial).map((t) => t.tid);
    predictions.push(
      prediction(
        'TRN-5',
        `who reads ${initial}`,
        waiting.join(', ') || 'nobody',
        `exactly ${heldText}`,
        waiting.length === heldTids.size && waiting.every((tid) => heldTids.has(tid)),
      ),
    );
  }
  return predictions;
};

// ---- sysfs -----------------------------------------------------------------------------------------------------

const octal = (mode: number): string => `0${mode.toString(8)}`;

/** Attribute files of a patch's directory, with their modes, by generation. */
function patchAttributes({ capabilities }: Facts): readonly (readonly [string, number])[] {
  const all: (readonly [string, number])[] = [
    ['enabled', 0o644],
    ['transition', 0o444],
  ];
  if (capabilities.has('sysfs-signal')) all.push(['signal', 0o200]);
  if (capabilities.has('sysfs-force')) all.push(['force', 0o200]);
  if (capabilities.has('sysfs-replace')) all.push(['replace', 0o444]);
  if (capabilities.has('sysfs-stack-order')) all.push(['stack_order', 0o444]);
  return all;
}

function directories(patch: Patch): readonly string[] {
  return objectsOf(patch.description).flatMap((o) => [
    o.name,
    ...(o.functions ?? []).map((f) => `${o.name}/${f.name},${Math.max(1, f.sympos ?? 0)}`),
  ]);
}

const sysfsRule: Rule<'sysfs'> = (state, { patch: name, entries }, facts) => {
  const patch = findPatch(state, name);
  const where = `/sys/kernel/livepatch/${name}`;
  if (!patch) {
    const failedLoad = !state.modules.some((m) => m.name === name);
    return [equal(failedLoad ? 'REG-10' : 'DIS-7', where, entries ? 'present' : 'absent', 'absent')];
  }
  if (!entries) {
    const allowed = patch.presence === 'leaving' ? 'absent or going' : 'present';
    return [prediction('DIS-7', where, 'absent', allowed, patch.presence === 'leaving')];
  }
  const predictions: Prediction[] = [];
  const files = entries.filter((e) => e.type === 'file');
  const top = files.filter((e) => !e.path.includes('/'));
  const attributes = patchAttributes(facts);
  const list = (pairs: readonly (readonly [string, number])[]): string =>
    pairs.map(([file, mode]) => `${file} ${octal(mode)}`).sort().join(', ');
  const basic = (file: string): boolean => file === 'enabled' || file === 'transition';
  const seenPairs = top.map((e) => [e.path, e.mode] as const);
  // While the directory is being taken away, any part of it may be missing.
  if (patch.presence === 'listed') {
    predictions.push(
      equal('SYS-1', `${where}: modes`, list(seenPairs.filter(([f]) => basic(f))), list(attributes.filter(([f]) => basic(f)))),
      equal(
        'SYS-5',
        `${where}: files of later generations`,
        list(seenPairs.filter(([f]) => !basic(f))) || 'none',
        list(attributes.filter(([f]) => !basic(f))) || 'none',
      ),
      equal(
        'REG-9',
        `${where}: directories`,
        entries.filter((e) => e.type === 'directory').map((e) => e.path).sort().join(' '),
        [...directories(patch)].sort().join(' '),
      ),
    );
    const absent = objectsOf(patch.description).filter((o) => !isLoaded(state, o.name)).map((o) => o.name);
    if (absent.length > 0) {
      const there = absent.filter((o) => entries.some((e) => e.path === o));
      predictions.push(equal('REG-15', `${where}: objects that are not loaded`, there.join(' ') || 'none', absent.join(' ')));
    }
    const below = files.filter((e) => e.path.split('/').length > 2).map((e) => e.path);
    predictions.push(equal('SYS-4', `${where}: files of function directories`, below.join(' ') || 'none', 'none'));
  }
  const enabled = top.find((e) => e.path === 'enabled')?.value ?? null;
  if (enabled !== null) predictions.push(equal('ENA-3', `${where}/enabled`, enabled, patch.enabled ? '1' : '0'));
  const transition = top.find((e) => e.path === 'transition')?.value ?? null;
  if (transition !== null) {
    const inTransition = state.transition?.patch === name;
    predictions.push(equal('ENA-2', `${where}/transition`, transition, inTransition ? '1' : '0'));
  }
  return predictions;
};

// ---- behaviour -------------------------------------------------------------------------------------------------

/** The clause that a call of a function speaks to: what it falls back to, what a loading module gets, or who wins. */
function callClause(state: State, f: FunctionName): ClauseId {
  const [top] = stackOf(state, f);
  if (!top) return 'DIS-4';
  const loaded = state.modules.map((m) => m.name);
  const cameLater = loaded.indexOf(f.object) > loaded.indexOf(top.description.name);
  return cameLater ? 'MOD-1' : 'ENA-12';
}

const callRule: Rule<'call'> = (state, { function: f, caller, body }) => {
  const bodies = reachableBodies(state, f, caller);
  return [prediction(callClause(state, f), `call of ${functionKey(f)}`, body, bodies.join(' or '), bodies.includes(body))];
};

const referencesRule: Rule<'references'> = (state, { module, count }) => {
  const patch = findPatch(state, module);
  const clause = patch?.enabled ? 'ENA-9' : 'DIS-6';
  return [equal(clause, `references of module ${module}`, count, references(state, module))];
};

const transitionEndRule: Rule<'transition-end'> = (state, { patch, ended }) => {
  const held = state.transition?.patch === patch && holders(state).length > 0;
  const inTransition = state.transition?.patch === patch;
  if (ended) return [prediction('TRN-5', `end of the transition of ${patch}`, 'ended', held ? 'held' : 'ended', !inTransition)];
  return [prediction('TRN-7', `end of the transition of ${patch}`, 'not ended', held ? 'held' : 'ended', held)];
};

const leftSysfsRule: Rule<'left-sysfs'> = (state, { patch, left }, facts) => {
  const known = findPatch(state, patch);
  const allowed = known?.presence === 'listed' ? 'stays' : 'is taken away';
  const staysForGood = facts.capabilities.has('registration') && known !== undefined;
  return [
    prediction('DIS-7', `directory of ${patch} after its disable`, left ? 'is taken away' : 'stays', allowed, left ? !known : staysForGood),
  ];
};

const resolvedSymbolsRule: Rule<'resolved-symbols'> = (_state, { patch, symbols }) =>
  symbols.map((s) => equal('REG-19', `${s.name} in ${patch}`, s.address ?? 'absent', s.truth));

const ftraceRule: Rule<'ftrace'> = (state, { function: f, users, flags }) => {
  const expected = stackOf(state, f).length > 0 ? 1 : 0;
  const clause = expected === 1 ? 'ENA-11' : 'DIS-5';
  const what = `ftrace users of ${functionKey(f)}`;
  const predictions = [equal(clause, what, users, expected)];
  if (expected === 1) predictions.push(equal('ENA-11', `${what}: IP-modify flag`, flags.includes('I') ? 'set' : 'unset', 'set'));
  return predictions;
};

/** What the rules expect of an observation, if the kernel is in `state`. */
export function predict(state: State, seen: Observation, facts: Facts): readonly Prediction[] {
  switch (seen.kind) {
    case 'threads':
      return threadsRule(state, seen, facts);
    case 'sysfs':
      return sysfsRule(state, seen, facts);
    case 'call':
      return callRule(state, seen, facts);
    case 'references':
      return referencesRule(state, seen, facts);
    case 'transition-end':
      return transitionEndRule(state, seen, facts);
    case 'left-sysfs':
      return leftSysfsRule(state, seen, facts);
    case 'resolved-symbols':
      return resolvedSymbolsRule(state, seen, facts);
    case 'ftrace':
      return ftraceRule(state, seen, facts);
    default:
      return [];
  }
}

/** What the model learns beyond which state it is in: threads seen at the target do not go back (TRN-1). */
export function learn(state: State, seen: Observation): State {
  if (seen.kind !== 'threads' || state.transition?.phase !== 'running') return state;
  const { target } = state.transition;
  const arrived = new Set(state.transition.arrived);
  for (const t of seen.threads) if (t.patchState === target) arrived.add(t.tid);
  return { ...state, transition: { ...state.transition, arrived } };
}
