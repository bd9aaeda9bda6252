// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import type { ConsoleReport } from './console.js';

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

/** The guest, or QEMU around it, is in no state to go on. `details` are console lines, stderr and the argv. */
export class MachineError extends InfrastructureError {
  constructor(
    readonly kind: FailureKind,
    message: string,
    extra: { hint?: string; details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, extra);
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
