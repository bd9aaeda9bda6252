// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import type { ConsoleReport } from './console.js';
import { severity } from './splats.js';

/**
 * What can become of a guest. Only `infrastructure` is worth trying again; the others are findings about the kernel
 * under test or about what was done to it.
 */
export type FailureKind =
  | 'panic'
  | 'oops'
  | 'hang'
  | 'silence'
  | 'connection lost'
  | 'boot failed'
  | 'infrastructure';

/** How a machine ended. */
export interface MachineExit {
  readonly reason: 'stopped' | 'powered off' | 'panic' | 'reset' | 'killed' | 'failed';
  /** QEMU's exit status; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What QEMU itself had to say. */
  readonly stderr: string;
}

/** The guest, or QEMU around it, is in no state to go on. `details` are console lines, stderr and the argv. */
export class MachineError extends InfrastructureError {
  constructor(
    readonly kind: FailureKind,
    message: string,
    extra: { hint?: string; details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, extra);
  }

  /** The same, with something to do about it. */
  withHint(hint: string): MachineError {
    return new MachineError(this.kind, this.message, { hint, details: this.details, cause: this.cause });
  }
}

/** The failure a console report stands for. */
export function failureOf(report: ConsoleReport): FailureKind {
  switch (report.kind) {
    case 'panic':
      return 'panic';
    case 'oops':
    case 'warning':
      return 'oops';
    case 'hung task':
    case 'rcu stall':
    case 'lockup':
      return 'hang';
  }
}

/** The first of the worst. */
export function worstReport(reports: readonly ConsoleReport[]): ConsoleReport | undefined {
  return reports.reduce<ConsoleReport | undefined>((a, b) => (a && severity(a.kind) >= severity(b.kind) ? a : b), undefined);
}

/**
 * What is to be said of a guest that no longer answers: the worst the console reported, else how QEMU ended. A warning
 * alone takes no guest down, and one that reset itself without a word is no fault of the host's.
 */
export function whatBecame(
  reports: readonly ConsoleReport[],
  exit: MachineExit | 'held' | undefined,
): { kind: FailureKind; message: string } {
  const worst = worstReport(reports.filter((report) => report.kind !== 'warning'));
  if (worst) {
    // A panic ends the guest, whether it has come to that yet or not.
    const gone = exit !== undefined || worst.kind === 'panic';
    return { kind: failureOf(worst), message: `${gone ? 'the guest is gone: ' : ''}${worst.title}` };
  }
  if (!exit) return { kind: 'connection lost', message: 'the guest no longer answers, and its console does not say why' };
  if (exit === 'held') return { kind: 'connection lost', message: 'the guest has ended, and its console does not say why' };
  const byItself = exit.reason === 'reset' || exit.reason === 'powered off';
  return { kind: byItself ? 'connection lost' : 'infrastructure', message: `the guest is gone: ${describeExit(exit)}` };
}

/** For a person: `QEMU ended with status 1 (failed)`. */
export function describeExit(exit: MachineExit): string {
  const how = exit.signal === null ? `with status ${exit.code ?? 'unknown'}` : `by ${exit.signal}`;
  return `QEMU ended ${how} (${exit.reason})`;
}
