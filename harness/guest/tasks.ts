// SPDX-License-Identifier: MIT
import type { Guest, Outcome } from './guest.js';

/** A thread's scheduler state as of /proc/<tid>/stat (R, S, D, Z, …); the errno's name when there is no such thread. */
export async function schedulerState(guest: Guest, tid: number): Promise<string> {
  const stat = await guest.readText(`/proc/${tid}/stat`);
  return stat.ok ? (fields(stat.value)[0] ?? '?') : stat.name;
}

/** Whether a thread is on its way out (PF_EXITING, include/linux/sched.h); false when there is no such thread. */
export async function isExiting(guest: Guest, tid: number): Promise<boolean> {
  const stat = await guest.readText(`/proc/${tid}/stat`);
  return stat.ok && (Number(fields(stat.value)[6]) & 0x4) !== 0;
}

/** Clock ticks that a thread has spent in user space (utime of proc(5)). */
export async function userTicks(guest: Guest, tid: number): Promise<Outcome<number>> {
  const stat = await guest.readText(`/proc/${tid}/stat`);
  return stat.ok ? { ...stat, value: Number(fields(stat.value)[11]) } : stat;
}

/** The fields from the third on: they stand behind the comm, which is in brackets and may hold anything. */
function fields(stat: string): readonly string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
