// SPDX-License-Identifier: MIT
import { createConnection, type Socket } from 'node:net';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import pRetry, { AbortError } from 'p-retry';
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2';
import { DeadlineError, InfrastructureError, messageOf } from '../errors.js';
import { ConnectionLostError, HostKeyError } from './errors.js';
import { tarStream, type FileToPush } from './tar.js';

/** How a guest is reached. */
export interface SshTarget {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  /** Private key in OpenSSH's or PEM form. */
  readonly privateKey: string | Buffer;
  /** The host's public key as SSH sends it (the base64 part of its .pub line, decoded): no other is accepted. */
  readonly hostKey: Buffer;
  /** Milliseconds for one attempt, up to a shell that would take commands. */
  readonly readyTimeout?: number;
  /** Milliseconds for all attempts: a guest that is still booting. */
  readonly deadline?: number;
  /** Milliseconds between two keepalives; three without an answer mean that the guest is gone. */
  readonly keepalive?: number;
  /** Gives up at once when aborted: QEMU has ended, say. */
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  /** Exit status, or 128 and the signal's number as a shell would say; 255 when the guest told neither. */
  readonly code: number;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  /** Milliseconds until the command's end. */
  readonly timeout?: number;
  readonly input?: Buffer | string;
}

/**
 * Connects and logs in, again and again until the guest answers.
 *
 * @throws DeadlineError when it did not within `deadline`; HostKeyError at once when another host answers;
 *   InfrastructureError when it refuses the key, or the key can't be read; the signal's reason
 */
export async function connect(target: SshTarget): Promise<SshSession> {
  const { deadline = 60_000, signal } = target;
  const end = Date.now() + deadline;
  const where = `${target.host} port ${target.port}`;
  let last: unknown;
  // Trying again would make it no better.
  const key = ssh2.utils.parseKey(target.privateKey);
  if (key instanceof Error) throw new InfrastructureError(`the SSH key for ${where} can't be read: ${key.message}`);
  try {
    return await pRetry(
      async () => {
        try {
          return await connectOnce(target, Math.max(1, end - Date.now()));
        } catch (error) {
          last = error;
          if (error instanceof InfrastructureError) throw new AbortError(error);
          throw error;
        }
      },
      {
        retries: Infinity,
        minTimeout: 100,
        maxTimeout: 1000,
        maxRetryTime: deadline,
        shouldRetry: () => Date.now() < end,
        ...(signal ? { signal } : {}),
      },
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof InfrastructureError) throw error;
    throw new DeadlineError(`an SSH server at ${where}`, deadline, {
      details: [`last attempt: ${messageOf(last ?? error)}`],
    });
  }
}

/** One attempt; nothing of one that fails is left open. */
function connectOnce(target: SshTarget, left: number): Promise<SshSession> {
  const { signal } = target;
  const where = `${target.host} port ${target.port}`;
  const client = new ssh2.Client();
  // ssh2 would give up its socket without closing it, where one side has said goodbye already.
  const socket = createConnection({ host: target.host, port: target.port, noDelay: true });
  let seenKey: Buffer | undefined;
  // The key's own type is asked for, so that a host with several keys shows the pinned one.
  const keyType = target.hostKey.subarray(4, 4 + target.hostKey.readUInt32BE(0)).toString();
  const config: ConnectConfig = {
    sock: socket,
    username: target.username ?? 'root',
    privateKey: target.privateKey,
    readyTimeout: Math.min(target.readyTimeout ?? 20_000, left),
    keepaliveInterval: target.keepalive ?? 5000,
    keepaliveCountMax: 3,
    hostVerifier: (key: Buffer) => {
      seenKey = key;
      return key.equals(target.hostKey);
    },
    algorithms: { serverHostKey: [keyType as 'ssh-ed25519'] },
  };
  return new Promise<SshSession>((resolve, reject) => {
    const fail = (error: Error): void => {
      signal?.removeEventListener('abort', abort);
      hangUp(socket);
      reject(error);
    };
    const abort = (): void => fail(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    client.once('ready', () => {
      signal?.removeEventListener('abort', abort);
      resolve(new SshSession(client, socket));
    });
    client.on('error', (error: Error & { level?: string }) => {
      const otherKey = (seenKey && !seenKey.equals(target.hostKey)) ?? /no matching host key/i.test(error.message);
      if (otherKey) {
        fail(new HostKeyError(`the host key of ${where} is not the guest's`, { hint: 'does another program listen there?' }));
      } else if (error.level === 'client-authentication') {
        fail(new InfrastructureError(`${where} refuses the SSH key of ${config.username ?? ''}`, { cause: error }));
      } else fail(error);
    });
    // A server that hangs up early ends the connection without an error.
    client.once('close', () => fail(new Error('connection closed before it was ready')));
    client.connect(config);
  });
}

/**
 * Ends a connection at once. With a reset, since QEMU keeps the descriptor of one that was closed with a goodbye until the
 * guest has said goodbye as well, which one that is restored never does; and without a word of SSH's, which would meet a guest
 * that knows nothing of the connection.
 */
function hangUp(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else if (!socket.destroyed) socket.resetAndDestroy();
}

/** One SSH connection to a guest. */
export class SshSession {
  private lost: ConnectionLostError | undefined;
  private readonly waiting = new Set<(error: Error) => void>();
  /** How commands ended, as soon as the guest has told. */
  private readonly ends = new WeakMap<ClientChannel, Pick<ExecResult, 'code' | 'signal'>>();

  /**
   * @param client connected and logged in
   * @param socket the client's
   */
  constructor(
    private readonly client: ssh2.Client,
    private readonly socket: Socket,
  ) {
    client.removeAllListeners('error');
    client.on('error', (error: Error) => this.lose(`SSH connection to the guest lost: ${error.message}`));
    client.on('close', () => this.lose('SSH connection to the guest lost'));
  }

  get alive(): boolean {
    return this.lost === undefined;
  }

  /**
   * Runs a shell command in the guest to its end, whatever its status.
   * @throws DeadlineError, ConnectionLostError
   */
  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const channel = await this.open(`the guest to start ${brief(command)}`, (done) => this.client.exec(command, done));
    return this.finish(channel, brief(command), options.timeout ?? 60_000, (end) => end.end(options.input ?? ''));
  }

  /**
   * Writes several files at once, as one tar stream; folders are made.
   *
   * @param directory absolute, in the guest; made when missing
   * @throws InfrastructureError with the guest's words when its tar ends otherwise than 0; DeadlineError, ConnectionLostError
   */
  async pushFiles(directory: string, files: readonly FileToPush[], timeout = 120_000): Promise<void> {
    const quoted = `'${directory.replaceAll("'", "'\\''")}'`;
    const command = `mkdir -p ${quoted} && exec tar -x -f - -C ${quoted}`;
    const channel = await this.open(`the guest to start tar in ${directory}`, (done) => this.client.exec(command, done));
    const what = `tar of ${files.length} files to ${directory}`;
    let broken: unknown;
    const result = await this.finish(channel, what, timeout, (end) => {
      const tar = tarStream(files);
      tar.on('error', (error: Error) => {
        broken = error;
        end.destroy();
      });
      tar.pipe(end);
    });
    if (broken !== undefined) throw new InfrastructureError(`${what}: ${messageOf(broken)}`, { cause: broken });
    if (result.code !== 0) {
      throw new InfrastructureError(`${what} ended with status ${result.code}`, {
        details: result.stderr.trimEnd().split('\n').slice(-10),
      });
    }
  }

  /**
   * A command as a byte stream: its stdin and stdout. What it writes to stderr is dropped. The stream ends with the
   * connection.
   * @throws DeadlineError, ConnectionLostError
   */
  async channel(command: string): Promise<Duplex> {
    const channel = await this.open(`the guest to start ${brief(command)}`, (done) => this.client.exec(command, done));
    channel.stderr.resume();
    return channel;
  }

  /**
   * An interactive shell on this terminal, until it ends.
   *
   * @param input  the terminal; it is put into raw mode meanwhile
   * @param output its other direction, whose window size the guest follows
   * @returns the shell's exit status
   * @throws ConnectionLostError, DeadlineError when it does not start
   */
  async shell(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<number> {
    const size = () => ({ rows: output.isTTY ? output.rows : 24, cols: output.isTTY ? output.columns : 80 });
    const { TERM: term = 'vt100' } = process.env;
    // Without a terminal on our side there is none on the other: the end of the input then ends the shell.
    const terminal = input.isTTY ? { term, ...size(), height: 0, width: 0 } : false;
    const channel = await this.open('a shell in the guest', (done) => this.client.shell(terminal, done));
    const resize = (): void => channel.setWindow(size().rows, size().cols, 0, 0);
    output.on('resize', resize);
    if (input.isTTY) input.setRawMode(true);
    try {
      input.pipe(channel);
      channel.stdout.pipe(output, { end: false });
      return await this.whileAlive((resolve) => {
        channel.on('close', () => resolve(this.ends.get(channel)?.code ?? 0));
      });
    } finally {
      output.off('resize', resize);
      input.unpipe(channel);
      if (input.isTTY) input.setRawMode(false);
      input.pause();
    }
  }

  /** Ends the connection and everything on it. */
  close(): void {
    this.lose('SSH connection to the guest was closed');
  }

  private open(
    awaited: string,
    start: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    return this.within(awaited, 60_000, (resolve, reject) => {
      start((error, channel) => {
        if (error) reject(new InfrastructureError(`no channel for ${awaited}: ${error.message}`, { cause: error }));
        else {
          // Not later: the packet that says that a command has begun may bring its end.
          channel.once('exit', (status: number | null, signal?: string) => {
            const code = status ?? 128 + ((constants.signals as Partial<Record<string, number>>)[signal ?? ''] ?? 0);
            this.ends.set(channel, { code, signal });
          });
          resolve(channel);
        }
      });
    });
  }

  private async finish(
    channel: ClientChannel,
    what: string,
    timeout: number,
    feed: (channel: ClientChannel) => void,
  ): Promise<ExecResult> {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    try {
      return await this.within(`${what} to end in the guest`, timeout, (resolve) => {
        channel.on('data', (chunk: Buffer) => stdout.push(chunk));
        channel.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
        // Writing to a command that has ended: its status says what is wrong.
        channel.on('error', () => undefined);
        channel.on('close', () => {
          const { code, signal } = this.ends.get(channel) ?? { code: 255, signal: undefined };
          resolve({ code, signal, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
        });
        feed(channel);
      });
    } catch (error) {
      channel.destroy();
      throw error;
    }
  }

  private async within<T>(
    awaited: string,
    milliseconds: number,
    body: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
  ): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await this.whileAlive<T>((resolve, reject) => {
        timer = setTimeout(() => reject(new DeadlineError(awaited, milliseconds)), milliseconds);
        body(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  private async whileAlive<T>(body: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    if (this.lost) throw this.lost;
    let onLoss: ((error: Error) => void) | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        onLoss = reject;
        this.waiting.add(reject);
        body(resolve, reject);
      });
    } finally {
      if (onLoss) this.waiting.delete(onLoss);
    }
  }

  private lose(message: string): void {
    if (this.lost) return;
    this.lost = new ConnectionLostError(message);
    hangUp(this.socket);
    for (const reject of this.waiting) reject(this.lost);
    this.waiting.clear();
  }
}

function brief(command: string): string {
  return command.length > 60 ? `${command.slice(0, 57)}...` : command;
}
