// SPDX-License-Identifier: MIT
import { ExitStatus, KlpError } from '../errors.js';

/** Reason of a signal that Ctrl-C (or a termination request) aborted: a command that throws it ends with 130. */
class Interrupted extends KlpError {
  constructor() {
    super('interrupted', ExitStatus.interrupted);
  }
}

export interface Interruptible {
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /**
   * The next SIGINT or SIGTERM is for somebody else, once, and aborts nothing.
   * @returns takes that back
   */
  readonly divert: (handler: () => void) => () => void;
  /** Takes the handlers away again. */
  readonly release: () => void;
}

/** A signal that the first SIGINT, SIGTERM or SIGHUP aborts; the second ends the process on the spot (QEMU ends with it). */
export function interruptible(): Interruptible {
  const controller = new AbortController();
  let diverted: (() => void) | undefined;
  const handler = (name: NodeJS.Signals): void => {
    const other = diverted;
    diverted = undefined;
    if (other && name !== 'SIGHUP') other();
    else if (controller.signal.aborted) process.exit(130);
    else controller.abort(new Interrupted());
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, handler);
  return {
    signal: controller.signal,
    divert: (other) => {
      diverted = other;
      return () => {
        if (diverted === other) diverted = undefined;
      };
    },
    release: () => {
      for (const name of names) process.off(name, handler);
    },
  };
}
