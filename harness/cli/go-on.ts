// SPDX-License-Identifier: MIT
import type { PauseOptions } from '../runner/pause.js';
import type { Interruptible } from './interrupt.js';

/** Seconds without a terminal: nobody may be there, and a CI job must not hang. */
export const unattended = 600;

/** Of setTimeout: a longer one would fire at once. */
const longestTimer = 2 ** 31 - 1;

export interface GoOnOptions {
  readonly input: Pick<NodeJS.ReadStream, 'isTTY' | 'once' | 'off' | 'pause' | 'resume' | 'unref'>;
  readonly say: (line: string) => void;
  /** Whether somebody reads what is said. */
  readonly attended: boolean;
  /** Seconds; when left out without end for somebody, and {@link unattended} for nobody. */
  readonly seconds?: number;
  readonly interrupts: Pick<Interruptible, 'divert'>;
}

/**
 * How `klp run --pause-on-failure` waits: on a terminal for Enter, elsewhere for SIGINT or SIGTERM, which then do not end the
 * run, or until the time is up. On a terminal Ctrl-C ends the run as ever.
 */
export function goOn(options: GoOnOptions): PauseOptions {
  const { input, say, interrupts } = options;
  const terminal = options.attended && input.isTTY;
  const seconds = options.seconds ?? (terminal ? undefined : unattended);
  return {
    say,
    wait: (signal) =>
      new Promise<void>((resolve, reject) => {
        const undo: (() => void)[] = [];
        const settle = (settled: () => void) => (): void => {
          for (const step of undo) step();
          settled();
        };
        const proceed = settle(resolve);
        const abort = settle(() => reject(signal.reason as Error));
        signal.addEventListener('abort', abort, { once: true });
        undo.push(() => signal.removeEventListener('abort', abort));
        if (seconds !== undefined) {
          const timer = setTimeout(proceed, Math.min(seconds * 1000, longestTimer));
          undo.push(() => clearTimeout(timer));
        }
        if (terminal) {
          input.once('data', proceed).resume();
          undo.push(() => input.off('data', proceed).pause());
        } else {
          undo.push(interrupts.divert(proceed));
        }
        const soon = seconds === undefined ? '' : `, at the latest in ${seconds} s`;
        say(terminal ? `  go on    with Enter${soon}` : `  go on    with kill -INT ${process.pid}${soon}`);
      }),
  };
}
