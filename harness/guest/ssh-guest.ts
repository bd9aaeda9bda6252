// SPDX-License-Identifier: MIT
import { AgentClient, type AgentOptions } from './agent-client.js';
import { AgentGuest } from './agent-guest.js';
import { ConnectionLostError } from './errors.js';
import { connect, type ExecOptions, type ExecResult, type SshSession, type SshTarget } from './ssh.js';
import type { FileToPush } from './tar.js';

export interface SshGuestTarget extends SshTarget, AgentOptions {
  /** Where the agent lies in the guest; /bin/klp-agent when not given. */
  readonly agentPath?: string;
}

/** A guest behind an SSH server, with the agent in its file system: a virtual machine or a board on the bench. */
export class SshGuest extends AgentGuest {
  private session: SshSession | undefined;
  private client: AgentClient | undefined;

  private constructor(private readonly target: SshGuestTarget) {
    super();
  }

  /**
   * Waits until the guest's SSH server lets us in and its agent answers.
   * @throws what `connect` of ssh.ts and `AgentClient.open` throw
   */
  static async connect(target: SshGuestTarget): Promise<SshGuest> {
    const guest = new SshGuest(target);
    await guest.reconnect();
    return guest;
  }

  get connected(): boolean {
    return this.session?.alive === true && this.client?.alive === true;
  }

  run(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    return this.ssh().exec(command, { ...options, timeout: options.timeout ?? this.scaled(60_000) });
  }

  push(directory: string, files: readonly FileToPush[]): Promise<void> {
    return this.ssh().pushFiles(directory, files, this.scaled(60_000));
  }

  /** An interactive shell on this terminal; returns its exit status. */
  shell(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<number> {
    return this.ssh().shell(input, output);
  }

  disconnect(): void {
    this.client?.close();
    this.session?.close();
    this.client = this.session = undefined;
  }

  async reconnect(options: { readonly deadline?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    this.disconnect();
    const session = await connect({ ...this.target, ...options });
    try {
      const channel = await session.channel(`exec ${this.target.agentPath ?? '/bin/klp-agent'}`);
      this.client = await AgentClient.open(channel, this.target);
      this.session = session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.disconnect();
  }

  protected agent(): AgentClient {
    if (!this.client) throw new ConnectionLostError('there is no connection to the guest');
    return this.client;
  }

  private ssh(): SshSession {
    if (!this.session) throw new ConnectionLostError('there is no connection to the guest');
    return this.session;
  }

  private scaled(milliseconds: number): number {
    return milliseconds * (this.target.timeScale ?? 1);
  }
}
