// SPDX-License-Identifier: MIT
import type { Duplex } from 'node:stream';
import { AgentClient, type AgentOptions } from './agent-client.js';
import { AgentGuest } from './agent-guest.js';
import { ConnectionLostError } from './errors.js';
import { connect, type ExecOptions, type ExecResult, type SshSession, type SshTarget } from './ssh.js';
import type { FileToPush } from './tar.js';

export interface SshGuestTarget extends SshTarget, AgentOptions {
  /** Where the agent lies in the guest; /bin/klp-agent when not given. */
  readonly agentPath?: string;
  /**
   * A new stream to an agent that runs already and waits at the other end: a virtio port, which needs no SSH connection
   * first. Without it the agent is started over SSH.
   */
  readonly agentChannel?: () => Duplex;
}

/** A guest behind an SSH server, with the agent in its file system: a virtual machine or a board on the bench. */
export class SshGuest extends AgentGuest {
  private opening: { readonly session: Promise<SshSession>; readonly end: AbortController } | undefined;
  private session: SshSession | undefined;
  private client: AgentClient | undefined;

  private constructor(private readonly target: SshGuestTarget) {
    super();
  }

  /**
   * Waits until the guest's agent answers.
   * @throws what `connect` of ssh.ts and `AgentClient.open` throw
   */
  static async connect(target: SshGuestTarget): Promise<SshGuest> {
    const guest = new SshGuest(target);
    await guest.reconnect();
    return guest;
  }

  /** Whether agent and, if it was needed so far, SSH can still be used. */
  get connected(): boolean {
    return this.client?.alive === true && this.session?.alive !== false;
  }

  async run(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const ssh = await this.ssh();
    return ssh.exec(command, { ...options, timeout: options.timeout ?? this.scaled(60_000) });
  }

  async push(directory: string, files: readonly FileToPush[]): Promise<void> {
    const ssh = await this.ssh();
    await ssh.pushFiles(directory, files, this.scaled(60_000));
  }

  /** An interactive shell on this terminal; returns its exit status. */
  async shell(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<number> {
    return (await this.ssh()).shell(input, output);
  }

  disconnect(): void {
    this.client?.close();
    this.closeSsh();
    this.client = undefined;
  }

  /** Ends the SSH connection alone; the next command opens another. */
  closeSsh(): void {
    this.session?.close();
    // One that is being opened would be tried for minutes, by nobody's wish.
    this.opening?.end.abort(new ConnectionLostError('SSH connection to the guest was closed'));
    this.session = this.opening = undefined;
  }

  async reconnect(options: { readonly deadline?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    this.disconnect();
    const { agentChannel, agentPath = '/bin/klp-agent' } = this.target;
    try {
      const channel = agentChannel ? agentChannel() : await (await this.ssh(options)).channel(`exec ${agentPath}`);
      this.client = await AgentClient.open(channel, this.target);
    } catch (error) {
      this.disconnect();
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

  /** The SSH connection: opened when it is first needed, since a handshake takes an emulated guest half a second. */
  private ssh(options: { readonly deadline?: number; readonly signal?: AbortSignal } = {}): Promise<SshSession> {
    if (this.session) return Promise.resolve(this.session);
    if (this.opening) return this.opening.session;
    const end = new AbortController();
    const signals = [end.signal, options.signal ?? this.target.signal].filter((signal) => signal !== undefined);
    const session = connect({ ...this.target, ...options, signal: AbortSignal.any(signals) }).then(
      (opened) => {
        if (end.signal.aborted) {
          opened.close();
          throw end.signal.reason as Error;
        }
        this.session = opened;
        return opened;
      },
      (error: unknown) => {
        if (!end.signal.aborted) this.opening = undefined;
        throw error;
      },
    );
    this.opening = { session, end };
    return session;
  }

  private scaled(milliseconds: number): number {
    return milliseconds * (this.target.timeScale ?? 1);
  }
}
