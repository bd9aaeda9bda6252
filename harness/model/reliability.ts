// SPDX-License-Identifier: MIT
import { type FunctionName, functionKey } from './description.js';
import type { Facts, State } from './state.js';

/*
 * What the stack check makes of a stack: whether it finds all functions on it, or calls it unreliable.
 */

/** What lies between the function that a task entered and the place where it stays. */
export interface Below {
  /** Frames of a function that nothing patches. */
  readonly depth: number;
  /** Who has put a trampoline over the return address into the function: the function it called is followed. */
  readonly trampoline: 'none' | 'graph tracer' | 'kretprobe';
  /** The kernel itself was interrupted: by a page fault, or by an interrupt after which another task got the CPU. */
  readonly exception: boolean;
}

/** How the stack check sees it. */
export interface Trace {
  /** No task with such a stack is switched. */
  readonly reliable: boolean;
  /** The function above the trampoline is left out, and nobody notices. */
  readonly hidden: boolean;
}

/**
 * Depths that leave no doubt: a trace takes 99 entries, on 4.14 100 (MAX_STACK_ENTRIES, kernel/livepatch/transition.c;
 * stack_trace_consume_entry(), kernel/stacktrace.c), a good dozen of which are the kernel's own.
 */
export const depths = { fits: 80, tooDeep: 100 } as const;

/** The function of a target module that tasks call to stay in: its frame is the first one below what a patch names. */
export function gateBelow({ object }: FunctionName): FunctionName {
  return { object, name: `${object}_gate` };
}

/** What a task finds on its way from a function of a target to where it stays. */
export function below(state: State, f: FunctionName, depth: number, exception: boolean): Below {
  const gate = functionKey(gateBelow(f));
  const probed = state.probes.some((p) => p.alive && p.place === 'return' && functionKey(p.function) === gate);
  if (probed) return { depth, exception, trampoline: 'kretprobe' };
  const { tracing } = state;
  const traced = state.ftraceOn && tracing?.tracer === 'function_graph' && functionKey(tracing.function) === gate;
  return { depth, exception, trampoline: traced ? 'graph tracer' : 'none' };
}

/**
 * What the unwinders make of it. All find what the graph tracer has replaced; what a kretprobe has, they find from 5.15 on.
 * Before, ORC gives up at its trampoline (arch/x86/kernel/unwind_orc.c:461-463, 5.10), and with frame pointers the
 * trampoline is an entry like any other (arch/x86/kernel/unwind_frame.c:268-272, 4.14). ORC alone goes on behind what an
 * exception has left (arch/x86/kernel/stacktrace.c:56-57 and arch/arm64/kernel/stacktrace.c:404-405, 7.3.4).
 */
export function traceOf({ depth, trampoline, exception }: Below, { capabilities }: Facts): Trace {
  const lost = trampoline === 'kretprobe' && !capabilities.has('finds-probed-returns');
  const orc = capabilities.has('unwinds-exceptions');
  return { reliable: depth < depths.tooDeep && !(exception && !orc) && !(lost && orc), hidden: lost && !orc };
}
