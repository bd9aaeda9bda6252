// SPDX-License-Identifier: MIT
import { type Observation, predict } from '../model/observations/index.js';
import type { Operation, Outcome } from '../model/operations/index.js';
import { type Judgement, ModelViolation, type ReferenceModel } from '../model/reference.js';
import { describeState } from '../model/describe-state.js';
import { beginsTransition } from './session-record.js';
import type { Answer, DryKernel } from './dry-run-kernel.js';

/** What the rules allow of one thing seen, over all states that the kernel may be in. */
export interface Expectation {
  readonly clause: string;
  readonly what: string;
  readonly allowed: readonly string[];
  /** What the documents demand, where they forbid what mainline does. */
  readonly documents: readonly string[];
}

/** One thing done or seen. Steps are numbered from 1. */
export type DryStep = {
  readonly number: number;
  readonly what: string;
  readonly judgements: readonly Judgement[];
  /** States that the kernel may be in afterwards, as text. */
  readonly states: readonly string[];
} & (
  | { readonly kind: 'operation'; readonly op: Operation; readonly allowed: readonly Outcome[]; readonly answer: Answer }
  | { readonly kind: 'observation'; readonly seen: Observation; readonly expected: readonly Expectation[] }
  | { readonly kind: 'witness' }
);

type Part<K extends DryStep['kind']> = Omit<Extract<DryStep, { kind: K }>, 'number' | 'judgements' | 'states'>;

/** What a session's record is to a guest, this is to the kernel of a dry run: operations to both, observations to the model. */
export class DryRecord {
  readonly judgements: Judgement[] = [];
  /** Told of every operation once the model has followed it. */
  readonly onOperation = new Set<(what: string, begins: boolean) => void>();
  #steps = 0;

  constructor(
    readonly kernel: DryKernel,
    readonly model: ReferenceModel,
    private readonly onStep: ((step: DryStep) => void) | undefined,
  ) {}

  /** @throws SituationError, ModelViolation as `ReferenceModel.operate` does */
  operate(op: Operation, what: string): void {
    const number = ++this.#steps;
    const allowed = distinct(this.model.allowed(op));
    const answer = this.kernel.operate(number, op);
    const step = { kind: 'operation', what, op, allowed, answer } as const;
    try {
      this.#done(number, step, this.model.operate(op, what, answer));
    } catch (error) {
      this.#done(number, step, error instanceof ModelViolation ? error.judgements : []);
      throw error;
    }
    for (const told of this.onOperation) told(what, beginsTransition(op));
  }

  observe(what: string, observation: Observation): void {
    const number = ++this.#steps;
    const seen = this.kernel.show(number, observation);
    const expected = this.onStep ? this.#expectations(seen) : [];
    this.#done(number, { kind: 'observation', what, seen, expected }, this.model.observe(seen));
  }

  witness(what: string): void {
    this.#done(++this.#steps, { kind: 'witness', what }, []);
  }

  #expectations(seen: Observation): readonly Expectation[] {
    const { states, facts } = this.model;
    const all = states.flatMap((state) => predict(state, seen, facts));
    const keys = [...new Set(all.map((p) => `${p.clause} ${p.what}`))];
    return keys.flatMap((key) => {
      const own = all.filter((p) => `${p.clause} ${p.what}` === key);
      const [first] = own;
      const documents = own.flatMap((p) => (p.documented ? [p.documented.allowed] : []));
      const allowed = own.map((p) => p.allowed);
      return first ? [{ clause: first.clause, what: first.what, allowed: [...new Set(allowed)], documents: [...new Set(documents)] }] : [];
    });
  }

  #done(number: number, part: Part<'operation'> | Part<'observation'> | Part<'witness'>, judgements: readonly Judgement[]): void {
    this.judgements.push(...judgements);
    if (!this.onStep) return;
    const states = [...new Set(this.model.states.map(describeState))];
    this.onStep({ number, ...part, judgements, states });
  }
}

/** Of outcomes that differ in nothing but the state they lead to, the first. */
function distinct(outcomes: readonly Outcome[]): readonly Outcome[] {
  const key = ({ errno, clause, because, oracle, log }: Outcome): string =>
    JSON.stringify([errno, clause, because, oracle, log.map((l) => l.pattern.source)]);
  return [...new Map(outcomes.toReversed().map((o) => [key(o), o])).values()].reverse();
}
