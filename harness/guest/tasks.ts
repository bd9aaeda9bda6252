// SPDX-License-Identifier: MIT
import type { Guest } from './guest.js';

/** A thread's scheduler state as of /proc/<tid>/stat (R, S, D, Z, …); the errno's name when there is no such thread. */
export async function schedulerState(guest: Guest, tid: number): Promise<string> {
  const stat = await guest.readText(`/proc/${tid}/stat`);
  if (!stat.ok) return stat.name;
  // The state stands behind the comm, which is in brackets and may hold anything.
  return /^\) (\S)/.exec(stat.value.slice(stat.value.lastIndexOf(')')))?.[1] ?? '?';
}
