// SPDX-License-Identifier: MIT
import type { Reporter } from '../report/reporter.js';

/** The reporter that rewrites the terminal's last lines; one process has one terminal. */
let live: Reporter | undefined;

function hide(): void {
  const text = live?.hide?.() ?? '';
  // To a terminal Node writes at once, so that this works at the process's end, too.
  if (text !== '') process.stdout.write(text);
}

/** Has something else write to the terminal: live lines are taken away before, and come again afterwards. */
export function beside(write: () => void): void {
  hide();
  write();
  live?.show?.();
}

/** As {@link beside}, for as long as it takes. */
export async function besideFor<T>(work: () => Promise<T>): Promise<T> {
  hide();
  try {
    return await work();
  } finally {
    live?.show?.();
  }
}

/**
 * Keeps the terminal in order while a reporter writes to it: its live lines are gone when the process ends, however it comes to
 * that, and while it is stopped (Ctrl-Z).
 * @returns ends that
 */
export function ownTerminal(reporter: Reporter | undefined): () => void {
  if (!process.stdout.isTTY) return () => undefined;
  live = reporter;
  const stopped = (): void => {
    hide();
    // Whoever handles SIGTSTP has to stop by itself; this returns with SIGCONT.
    process.kill(process.pid, 'SIGSTOP');
    live?.show?.();
  };
  process.on('exit', hide).on('SIGTSTP', stopped);
  return () => {
    hide();
    process.off('exit', hide).off('SIGTSTP', stopped);
    live = undefined;
  };
}
