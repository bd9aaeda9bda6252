// SPDX-License-Identifier: MIT
import { must } from '../guest/guest.js';
import { SituationError } from '../model/reference.js';
import { type State, pristine } from '../model/state.js';
import type { SessionRecord } from './session-record.js';

/** How tasks are preempted, on kernels that can change it as they run (PREEMPT_DYNAMIC, kernel/sched/debug.c). */
export const preemptMode = '/sys/kernel/debug/sched/preempt';

/** What of the kernel's an interrupt leaves on the stack of a task that loses its CPU at its end, on x86-64 and arm64. */
export const interruption = /asm_sysvec_|irqentry_exit|retint_kernel|el1_interrupt|el1_irq/;

/**
 * That a task computes which can take the CPU of another.
 * @throws SituationError when none does
 */
export function requireCompetition(state: State): void {
  if (state.tasks.some((task) => task.activity === 'user space')) return;
  throw new SituationError('no task computes that would take the CPU of another: spin() has to come first');
}

/**
 * Has the kernel preempt tasks in its own code, as it goes on doing in this guest.
 * @throws SituationError when no task computes that would take the CPU of another
 */
export async function letPreempt(record: SessionRecord): Promise<void> {
  const { guest, model } = record;
  requireCompetition(model.states[0] ?? pristine);
  const before = await guest.readText(preemptMode);
  // Any other kernel does so always, or a scenario that asks for it is not asked of it.
  if (before.name === 'ENOENT') return;
  // Thousands of places are written anew for it, which takes seconds: not twice.
  if (isFull(must(before, preemptMode))) return;
  must(await guest.write(preemptMode, 'full'), preemptMode);
  const after = must(await guest.readText(preemptMode), preemptMode);
  if (!isFull(after)) throw new SituationError(`${preemptMode} reads ${after.trim()}, after "full" was written`);
}

/** The mode in force stands in brackets: `none voluntary (full)`. */
function isFull(modes: string): boolean {
  return modes.includes('(full)');
}
