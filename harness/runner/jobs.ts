// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** How many guests at once: a number, or as many as the host has room for. */
export type Jobs = number | 'auto';

/** What QEMU takes beside the guest's own memory, in MiB: its code, device and translation buffers. */
const qemuMiB = 200;
/** Left to the host, the harness and the compiler, in MiB. */
const reserveMiB = 512;

export interface Room {
  readonly cores: number;
  /** MiB that could be had without swapping. */
  readonly availableMiB: number;
}

/** The host as it is now. A limit on this process's group (a container's) counts where Node knows it. */
export function hostRoom(): Room {
  const { availableMemory } = process as { availableMemory?: () => number };
  const info = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  const limits = [info === undefined ? Infinity : Number(info) / 1024, (availableMemory?.() ?? Infinity) / 2 ** 20];
  return { cores: availableParallelism(), availableMiB: Math.floor(Math.min(...limits)) };
}

/**
 * How many guests a kernel's scenarios get. A number that was asked for is obeyed, whatever the host has; nothing starts a
 * guest that no scenario is left for.
 *
 * @param guestMiB memory of one guest
 * @returns at least 1; and the reason, for a person
 */
export function chooseJobs(
  wanted: Jobs,
  scenarios: number,
  guestMiB: number,
  room: Room,
): { readonly jobs: number; readonly why: string } {
  const most = Math.max(1, scenarios);
  if (wanted !== 'auto') return { jobs: Math.min(wanted, most), why: `--jobs ${wanted}, ${scenarios} to run` };
  const { cores, availableMiB } = room;
  const byMemory = Math.max(0, Math.floor((availableMiB - reserveMiB) / (guestMiB + qemuMiB)));
  const why = `${cores} cores, ${availableMiB} MiB of memory free (enough for ${byMemory}), ${scenarios} to run`;
  return { jobs: Math.max(1, Math.min(cores, byMemory, most)), why };
}
