// SPDX-License-Identifier: MIT
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { AgentClient } from '../../harness/guest/agent-client.js';
import { AgentGuest } from '../../harness/guest/agent-guest.js';
import { buildAgent } from '../../images/agent.js';

/** The real agent, run on this host, its bytes through pipes. */
export async function startAgent(): Promise<ChildProcessWithoutNullStreams> {
  return spawn(await buildAgent('x86_64'), { stdio: 'pipe' });
}

export function streamOf(child: ChildProcessWithoutNullStreams): Duplex {
  return Duplex.from({ readable: child.stdout, writable: child.stdin });
}

/** A Guest that is this host: the operations of the agent, without SSH. */
export class LocalGuest extends AgentGuest {
  readonly connected = true;

  private constructor(
    readonly child: ChildProcessWithoutNullStreams,
    private readonly client: AgentClient,
  ) {
    super();
  }

  static async start(): Promise<LocalGuest> {
    return LocalGuest.of(await startAgent());
  }

  /** An agent that was started in some other way. */
  static async of(child: ChildProcessWithoutNullStreams): Promise<LocalGuest> {
    return new LocalGuest(child, await AgentClient.open(streamOf(child)));
  }

  agent(): AgentClient {
    return this.client;
  }

  run(): never {
    throw new Error('no shell here');
  }

  push(): never {
    throw new Error('no files are pushed here');
  }

  disconnect(): void {
    this.client.close();
  }

  reconnect(): never {
    throw new Error('there is only one');
  }

  /** Ends the agent, and returns when it has ended. */
  async end(): Promise<void> {
    const exit = once(this.child, 'exit');
    this.disconnect();
    await exit;
  }
}
