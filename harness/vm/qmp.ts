// SPDX-License-Identifier: MIT
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { InfrastructureError } from '../errors.js';
import { within } from './within.js';

/** What QEMU answers when it refuses a command (docs/interop/qmp-spec: error response). */
export class QmpError extends InfrastructureError {
  constructor(
    readonly command: string,
    /** QEMU's error class, `GenericError` for most. */
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`QEMU refused ${command}: ${description} (${errorClass})`);
  }
}

/** An event of QEMU's own accord: `SHUTDOWN`, `RESET`, `GUEST_PANICKED`, … */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Message = Record<string, unknown>;

/** A line longer than this is no QMP: `query-qmp-schema`, the longest answer there is, has about 200 kB. */
const longestLine = 16 * 1024 * 1024;

/**
 * A client of the QEMU Machine Protocol over any stream. Commands may be under way together; answers find their
 * command by id.
 */
export class Qmp {
  /** `event` for every event, `close` once, when the stream has ended. */
  readonly emitter = new EventEmitter<{ event: [QmpEvent]; close: [] }>();
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private chunks: Buffer[] = [];
  private held = 0;
  private ended: InfrastructureError | undefined;
  private greet: (() => void) | undefined;
  private readonly greeted: Promise<void>;

  private constructor(private readonly stream: Duplex) {
    this.greeted = new Promise((resolve) => (this.greet = resolve));
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('error', (error) => this.end(`QEMU's control connection broke: ${error.message}`));
    stream.on('close', () => this.end("QEMU's control connection was closed"));
    stream.on('end', () => this.end("QEMU's control connection was closed"));
  }

  /**
   * Waits for the greeting and leaves negotiation mode.
   * @param milliseconds for both together
   * @throws DeadlineError, or InfrastructureError when the stream ends first
   */
  static async connect(stream: Duplex, milliseconds = 10_000): Promise<Qmp> {
    const qmp = new Qmp(stream);
    const started = performance.now();
    try {
      await within(qmp.orEnd(qmp.greeted), milliseconds, "QEMU's greeting");
      await qmp.execute('qmp_capabilities', {}, Math.max(1, milliseconds - (performance.now() - started)));
    } catch (error) {
      stream.destroy();
      throw error;
    }
    return qmp;
  }

  /**
   * @param args the command's arguments object
   * @returns what stands under `return`, for the caller to check
   * @throws QmpError when QEMU refuses, DeadlineError, InfrastructureError when the connection is or gets closed
   */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}, milliseconds = 30_000): Promise<unknown> {
    if (this.ended) throw this.ended;
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.pending.set(id, { command, resolve, reject });
    });
    this.stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await within(answer, milliseconds, `QEMU to answer ${command}`);
    } finally {
      this.pending.delete(id);
    }
  }

  /**
   * A command of QEMU's human monitor: what has no QMP form.
   * @returns its text, which for many commands is empty when all went well and the only sign when it did not
   */
  async human(line: string, milliseconds = 30_000): Promise<string> {
    const text = await this.execute('human-monitor-command', { 'command-line': line }, milliseconds);
    return String(text).replaceAll('\r\n', '\n').trim();
  }

  /** The events from now on, until the connection closes. */
  async *events(): AsyncGenerator<QmpEvent, void, undefined> {
    const queue: QmpEvent[] = [];
    let wake = (): void => undefined;
    const onEvent = (event: QmpEvent): void => {
      queue.push(event);
      wake();
    };
    const onClose = (): void => wake();
    this.emitter.on('event', onEvent).on('close', onClose);
    try {
      for (;;) {
        const next = queue.shift();
        if (next) yield next;
        else if (this.ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.emitter.off('event', onEvent).off('close', onClose);
    }
  }

  /** Ends the connection; commands under way fail. */
  close(): void {
    this.end("QEMU's control connection was closed");
    this.stream.destroy();
  }

  private receive(chunk: Buffer): void {
    if (this.ended) return;
    let rest = chunk;
    for (let cut = rest.indexOf(10); cut >= 0; cut = rest.indexOf(10)) {
      const line = Buffer.concat([...this.chunks, rest.subarray(0, cut)]).toString();
      this.chunks = [];
      this.held = 0;
      rest = rest.subarray(cut + 1);
      if (line.trim() !== '') this.line(line);
    }
    if (rest.length === 0) return;
    this.chunks.push(rest);
    this.held += rest.length;
    if (this.held > longestLine) this.broken('a line without an end');
  }

  private line(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      // not JSON
    }
    if (!isObject(message)) this.broken(line.slice(0, 80));
    else if ('QMP' in message) this.greet?.();
    else if (typeof message.event === 'string') {
      this.emitter.emit('event', { event: message.event, data: isObject(message.data) ? message.data : {} });
    } else this.answer(message);
  }

  private answer(message: Message): void {
    const { id, error } = message;
    const waiting = typeof id === 'number' ? this.pending.get(id) : undefined;
    // An answer after its deadline has nobody waiting.
    if (!waiting) return;
    if (isObject(error)) {
      waiting.reject(new QmpError(waiting.command, String(error.class), String(error.desc)));
    } else {
      waiting.resolve(message.return);
    }
  }

  private broken(what: string): void {
    this.end(`QEMU's control connection sent what is not QMP: ${JSON.stringify(what)}`);
    this.stream.destroy();
  }

  private end(why: string): void {
    if (this.ended) return;
    this.ended = new InfrastructureError(why);
    for (const { reject } of this.pending.values()) reject(this.ended);
    this.pending.clear();
    this.emitter.emit('close');
  }

  /** `promise`, or the error of a stream that ends before it. */
  private orEnd<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (): void => reject(this.ended ?? new InfrastructureError("QEMU's control connection was closed"));
      if (this.ended) fail();
      this.emitter.once('close', fail);
      promise.then(resolve, reject).finally(() => this.emitter.off('close', fail));
    });
  }
}

function isObject(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
