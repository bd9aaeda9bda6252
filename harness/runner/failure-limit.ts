// SPDX-License-Identifier: MIT
import type { Verdict } from '../model/verdict.js';

/** Counts results that were not expected, over all kernels of a run, and says when it is enough (`--max-failures`). */
export class FailureLimit {
  #failures = 0;

  /** @param most  results after which nothing more is begun; Infinity for no limit
   *  @param strict deviations count, too */
  constructor(
    private readonly most: number,
    private readonly strict: boolean,
  ) {}

  get reached(): boolean {
    return this.#failures >= this.most;
  }

  /** Why something was not run. */
  get reason(): string {
    return `not run: --max-failures ${this.most} was reached`;
  }

  add(verdict: Verdict, expected: boolean): void {
    const bad = verdict === 'fail' || verdict === 'error' || (this.strict && verdict === 'deviates');
    if (bad && !expected) this.#failures += 1;
  }
}
