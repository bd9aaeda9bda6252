// SPDX-License-Identifier: MIT
import type { EventType, Payload } from '../events/schema.js';
import type { Guest, Outcome, Span } from '../guest/guest.js';
import { holdText, whoHolds } from '../guest/holders.js';
import type { Observation } from '../model/observations/index.js';
import type { Operation } from '../model/operations/index.js';
import { type Judgement, ModelViolation, type ReferenceModel, SituationError } from '../model/reference.js';
import type { State } from '../model/state.js';
import { Activity } from './activity.js';
import type { Samples } from './samples.js';

/** How the lines begin that we write into the guest's kernel log. */
const logMark = 'klp-harness: ';

/** What the session reports; the runner adds kernel and scenario. */
export type Emit = <T extends SessionEvent>(type: T, payload: Omit<Payload<T>, 'kernel' | 'scenario'>) => void;
export type SessionEvent = Extract<EventType, 'operation' | 'observation' | 'witness' | 'judgement'>;

/** A line that we write into the guest's kernel log; {@link SessionRecord.kernelLog} leaves it out. */
export function logMarkOf(text: string): string {
  return `<7>${logMark}${text}\n`;
}

/** An operation, and the states that the kernel may be in after it. */
export interface DoneOperation {
  readonly what: string;
  /** In the guest's time: before it all is as before, after it as `states` have it. */
  readonly span: Span;
  readonly states: readonly State[];
  /** It is of a kind that can begin a transition. */
  readonly begins: boolean;
}

/** How an operation ended: `OK`, the errno's name, or in words that it did not. */
export type Ending = Pick<Outcome<unknown>, 'name' | 'span'>;

/**
 * What is done in a session goes through here: operations to kernel and model alike, observations to the model, and all of
 * it into the journal.
 */
export class SessionRecord {
  /** What was done and when, for failures that come out of the blue. */
  readonly activity = new Activity();
  readonly judgements: Judgement[] = [];
  #otherFails = 0;
  #callFails = 0;
  #astray = false;
  #unexpected: readonly string[] = [];
  /** Told of every operation once the model has followed it. */
  readonly onOperation = new Set<(done: DoneOperation) => void>();
  /** Where in the kernel log the last operation began that can begin a transition. */
  #logFrom = 0n;
  #attempt = 0;

  /**
   * @param slowdown what host time limits are multiplied by
   * @param hostWait milliseconds that the guest has waited for CPUs of the host until now
   */
  constructor(
    readonly guest: Guest,
    readonly model: ReferenceModel,
    readonly slowdown: number,
    private readonly emit: Emit,
    readonly hostWait: () => Promise<number>,
  ) {}

  get doing(): string {
    return this.activity.current.what;
  }

  set doing(what: string) {
    this.activity.step(what);
  }

  /**
   * Milliseconds of the guest's clock that the last operation took that can have begun a transition: about what each further
   * attempt of the kernel takes as well. 6.12 patches all calls of cond_resched() at both ends of a transition, which can take
   * an emulated machine a quarter of a minute while tasks fork on all its CPUs.
   */
  get attempt(): number {
    return this.#attempt;
  }

  /** Whether something failed, and all that did is that calls reached another body than they may. */
  get onlyCallsFailed(): boolean {
    return this.#callFails > 0 && this.#otherFails === 0;
  }

  /** Whether the kernel has left the model's path; long waits teach nothing more then. */
  get astray(): boolean {
    return this.#astray;
  }

  /**
   * Carries an operation out and has the model judge how it ended, by errno and kernel log.
   * @throws SituationError, ModelViolation as `ReferenceModel.operate` does
   */
  async operate(op: Operation, what: string, perform: () => Promise<Ending>): Promise<void> {
    this.doing = what;
    const from = await this.guest.logEnd();
    if (beginsTransition(op)) this.#logFrom = from;
    const ending = await perform();
    const { name } = ending;
    if (beginsTransition(op)) this.#attempt = Math.ceil(Number(ending.span.end - ending.span.begin) / 1e6);
    // A mark for whoever reads the log; and the kernel's own last line, if it lacks its newline, ends only with the next
    // record (kernel/printk): REG-6's does.
    const marked = await this.guest.write('/dev/kmsg', logMarkOf(`${what}: ${name}`));
    const log = await this.kernelLog(from);
    // A task is where it shall be some time after the call that sent it there has returned.
    const end = takesEffectAtOnce(op) ? ending.span.end : marked.span.end;
    this.done(op, what, { name, span: { begin: ending.span.begin, end } }, log);
  }

  /**
   * Has the model follow an operation that has been carried out.
   * @param log what the kernel said meanwhile
   * @throws SituationError, ModelViolation as `ReferenceModel.operate` does
   */
  done(op: Operation, what: string, { name, span }: Ending, log: readonly string[]): void {
    this.emit('operation', { what, result: name, span: spanText(span) });
    try {
      this.judge(this.model.operate(op, what, { errno: name, log }));
    } catch (error) {
      if (error instanceof ModelViolation) this.judge(error.judgements);
      throw error;
    }
    for (const told of this.onOperation) told({ what, span, states: this.model.states, begins: beginsTransition(op) });
  }

  /** The kernel's lines since a sequence number, or since the last operation that can begin a transition. */
  async kernelLog(from = this.#logFrom): Promise<readonly string[]> {
    return (await this.guest.log(from)).records.map((r) => r.text).filter((text) => !text.startsWith(logMark));
  }

  /**
   * Has the model judge something that was seen.
   * @param samples the single readings in it, for a picture
   */
  observe(what: string, seen: string, span: Span | undefined, observation: Observation, samples?: Samples): void {
    this.emit('observation', { what, seen, ...(span && { span: spanText(span) }), ...(samples && { samples }) });
    this.judge(this.model.observe(observation), observation.kind === 'call');
  }

  /**
   * Looks who holds the transition under way, for the journal.
   * @param unexpected nobody should: what is found is kept for whoever explains the failure
   */
  async whoHolds(unexpected: boolean): Promise<void> {
    const hold = await whoHolds(this.guest);
    if (!hold) return;
    const [head = '', ...threads] = holdText(hold);
    this.witness(head, threads, hold.span);
    if (unexpected) this.#unexpected = [head, ...threads];
  }

  /** Who last held a transition that nobody should. */
  get unexpectedHold(): readonly string[] {
    return this.#unexpected;
  }

  /** Proof that a situation was there. */
  witness(situation: string, proof: readonly string[], span: Span): void {
    this.emit('witness', { situation, proof: [...proof], span: spanText(span) });
  }

  /**
   * Makes sure that a file is there before it is written to, so that its absence is not taken for the kernel's answer.
   * @param otherwise completes "there is no <path>: "
   * @throws SituationError
   */
  async require(path: string, otherwise: string): Promise<void> {
    const outcome = await this.guest.tree(path, 0);
    if (!outcome.ok) throw new SituationError(`there is no ${path} (${outcome.name}): ${otherwise}`);
  }

  private judge(judgements: readonly Judgement[], call = false): void {
    for (const judgement of judgements) {
      if (judgement.verdict === 'fail' && call) this.#callFails++;
      else if (judgement.verdict === 'fail') this.#otherFails++;
      this.judgements.push(judgement);
      this.emit('judgement', judgement);
      if (!judgement.mainline.does) this.#astray = true;
    }
  }
}

function takesEffectAtOnce({ kind }: Operation): boolean {
  return !['park', 'spin', 'passes', 'signal', 'exec', 'release'].includes(kind);
}

/** Whether it is of a kind that can begin a transition. */
export function beginsTransition({ kind }: Operation): boolean {
  return kind === 'load' || kind === 'write-enabled' || kind === 'api';
}

function spanText({ begin, end }: Span): { begin: string; end: string } {
  return { begin: String(begin), end: String(end) };
}
