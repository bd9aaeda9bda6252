// SPDX-License-Identifier: MIT
import { literally } from '../model/operations/types.js';
import { type Guest, type Span, type Thread, must } from './guest.js';

/*
 * Who holds a transition, read from a kernel that nobody prepared for it: patch_state and stack of every thread, the names
 * below /sys/kernel/livepatch, and the log.
 */

/** A thread that has not switched. */
export interface HoldingThread {
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly kernel: boolean;
  /** Scheduler state as in /proc/<pid>/stat. */
  readonly state: string;
  /** What of its stack the transition is about, as the kernel prints it; undefined when nothing in it is. */
  readonly at: string | undefined;
  /** Innermost frame first; empty when the kernel shows none. */
  readonly stack: readonly string[];
}

/** A transition that has not ended. */
export interface Hold {
  readonly patch: string;
  /** What it makes of the patch. */
  readonly to: 'patched' | 'unpatched';
  /** How long ago it began, or was turned round, in milliseconds of the guest's clock; undefined when the log does not say. */
  readonly since: number | undefined;
  /** When the threads were looked at. */
  readonly span: Span;
  /** Threads of the system that can be read. */
  readonly threads: number;
  readonly holding: readonly HoldingThread[];
}

const root = '/sys/kernel/livepatch';

/**
 * The transition under way, and the threads that have not switched.
 *
 * @returns undefined when there is no transition
 * @throws InfrastructureError when no answer comes
 */
export async function whoHolds(guest: Pick<Guest, 'tree' | 'readText' | 'sweep' | 'log'>): Promise<Hold | undefined> {
  const tree = await guest.tree(root);
  if (!tree.ok) return undefined;
  const patches = tree.value.filter((e) => e.type === 'directory' && /^[^/]+$/.test(e.name)).map((e) => e.name);
  for (const patch of patches) {
    const transition = await guest.readText(`${root}/${patch}/transition`);
    if (!transition.ok || transition.value.trim() !== '1') continue;
    const enabled = await guest.readText(`${root}/${patch}/enabled`);
    const sweep = await guest.sweep({ stack: true });
    const { records } = await guest.log();
    const threads = must(sweep, 'sweep');
    const begin = records.findLast((r) => beginsTransition(patch).test(r.text));
    const since = begin && Number(sweep.span.end / 1_000_000n - begin.microseconds / 1000n);
    const to = enabled.ok && enabled.value.trim() === '1' ? 'patched' : 'unpatched';
    return { patch, to, since, span: sweep.span, threads: threads.length, holding: holdingThreads(patch, to, threads, functionsOf(patch, tree.value)) };
  }
  return undefined;
}

/** What the log says when a transition of a patch begins, or is turned round. */
export function beginsTransition(patch: string): RegExp {
  return new RegExp(`'${literally(patch)}': (starting )?(un)?patching\\b(?! complete)`);
}

/** Names of the functions that a patch replaces: `<object>/<function>,<position>` below its directory. */
function functionsOf(patch: string, tree: readonly { readonly name: string; readonly type: string }[]): readonly string[] {
  const below = tree.flatMap((e) => new RegExp(`^${literally(patch)}/[^/]+/([^/]+),\\d+$`).exec(e.name)?.[1] ?? []);
  return [...new Set(below)];
}

/**
 * Of all threads those that have not switched.
 * @param functions names that the patch replaces
 */
export function holdingThreads(
  patch: string,
  to: Hold['to'],
  threads: readonly Pick<Thread, 'pid' | 'tid' | 'comm' | 'kernel' | 'state' | 'patchState' | 'stack'>[],
  functions: readonly string[],
): readonly HoldingThread[] {
  const waiting = threads.filter((t) => t.patchState === (to === 'patched' ? 0 : 1));
  return waiting.map(({ pid, tid, comm, kernel, state, stack }) => {
    const frames = framesOf(stack?.text ?? '');
    return { pid, tid, comm, kernel, state, at: frames.find((frame) => concerns(frame, patch, functions)), stack: frames };
  });
}

/** `[<0>] name+0x10/0x20 [module]`, a line each; 4.14 gives an address where later kernels give 0. */
function framesOf(stack: string): readonly string[] {
  const lines = stack.split('\n').map((line) => line.replace(/^\[<[0-9a-f]+>\] /, '').trim());
  // 4.14 ends with a line of its own.
  return lines.filter((line) => line !== '' && !line.startsWith('0xffffffffffffffff'));
}

/** A frame of a function that the patch replaces, or of a replacement of its own. */
function concerns(frame: string, patch: string, functions: readonly string[]): boolean {
  return frame.endsWith(`[${patch}]`) || functions.includes(frame.split('+')[0] ?? '');
}

/**
 * A hold for a person: one line for the transition, then what holds it and what would move that, thread by thread.
 * @param most threads that are written out
 */
export function holdText(hold: Hold, most = 20): readonly string[] {
  const { patch, to, since, holding, threads } = hold;
  const age = since === undefined ? '' : `, for ${(since / 1000).toFixed(1)} s now`;
  const others = holding.length - most;
  const head =
    holding.length === 0
      ? `${patch} is being ${to}${age}: all of ${threads} threads have switched, the kernel has yet to notice (it looks every second), or an idle CPU has not`
      : `${patch} is being ${to}${age}: ${holding.length} of ${threads} threads hold it`;
  return [
    head,
    ...holding.slice(0, most).flatMap((t) => [
      `  ${t.comm} (${t.kernel ? 'kernel thread' : t.tid === t.pid ? 'process' : `thread of process ${t.pid},`} ${t.tid}), ${stateText(t.state)}, ${where(t)}`,
      `    to move it: ${moves(t)}`,
      ...t.stack.slice(0, 12).map((frame) => `    ${frame === t.at ? '→' : ' '} ${frame}`),
    ]),
    ...(others > 0 ? [`  … and ${others} more`] : []),
  ];
}

function where({ at, stack }: HoldingThread): string {
  if (at !== undefined) return `in ${at.replace(/\+0x\S+/, '')}`;
  return stack.length === 0 ? 'without a stack that could be read' : 'in no function of this patch that its stack shows';
}

const states: Readonly<Record<string, string>> = {
  R: 'running or ready to run',
  S: 'asleep, can be woken by signals',
  D: 'asleep, cannot be woken by signals',
  I: 'idle, cannot be woken by signals',
  T: 'stopped',
  t: 'stopped by a tracer',
  Z: 'dead, not waited for',
};

function stateText(state: string): string {
  return states[state] ?? `in state ${state}`;
}

/** What makes a thread pass a point where it is switched (kernel/livepatch/transition.c: klp_try_switch_task, klp_send_signals). */
function moves({ kernel, state, at }: HoldingThread): string {
  const leaves = at === undefined ? 'its stack is looked at again every second' : 'nothing but what it waits for: it has to leave that function';
  if (kernel) return state === 'R' ? 'it has to sleep outside of what is patched' : leaves;
  if (state === 'R') return 'its next return to user space, within a tick if it is there already; in the kernel it has to come back from it';
  if (state === 'S') return 'a signal: SIGSTOP and SIGCONT take it out of the kernel unseen (from 5.1 on the kernel does so itself every 15 seconds)';
  if (state === 'T' || state === 't') return 'SIGCONT, or its tracer';
  return leaves;
}
