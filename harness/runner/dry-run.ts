// SPDX-License-Identifier: MIT
import { type Judgement, ModelViolation, ReferenceModel, SituationError } from '../model/reference.js';
import { type Profile, type Verdict, worst } from '../model/verdict.js';
import { Activity } from './activity.js';
import { judge } from './attempt.js';
import { dryContext } from './dry-run-context.js';
import type { DryKernel } from './dry-run-kernel.js';
import { DryRecord, type DryStep } from './dry-run-record.js';
import { type Scenario, clausesOn } from './scenario.js';

export type { DryStep, Expectation } from './dry-run-record.js';

/** What a scenario came to. */
export interface DryResult {
  readonly verdict: Verdict;
  readonly reason?: string;
  readonly judgements: readonly Judgement[];
}

interface DryOptions {
  readonly profile?: Profile;
  /** Told of each step once it has been judged. */
  readonly onStep?: (step: DryStep) => void;
}

/**
 * Runs a scenario against a kernel that is the model itself: every operation ends as the model's rules say, and every look
 * shows what they expect. So it comes out without any guest what the scenario cannot do, and what it names and nothing
 * judges: the verdict is that of a run.
 */
export async function dryRun(s: Scenario, kernel: DryKernel, { profile, onStep }: DryOptions = {}): Promise<DryResult> {
  const model = new ReferenceModel(kernel.facts, profile);
  const record = new DryRecord(kernel, model, onStep);
  const { judgements } = record;
  try {
    await s.run(dryContext(s, record));
  } catch (error) {
    if (!(error instanceof SituationError) && !(error instanceof ModelViolation)) throw error;
    return { verdict: worst(['error', ...judgements.map((j) => j.verdict)]), reason: error.message, judgements };
  }
  const { asked } = clausesOn(s, kernel.facts.capabilities);
  const { verdict, reason } = judge({ judgements, activity: new Activity(), unexpectedHold: [] }, asked, [], '');
  return { verdict, ...(reason === undefined ? {} : { reason }), judgements };
}
