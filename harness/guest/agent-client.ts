// SPDX-License-Identifier: MIT
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { DeadlineError, messageOf } from '../errors.js';
import { AgentFailure, ConnectionLostError, ProtocolError } from './errors.js';
import { frame, FrameDecoder, type Framed } from './frames.js';
import { decodeBatch, decodeHello, decodeOutcome, decodeReply, decodeValue, encodeRequest, outcomeOf } from './protocol.js';
import type { Call, Hello, Outcome, RawOutcome, Request, ValueOf } from './protocol.js';

export interface AgentOptions {
  /** Factor on every deadline: an emulated guest is slower. */
  readonly timeScale?: number;
}

interface Pending {
  readonly request: Request;
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Milliseconds an operation may take beside what it itself is asked to wait. */
const patience = 20_000;

/**
 * A session with the guest agent over a byte stream: requests may overlap, the agent answers them in their order. The
 * stream may have served a session before, of this guest or of the one that was restored over it.
 */
export class AgentClient {
  private readonly decoder = new FrameDecoder();
  private readonly session = randomInt(1, 0xffff_ffff);
  private readonly pending = new Map<number, Pending>();
  private greeted: Hello | undefined;
  private greet: ((hello: Hello) => void) | undefined;
  private lost: Error | undefined;
  private onLost: ((error: Error) => void) | undefined;
  private lastId = 0;

  private constructor(
    private readonly stream: Duplex,
    private readonly timeScale: number,
  ) {
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('error', (error: Error) => this.lose(new ConnectionLostError(`connection to the guest agent lost: ${error.message}`)));
    for (const event of ['end', 'close']) {
      stream.on(event, () => this.lose(new ConnectionLostError('connection to the guest agent lost')));
    }
  }

  /**
   * Opens a session, which ends the one before it and kills its tasks, and waits for the agent's hello.
   * @throws DeadlineError, ConnectionLostError; ProtocolError when something else answers
   */
  static async open(stream: Duplex, options: AgentOptions = {}): Promise<AgentClient> {
    const client = new AgentClient(stream, options.timeScale ?? 1);
    const deadline = patience * client.timeScale;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => client.lose(new DeadlineError("the guest agent's hello", deadline)), deadline);
      client.greet = () => {
        clearTimeout(timer);
        resolve();
      };
      client.onLost = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      if (client.lost) client.onLost(client.lost);
      else stream.write(frame(client.session, Buffer.alloc(0)));
    });
    client.onLost = undefined;
    return client;
  }

  get hello(): Hello {
    if (!this.greeted) throw new ProtocolError('the guest agent has not greeted yet');
    return this.greeted;
  }

  /** Whether requests can still be answered. */
  get alive(): boolean {
    return this.lost === undefined;
  }

  /**
   * One request, answered by the kernel's errno and value.
   *
   * @throws DeadlineError when the answer does not come; ConnectionLostError; AgentFailure when the agent could not even
   *   ask the kernel (a module file that is not there); ProtocolError; RangeError for arguments that fit no field
   */
  async request<const R extends Request>(request: R): Promise<Outcome<ValueOf<R>>> {
    if (this.lost) throw this.lost;
    this.lastId = (this.lastId % 0xffff_ffff) + 1;
    const id = this.lastId;
    const message = frame(this.session, encodeRequest(id, request));
    const deadline = patience * this.timeScale + ownTime(request);
    const answer = new Promise<Outcome<unknown>>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new DeadlineError(`the guest agent to answer ${describe(request)}`, deadline));
      }, deadline);
      this.pending.set(id, { request, resolve, reject, timer });
    });
    this.stream.write(message);
    return (await answer) as Outcome<ValueOf<R>>;
  }

  /** Ends the agent, which kills its tasks. */
  close(): void {
    this.lose(new ConnectionLostError('connection to the guest agent was closed'));
  }

  private receive(chunk: Buffer): void {
    try {
      for (const framed of this.decoder.push(chunk)) this.take(framed);
      // Before the hello it may be the rest of something that a session before this one did not hear the end of.
      if (this.greeted && this.decoder.garbage > 0) throw new ProtocolError('what the guest agent sends is no frame');
    } catch (error) {
      this.lose(error instanceof ProtocolError ? error : new ProtocolError(messageOf(error), { cause: error }));
    }
  }

  private take({ session, message }: Framed): void {
    if (session === 0 && this.greeted) {
      // Only an agent that has just been started belongs to no session.
      this.lose(new ConnectionLostError('the guest agent ended, and another was started'));
    }
    if (this.lost || session !== this.session) return;
    if (this.greeted) {
      this.answer(message);
      return;
    }
    this.greeted = decodeHello(message);
    this.decoder.garbage = 0;
    this.greet?.(this.greeted);
  }

  private answer(message: Buffer): void {
    const { id, outcome } = decodeReply(message);
    const pending = this.pending.get(id);
    if (!pending) {
      // Id 0 answers no request; anything else is an answer that came after its deadline.
      if (id === 0) throw new ProtocolError(`the guest agent reports ${outcome.body.toString()}`);
      return;
    }
    this.pending.delete(id);
    clearTimeout(pending.timer);
    try {
      pending.resolve(interpret(pending.request, outcome));
    } catch (error) {
      if (!(error instanceof AgentFailure)) throw error;
      pending.reject(error);
    }
  }

  private lose(error: Error): void {
    if (this.lost) return;
    this.lost = error;
    this.stream.destroy();
    this.onLost?.(error);
    for (const pending of this.pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.pending.clear();
  }
}

/**
 * A raw outcome in the terms of its request.
 * @throws AgentFailure, ProtocolError
 */
function interpret(request: Request, raw: RawOutcome): Outcome<unknown> {
  if (raw.errno < 0) throw new AgentFailure(describe(request), raw.errno, raw.body.toString());
  return outcomeOf(raw, () => {
    if (request.op !== 'batch') return decodeValue(request.op, raw.body);
    const outcomes = decodeBatch(raw.body, request.calls.length);
    return request.calls.flatMap((call, i) => {
      const outcome = outcomes[i];
      return outcome ? [interpret(call, outcome)] : [];
    });
  });
}

/**
 * The outcome of the operation that an `op` task was started for.
 * @returns undefined when the task did not come to its end
 */
export function taskOutcome<const C extends Call>(call: C, result: Buffer): Outcome<ValueOf<C>> | undefined {
  return result.length === 0 ? undefined : (interpret(call, decodeOutcome(result)) as Outcome<ValueOf<C>>);
}

/** Milliseconds that a request itself asks the agent to wait. */
function ownTime(request: Request): number {
  if (request.op === 'batch') return request.calls.reduce((sum, call) => sum + ownTime(call), 0);
  return request.op === 'wait' || request.op === 'await' ? request.milliseconds : 0;
}

/** A request in a message: `write /sys/kernel/livepatch/x/enabled`. */
function describe(request: Request): string {
  if (request.op === 'batch') return `batch of ${request.calls.map(describe).join(', ')}`;
  if ('path' in request) return `${request.op} ${request.path}`;
  if (request.op === 'spawn' || request.op === 'rmmod') return `${request.op} ${request.name}`;
  if ('pid' in request) return `${request.op} ${request.pid}`;
  return request.op;
}
