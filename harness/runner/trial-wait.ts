// SPDX-License-Identifier: MIT
import type { Guest } from '../guest/guest.js';
import { type Hold, whoHolds } from '../guest/holders.js';
import { SituationError } from '../model/reference.js';
import type { Console } from '../vm/console.js';
import { type ReportKind, severity } from '../vm/splats.js';
import { Patience } from './patience.js';

/**
 * Waits for the end of a patch's transition: its file says 0, or is gone with the patch.
 *
 * @param milliseconds that it has; more where the host has kept the guest waiting for a CPU
 * @param hostWait     milliseconds that the guest has waited for CPUs of the host until now
 * @returns undefined when it ended; else who holds it
 * @throws SituationError when the host is too slow to tell whether anybody does
 */
export async function awaitTransition(
  guest: Pick<Guest, 'awaitContent' | 'tree' | 'readText' | 'sweep' | 'log'>,
  patch: string,
  milliseconds: number,
  hostWait: () => Promise<number>,
): Promise<Hold | undefined> {
  const time = await Patience.start(milliseconds, hostWait);
  for (;;) {
    const outcome = await guest.awaitContent(`/sys/kernel/livepatch/${patch}/transition`, '0\n', Math.max(1, time.left));
    if (!outcome.ok || outcome.value.came) return undefined;
    try {
      if (await time.isOver()) return await whoHolds(guest);
    } catch (error) {
      if (!(error instanceof SituationError)) throw error;
      const hold = await whoHolds(guest);
      if (!hold || isCertain(hold)) return hold;
      throw error;
    }
  }
}

/** Whether somebody sleeps in what is patched: on no host, however fast, would the transition have ended. */
export function isCertain({ holding }: Hold): boolean {
  return holding.some(({ at, state }) => at !== undefined && state !== 'R');
}

/**
 * Waits for work in a guest, but not for long once its kernel has said that it broke: whoever died in it keeps the locks he had, and
 * others wait for them for ever.
 *
 * @param grace milliseconds that the work has after that
 * @param broke called when they are over; the work goes on, and nobody hears of its end
 */
export async function unlessKernelBreaks(console: Pick<Console, 'emitter'>, grace: number, work: Promise<void>, broke: () => void): Promise<void> {
  const { emitter } = console;
  let timer: NodeJS.Timeout | undefined;
  let over: () => void = () => undefined;
  const breaks = new Promise<void>((resolve) => (over = resolve));
  const heard = (kind: ReportKind): void => {
    if (severity(kind) < severity('lockup')) return;
    timer ??= setTimeout(() => {
      broke();
      over();
    }, grace);
  };
  emitter.on('complaint', heard);
  try {
    await Promise.race([work, breaks]);
  } finally {
    emitter.off('complaint', heard);
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
