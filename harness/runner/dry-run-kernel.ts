// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import { type Observation, learn } from '../model/observations/index.js';
import { type Operation, type Outcome, step } from '../model/operations/index.js';
import { passed, settled } from '../model/progress.js';
import type { SeenOutcome } from '../model/reference.js';
import { type Facts, type State, pristine } from '../model/state.js';
import { movedBySignal } from '../model/tasks.js';
import { lineFor } from './dry-run-log.js';
import { threads } from './dry-run-sights.js';

/** How the kernel of a dry run ended an operation; without an outcome where the model does not say. */
export interface Answer extends SeenOutcome {
  readonly outcome: Outcome | undefined;
}

/**
 * A kernel that does what the model's rules say, and nothing else. It is in one state, where the model beside it holds all
 * that are possible; between two steps it comes to rest as far as it can.
 */
export class DryKernel {
  #state: State = pristine;
  /** What it said since the last operation that can begin a transition: a session looks no further back. */
  #log: string[] = [];

  constructor(readonly facts: Facts) {}

  /** The state it is in now: all that nothing holds has switched, and what leaves has left. */
  get state(): State {
    const rested = settled(this.#state, this.facts);
    return learn(rested, { kind: 'threads', threads: threads(rested, this.facts), settled: true });
  }

  /** The ways an operation may end: from the state it is in, then from those it has passed on the way there. */
  outcomes(op: Operation): readonly Outcome[] {
    const before = passed(this.#state, this.facts).slice(0, -1).reverse();
    return [this.state, ...before].flatMap((state) => step(state, op, this.facts));
  }

  /**
   * Does an operation: as mainline would from the state it is in.
   * @param _step its number in the dry run
   */
  operate(_step: number, op: Operation): Answer {
    return this.take(op, this.outcomes(op)[0]);
  }

  get log(): readonly string[] {
    return this.#log;
  }

  /** Ends an operation in a certain way. */
  protected take(op: Operation, outcome: Outcome | undefined): Answer {
    if (!outcome) return { errno: 'an end that the model does not know', log: [], outcome };
    const log = outcome.log.map((line) => lineFor(line.pattern));
    this.#log = ['load', 'write-enabled', 'api'].includes(op.kind) ? log : [...this.#log, ...log];
    this.#state = outcome.next;
    return { errno: outcome.errno, log, outcome };
  }

  /**
   * What is seen of it: all of it, and as it is.
   * @param _step its number in the dry run
   */
  show(_step: number, seen: Observation): Observation {
    // The next look shows those that come after this one.
    if (seen.kind === 'callbacks' || seen.kind === 'passes') this.#state = learn(this.state, seen);
    const task = seen.kind === 'left-alone' && seen.moved ? this.state.tasks.find((t) => t.tid === seen.tid) : undefined;
    if (task) this.#state = movedBySignal(this.state, task);
    return seen;
  }
}

/** One that ends certain operations as it is told to. */
export class ToldKernel extends DryKernel {
  /** @param told errno by the number of the step */
  constructor(
    facts: Facts,
    private readonly told: ReadonlyMap<number, string>,
  ) {
    super(facts);
  }

  /** @throws UsageError when the operation cannot end so */
  override operate(step: number, op: Operation): Answer {
    const errno = this.told.get(step);
    if (errno === undefined) return super.operate(step, op);
    const outcomes = this.outcomes(op);
    const outcome = outcomes.find((o) => o.errno === errno);
    if (outcome) return this.take(op, outcome);
    const allowed = [...new Set(outcomes.map((o) => o.errno))].join(' or ') || 'nothing';
    throw new UsageError(`step ${step} cannot end with ${errno}; allowed: ${allowed}`);
  }
}
