// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';

/** Bytes from the other side that the agent protocol does not allow. */
export class ProtocolError extends InfrastructureError {}

/** The connection to the guest is gone. Why (a panic, a hang, the network) the console has to say. */
export class ConnectionLostError extends InfrastructureError {
  /** The failure kind of docs/architecture.md. */
  readonly kind = 'connection lost';
}

/** The guest at the other end is not the one whose host key was pinned. */
export class HostKeyError extends InfrastructureError {}

/** The agent itself could not do what was asked, before the kernel came to answer. */
export class AgentFailure extends InfrastructureError {
  readonly reason: 'malformed' | 'unknown operation' | 'too large' | 'cannot';

  constructor(what: string, code: number, message: string) {
    super(`the guest agent refused ${what}: ${message}`);
    const reasons = ['malformed', 'unknown operation', 'too large'] as const;
    this.reason = reasons[-code - 1] ?? 'cannot';
  }
}
