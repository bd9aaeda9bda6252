// SPDX-License-Identifier: MIT

/** Reason of a signal that Ctrl-C (or a termination request) aborted. */
class Interrupted extends Error {
  constructor() {
    super('interrupted');
  }
}

/**
 * A signal that the first SIGINT, SIGTERM or SIGHUP aborts; the second ends the process on the spot (QEMU ends with it).
 * @returns the signal, and a function that takes the handlers away again
 */
export function interruptible(): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const handler = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Interrupted());
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, handler);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.off(name, handler);
    },
  };
}
