// SPDX-License-Identifier: MIT
import type { TrialResult, TrialStep, TrialTransition, TrialTree, TrialVerdict } from '../report/trial-schema.js';
import { trialVerdicts } from '../report/trial-schema.js';

/** A finding after which nothing more is tried. */
export class TrialEnded extends Error {}

/** What a step came to. */
export interface StepEnd<T> {
  readonly value: T;
  readonly outcome: string;
  readonly ok: boolean;
  /** What belongs to it: output, lines of the log, who holds a transition. */
  readonly lines: readonly string[];
}

/** The steps of a trial and what was found in them. */
export class TrialRecord {
  readonly begin = performance.now();
  readonly transitions: TrialTransition[] = [];
  readonly trees: TrialTree[] = [];
  private readonly steps: TrialStep[] = [];
  /** The step under way: none, or one, or none any more. */
  private current: { readonly at: number; readonly what: string } | 'closed' | undefined;
  private readonly found: { readonly verdict: TrialVerdict; readonly reason: string }[] = [];

  /** @param said is told each step as it is done */
  constructor(private readonly said: (step: TrialStep) => void) {}

  /**
   * Does something, and notes what came of it.
   * @returns its value
   * @throws TrialEnded when the record was closed meanwhile
   */
  async step<T>(what: string, work: () => Promise<StepEnd<T>>): Promise<T> {
    const step = { at: performance.now() - this.begin, what };
    if (this.current === 'closed') throw new TrialEnded();
    this.current = step;
    const { value, outcome, ok, lines } = await work();
    if (this.current !== step) throw new TrialEnded();
    this.current = undefined;
    this.tell({ ...step, outcome, ok, lines: [...lines] });
    return value;
  }

  /** Ends the step under way from outside, and lets no other begin. */
  close(outcome: string): void {
    if (typeof this.current === 'object') this.tell({ ...this.current, outcome, ok: false, lines: [] });
    this.current = 'closed';
  }

  /** Something that was seen, and whether it is as it should be. */
  note(what: string, outcome: string, ok: boolean, lines: readonly string[] = []): void {
    this.tell({ at: performance.now() - this.begin, what, outcome, ok, lines: [...lines] });
  }

  find(verdict: TrialVerdict, reason: string): void {
    if (!this.found.some((f) => f.reason === reason)) this.found.push({ verdict, reason });
  }

  /** @throws TrialEnded */
  end(verdict: TrialVerdict, reason: string): never {
    this.find(verdict, reason);
    throw new TrialEnded();
  }

  /** All of it; the verdict is the worst that was found. */
  findings(): Pick<TrialResult, 'verdict' | 'reasons' | 'steps' | 'transitions' | 'sysfs'> {
    const { found, steps, transitions, trees: sysfs } = this;
    const verdict = trialVerdicts[Math.max(0, ...found.map((f) => trialVerdicts.indexOf(f.verdict)))] ?? 'clean';
    return { verdict, reasons: found.map((f) => f.reason), steps, transitions, sysfs };
  }

  private tell(step: Omit<TrialStep, 'took'>): void {
    const took = performance.now() - this.begin - step.at;
    const whole = { ...step, at: Math.round(step.at), took: Math.round(took) };
    this.steps.push(whole);
    this.said(whole);
  }
}
