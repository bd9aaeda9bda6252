// SPDX-License-Identifier: MIT
import { DeadlineError, InfrastructureError, KlpError, messageOf } from '../errors.js';
import type { Failure } from '../events/schema.js';
import { AgentFailure, ConnectionLostError } from '../guest/errors.js';
import { ModelViolation, SituationError } from '../model/reference.js';
import { type Verdict, worst } from '../model/verdict.js';
import { MachineError } from '../vm/failure.js';
import type { Bench } from './bench.js';
import type { ScenarioOutcome } from './expectations.js';
import type { Session } from './session.js';

/** What one attempt at a scenario came to. */
export interface Attempt {
  readonly verdict: Verdict;
  readonly reason?: string;
  readonly failure?: Failure;
  readonly clauses: ScenarioOutcome['clauses'];
  readonly log?: readonly string[];
}

/** The verdict of a scenario that came to its end. */
export function judge(session: Session, asked: readonly string[], splats: readonly string[]): Attempt {
  const judged = new Set(session.judgements.map((j) => j.clause));
  const silent = asked.filter((clause) => !judged.has(clause));
  const verdicts = session.judgements.map((j) => j.verdict);
  const clauses: ScenarioOutcome['clauses'] = [];
  if (splats.length > 0) {
    const message = `the kernel warned: ${splats.join('; ')}`;
    return { verdict: 'fail', reason: message, failure: { kind: 'oops', message }, clauses };
  }
  const verdict = worst(verdicts);
  const wrong = session.judgements.filter((j) => j.verdict === verdict);
  if (verdict === 'fail') {
    const reason = wrong.map((j) => `${j.clause}: ${j.what}: ${j.seen}; allowed: ${j.mainline.allowed}`).join(' | ');
    return { verdict, reason, failure: { kind: 'assertion', message: reason }, clauses };
  }
  if (silent.length > 0) return { verdict: 'error', reason: `nothing judged ${silent.join(', ')}`, clauses };
  if (verdict === 'deviates') {
    return { verdict, reason: [...new Set(wrong.map((j) => `${j.clause}: ${j.note ?? ''}`))].join('; '), clauses };
  }
  return { verdict, clauses };
}

/**
 * What an exception out of a scenario that had begun means. One that was cut short is a fail if something in it failed
 * before, and never better than an error.
 */
export async function explain(error: unknown, session: Session, bench: Bench): Promise<Attempt> {
  const during = session.doing;
  const verdict = worst(['error', ...session.judgements.map((j) => j.verdict)]);
  const ended = (failure: Failure): Attempt => ({ ...broken({ ...failure, during }), verdict });
  if (error instanceof ModelViolation) return ended({ kind: 'assertion', message: error.message });
  if (error instanceof SituationError) return ended({ kind: 'assertion', message: `situation not reached: ${error.message}` });
  const failure = await failureOf(error, bench);
  const hang = error instanceof DeadlineError && failure.kind === 'infrastructure';
  return ended(hang ? { ...failure, kind: 'hang' } : failure);
}

/** Why a guest could not be used; where its connection is gone, its console has the word. */
export async function failureOf(error: unknown, bench: Bench): Promise<Failure> {
  if (error instanceof MachineError || error instanceof AgentFailure) return failureFrom(error);
  const guestGone = error instanceof ConnectionLostError || (error instanceof InfrastructureError && !bench.guest.connected);
  return failureFrom(guestGone ? await bench.machine.diagnose() : error);
}

/** A scenario that broke before it could be judged. */
export function broken(failure: Failure): Attempt {
  return { verdict: 'error', reason: failure.message, failure, clauses: [] };
}

/** An error as the journal keeps it. */
export function failureFrom(error: unknown): Failure {
  const kind = error instanceof MachineError ? error.kind : 'infrastructure';
  const known = error instanceof KlpError ? error : undefined;
  return {
    kind,
    message: messageOf(error),
    ...(known?.hint === undefined ? {} : { hint: known.hint }),
    details: known ? [...known.details] : error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 8) : [],
  };
}
