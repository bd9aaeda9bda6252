// SPDX-License-Identifier: MIT

/** Exit status of every `klp` command (docs/usage.md). */
export const ExitStatus = {
  ok: 0,
  conformance: 1,
  usage: 2,
  infrastructure: 3,
  interrupted: 130,
} as const;

/**
 * An error that the person at the keyboard can act on. `message` says what was wrong and where; `hint` what to do
 * about it, a command where there is one; `details` are lines worth showing (a compiler's, a console's).
 */
export class KlpError extends Error {
  readonly exitStatus: number;
  readonly hint: string | undefined;
  readonly details: readonly string[];

  constructor(
    message: string,
    exitStatus: number,
    extra: { hint?: string | undefined; details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.name = new.target.name;
    this.exitStatus = exitStatus;
    this.hint = extra.hint;
    this.details = extra.details ?? [];
  }
}

/** Wrong words on the command line or in a file the user wrote: exit 2. */
export class UsageError extends KlpError {
  constructor(message: string, extra: { hint?: string; details?: readonly string[]; cause?: unknown } = {}) {
    super(message, ExitStatus.usage, extra);
  }
}

/** The host, the mirror, the toolchain, QEMU or the guest let us down: exit 3, never a conformance failure. */
export class InfrastructureError extends KlpError {
  constructor(message: string, extra: { hint?: string; details?: readonly string[]; cause?: unknown } = {}) {
    super(message, ExitStatus.infrastructure, extra);
  }
}

/** Something awaited did not happen in time. `awaited` completes the sentence "waited 30 s for …". */
export class DeadlineError extends InfrastructureError {
  readonly awaited: string;
  constructor(awaited: string, milliseconds: number, extra: { hint?: string; details?: readonly string[] } = {}) {
    super(`waited ${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 1 : 0)} s for ${awaited}`, extra);
    this.awaited = awaited;
  }
}

/** The text of anything thrown, for messages. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
