// SPDX-License-Identifier: MIT
import { InfrastructureError, KlpError, messageOf } from '../errors.js';
import type { Failure } from '../events/schema.js';
import { AgentFailure, ConnectionLostError } from '../guest/errors.js';
import { MachineError } from '../vm/failure.js';
import type { Bench } from './bench.js';

/** Why a guest could not be used; where its connection is gone, its console has the word. */
export async function failureOf(error: unknown, bench: Bench): Promise<Failure> {
  if (error instanceof MachineError || error instanceof AgentFailure) return failureFrom(error);
  const guestGone = error instanceof ConnectionLostError || (error instanceof InfrastructureError && !bench.guest.connected);
  return failureFrom(guestGone ? await bench.machine.diagnose() : error);
}

/** An error as the journal keeps it. */
export function failureFrom(error: unknown): Failure {
  const kind = error instanceof MachineError ? error.kind : 'infrastructure';
  const known = error instanceof KlpError ? error : undefined;
  return {
    kind,
    message: messageOf(error),
    ...(known?.hint === undefined ? {} : { hint: known.hint }),
    details: known ? [...known.details] : error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 8) : [],
  };
}
