// SPDX-License-Identifier: MIT
import { type FunctionName, type LivepatchDescription, entriesOf, vmlinux } from '../model/description.js';
import { type Observation, type SeenEntry, type SeenThread, predict } from '../model/observations/index.js';
import { reasonOf } from '../model/observations/reasons.js';
import { isPatched } from '../model/observations/sysfs.js';
import { directoryOf } from '../model/operations/register.js';
import { SituationError } from '../model/reference.js';
import { objectsInForce } from '../model/replace.js';
import type { ShadowCall } from '../model/shadow.js';
import { type Facts, type State, findPatch, references } from '../model/state.js';
import { bodiesWith, holders, kernelThreadsHold, leavesOnFakeSignal, reachableBodies } from '../model/tasks.js';

/*
 * What a kernel that is in a certain state, and at rest as far as it can be, shows to those who look.
 */

/** The caller of what no sleeper calls. */
export const agentTid = 100;

/** Threads that every kernel has. */
const others: readonly Omit<SeenThread, 'patchState'>[] = [
  { tid: 1, comm: 'init', kernel: false },
  { tid: 2, comm: 'kthreadd', kernel: true },
  { tid: 15, comm: 'ksoftirqd/0', kernel: true },
  { tid: agentTid, comm: 'klp-agent', kernel: false },
];

/** patch_state of all threads: whatever nothing holds has switched. */
export function threads(state: State, facts: Facts): readonly SeenThread[] {
  const all = [...others, ...state.tasks.map(({ tid, kind }) => ({ tid, comm: 'klp-sleeper', kernel: kind === 'kernel' }))];
  const { transition } = state;
  if (!transition) return all.map((t) => ({ ...t, patchState: -1 }));
  const held = new Set(holders(state).map((h) => h.task.tid));
  const kernelWaits = transition.target === 1 && kernelThreadsHold(facts);
  const waits = (t: { readonly tid: number; readonly kernel: boolean }): boolean => held.has(t.tid) || (kernelWaits && t.kernel);
  return all.map((t) => ({ ...t, patchState: waits(t) ? 1 - transition.target : transition.target }));
}

/** The fork of a task: its child has its state. */
export function birth(state: State, tid: number, facts: Facts): Observation {
  const own = stateOf(state, tid, facts);
  return { kind: 'birth', tid, parent: own, child: own };
}

/** What an interrupt over a task finds. */
export function interrupt(state: State, f: FunctionName, tid: number, facts: Facts): Observation {
  const { patchState } = stateOf(state, tid, facts);
  const [body = ''] = bodiesWith(state, f, patchState);
  return { kind: 'interrupt', over: tid, patchState, function: f, body };
}

function stateOf(state: State, tid: number, facts: Facts): { readonly patchState: number; readonly pending: boolean } {
  const patchState = threads(state, facts).find((t) => t.tid === tid)?.patchState ?? -1;
  return { patchState, pending: patchState === 1 - (state.transition?.target ?? -1) };
}

/** The two idle tasks of a machine, or the one of a CPU that is online. */
export function idleTasks(state: State): Observation {
  const patchState = state.transition?.target ?? -1;
  const cpus = [0, 1].filter((cpu) => !state.offline.includes(cpu)).map((cpu) => ({ cpu, patchState }));
  return { kind: 'idle-tasks', cpus, settled: true };
}

export function stateFiles(tid: number): Observation {
  const paths = [`/proc/${tid}/patch_state`, `/proc/${tid}/task/${tid}/patch_state`];
  return { kind: 'state-files', files: paths.map((path) => ({ path, mode: 0o400 })) };
}

/** What the kernel says of those that hold the transition. */
export function reasons(state: State, facts: Facts): Observation {
  const lines = holders(state).map((h) => {
    const [speaker = '', what = ''] = reasonOf(h, facts).split(': ');
    return `livepatch: ${speaker}: klp-sleeper:${h.task.tid} ${what}`;
  });
  return { kind: 'reasons', lines, gaps: lines.length === 0 ? [] : [1000] };
}

/** How tasks are switched: who computes, by itself. */
export function ways({ tasks }: State, asked: readonly { readonly tid: number }[]): Observation {
  const computes = (tid: number): boolean => tasks.some((t) => t.tid === tid && t.activity === 'user space');
  return { kind: 'ways', ways: asked.map(({ tid }) => ({ tid, way: computes(tid) ? 'itself' : 'stack check' })) };
}

/** Attribute files of a patch's directory that some generations have. */
const laterFiles = [
  ['sysfs-signal', 'signal', 0o200],
  ['sysfs-force', 'force', 0o200],
  ['sysfs-replace', 'replace', 0o444],
  ['sysfs-stack-order', 'stack_order', 0o444],
] as const;

/** The tree of a patch in /sys/kernel/livepatch. */
export function sysfs(state: State, name: string, { capabilities }: Facts): readonly SeenEntry[] | null {
  const patch = findPatch(state, name);
  if (!patch) return null;
  const values: Readonly<Record<string, string>> = {
    replace: patch.description.replace ? '1' : '0',
    stack_order: String(1 + state.patches.filter((p) => p.presence === 'listed').indexOf(patch)),
  };
  const file = (path: string, mode: number, value: string | null = null): SeenEntry => ({ path, type: 'file', mode, value });
  const objects = objectsInForce(patch);
  const functions = entriesOf({ objects }).map((e) => `${e.object.name}/${directoryOf(e)}`);
  const directories = new Set([...objects.map((o) => o.name), ...functions]);
  return [
    file('enabled', 0o644, patch.enabled ? '1' : '0'),
    file('transition', 0o444, state.transition?.patch === name ? '1' : '0'),
    ...laterFiles.filter(([capability]) => capabilities.has(capability)).map(([, path, mode]) => file(path, mode, values[path])),
    ...[...directories].map((path): SeenEntry => ({ path, type: 'directory', mode: 0o755, value: null })),
    ...(capabilities.has('sysfs-patched') ? objects.map((o) => file(`${o.name}/patched`, 0o444, isPatched(state, patch, o) ? '1' : '0')) : []),
  ];
}

/** Which body a call reaches. */
export function call(state: State, f: FunctionName, caller: number): Observation {
  const [body = ''] = reachableBodies(state, f, caller);
  return { kind: 'call', function: f, caller, body };
}

/**
 * Whether the transition of a patch has ended, and the line that says so.
 * @param log what the kernel said before
 */
export function transitionEnd(state: State, patch: string, log: readonly string[]): Observation {
  const ended = state.transition?.patch !== patch;
  const verb = findPatch(state, patch)?.enabled === true ? 'patching' : 'unpatching';
  return { kind: 'transition-end', patch, ended, log: ended ? [...log, `livepatch: '${patch}': ${verb} complete`] : log };
}

export function patches(state: State): Observation {
  return { kind: 'patches', names: state.patches.filter((p) => p.presence !== 'unlisted').map((p) => p.description.name) };
}

export function moduleReferences(state: State, module: string): Observation {
  return { kind: 'references', module, count: references(state, module) };
}

export function departure(state: State, patch: string): Observation {
  return { kind: 'left-sysfs', patch, left: findPatch(state, patch) === undefined };
}

export function unregisterWaits(state: State, patch: string): Observation {
  return { kind: 'unregister-waits', patch, waits: state.heldKobjects.includes(patch) };
}

/** What the last call of the shadow variable API came to. */
export function shadowCall({ shadow }: State, patch: string, call: ShadowCall): Observation {
  return { kind: 'shadow-call', patch, call, report: shadow.last?.report ?? { returned: [], ran: [] } };
}

/** What becomes of a sleeper that holds a transition and that nobody touches. */
export function leftAlone(state: State, tid: number, { capabilities }: Facts, log: readonly string[]): Observation {
  const holds = holders(state).some((h) => h.task.tid === tid && leavesOnFakeSignal(h.task));
  const moved = capabilities.has('fake-signals') && holds;
  const said = moved ? [...log, 'livepatch: signaling remaining tasks'] : log;
  return { kind: 'left-alone', tid, moved, after: moved ? 16_000 : undefined, pending: 'none', log: said };
}

export function taint(state: State, module: string, facts: Facts): Observation {
  const candidates = [true, false].flatMap((kernel) =>
    ['K', ''].map((letters) => ({ kind: 'taint', module, letters, kernel }) as const),
  );
  return conforming(state, facts, candidates);
}

export function ftrace(state: State, f: FunctionName, facts: Facts): Observation {
  const candidates = [0, 1, 2, 3].flatMap((users) =>
    ['', 'R', 'I', 'R I'].map((flags) => ({ kind: 'ftrace', function: f, users, flags }) as const),
  );
  return conforming(state, facts, candidates);
}

export function probeHit(state: State, f: FunctionName, facts: Facts): Observation {
  return conforming(state, facts, [true, false].map((hit) => ({ kind: 'probe-hit', function: f, hit }) as const));
}

export function traced(state: State, f: FunctionName, facts: Facts): Observation {
  return conforming(state, facts, [true, false].map((seen) => ({ kind: 'traced', function: f, seen }) as const));
}

/**
 * Addresses of the symbols that a patch uses: in its symbols, and once it runs in its code.
 * @throws SituationError where a session could not look either
 */
export function resolvedSymbols(state: State, patch: LivepatchDescription, facts: Facts): Observation {
  const printing = entriesOf(patch).find((e) => e.function?.object === vmlinux && e.function.name === 'cmdline_proc_show');
  if (!printing?.function) throw new SituationError(`symbols of ${patch.name}: the patch replaces no cmdline_proc_show of vmlinux`);
  const runs = reachableBodies(state, printing.function, agentTid)[0] === patch.name;
  const truth = 'ffffffff81000000';
  const seen = (address: string | null): Observation => ({
    kind: 'resolved-symbols',
    patch: patch.name,
    symbols: patch.uses.flatMap((use) => [
      { name: `.klp.sym.${use.object}.${use.name},N`, address, truth },
      ...(runs ? [{ name: `code that refers to ${use.name}`, address, truth }] : []),
    ]),
  });
  return conforming(state, facts, [seen(truth), seen(null)]);
}

/** Of several things that could be seen, the one that the model's rules expect: they need no second telling here. */
function conforming(state: State, facts: Facts, candidates: readonly Observation[]): Observation {
  const found = candidates.find((seen) => predict(state, seen, facts).every((p) => p.holds));
  if (!found) throw new RangeError(`nothing that ${candidates[0]?.kind ?? 'is seen'} could show is allowed`);
  return found;
}
