// SPDX-License-Identifier: MIT
import type { Capability, Finding } from '../model/capabilities.js';
import type { Attempt } from './attempt.js';
import { failureFrom } from './failures.js';
import type { Expectations, ScenarioOutcome } from './expectations.js';
import { scenarioFingerprint } from './fingerprint.js';
import type { FailureLimit } from './failure-limit.js';
import type { Journal } from './journal.js';
import { broke, lacks } from './needs.js';
import { type PastKernel, whyAgain } from './resume.js';
import { type Scenario, clauseIds } from './scenario.js';

/** Result of one scenario on one kernel, for the exit status and the clause verdicts. */
export interface ScenarioResult extends ScenarioOutcome {
  readonly expected: boolean;
}

interface ResultsOptions {
  readonly journal: Journal;
  readonly expectations: Expectations;
  readonly limit: FailureLimit;
  readonly harness: string;
  readonly past?: PastKernel;
  /** Capabilities that the kernel's catalogue entry promises. */
  readonly must: readonly Capability[];
  /** The words that repeat a case: `npx klp run S --kernel K …`. */
  readonly repeat: (scenario: string) => string;
}

/** What one kernel's scenarios came to: written into the journal, and kept for the clause verdicts. */
export class KernelResults {
  readonly #results = new Map<string, ScenarioResult>();
  /** Milliseconds of those that passed at once. */
  readonly durations = new Map<string, number>();

  constructor(
    private readonly name: string,
    private readonly scenarios: readonly Scenario[],
    private readonly options: ResultsOptions,
  ) {}

  /** In the order of the scenarios. */
  all(): readonly ScenarioResult[] {
    return this.scenarios.flatMap((s) => this.#results.get(s.id) ?? []);
  }

  of(s: Scenario): ScenarioResult | undefined {
    return this.#results.get(s.id);
  }

  /** Scenarios without a result. */
  missing(): readonly Scenario[] {
    return this.scenarios.filter((s) => !this.#results.has(s.id));
  }

  /** Of a resumed run: takes over the results that still hold for the kernel with this fingerprint, and says which do not. */
  keep(kernel: string): void {
    this.#keep((s) => {
      const earlier = this.options.past?.finished.get(s.id);
      return earlier && whyAgain(earlier, scenarioFingerprint(s, this.options.harness), kernel);
    });
  }

  /** Of a resumed run whose kernel is out of reach: all that there is holds, for nothing says otherwise. */
  keepAll(): void {
    this.#keep(() => undefined);
  }

  #keep(whyNot: (s: Scenario) => string | undefined): void {
    const { past, journal } = this.options;
    if (!past) return;
    const superseded: { scenario: string; why: string }[] = [];
    for (const s of this.scenarios) {
      const earlier = past.finished.get(s.id);
      if (!earlier) continue;
      const why = whyNot(s);
      if (why === undefined) this.#results.set(s.id, earlier.result);
      else superseded.push({ scenario: s.id, why });
    }
    journal.emit('kernel.resumed', { kernel: this.name, kept: [...this.#results.keys()], superseded });
  }

  /**
   * The question can't be asked of this kernel. Where its catalogue entry says that it can, that is a failure.
   * @param findings what the probes saw
   */
  notAsked(s: Scenario, missing: readonly Capability[], findings: ReadonlyMap<Capability, Finding>): void {
    const promised = missing.filter((c) => this.options.must.includes(c));
    const verdict = promised.length > 0 ? 'fail' : 'n/a';
    const reason = promised.length > 0 ? broke(promised, findings) : lacks(missing);
    const clauses = clauseIds(s).map((clause) => ({ clause, verdict, note: reason }) as const);
    this.#start(s);
    const failure = { kind: 'assertion', message: reason } as const;
    this.finish(s, { verdict, reason, clauses, ...(verdict === 'fail' ? { failure } : {}) }, 0, 1, false);
  }

  /** The kernel cannot be had, booted or kept: what has no result yet is an error. */
  failAll(error: unknown): void {
    const failure = failureFrom(error);
    // However many scenarios it costs, it is one thing that failed.
    this.options.limit.add('error', false);
    this.options.journal.emit('kernel.failed', { kernel: this.name, failure });
    for (const s of this.missing()) {
      const clauses = clauseIds(s).map((clause) => ({ clause, verdict: 'error' as const }));
      this.#start(s);
      const reason = `kernel ${this.name} could not be used: ${failure.message}`;
      this.finish(s, { verdict: 'error', reason, failure: { kind: failure.kind, message: failure.message }, clauses }, 0, 1, false, false);
    }
  }

  /** Enough has failed: what has no result yet says so, and is an error, since nothing was learnt. */
  notRun(): void {
    const { journal, limit, repeat } = this.options;
    const verdict = 'error';
    for (const s of this.missing()) {
      const clauses = clauseIds(s).map((clause) => ({ clause, verdict, note: limit.reason }) as const);
      journal.emit('scenario.finished', {
        kernel: this.name,
        scenario: s.id,
        verdict,
        reason: limit.reason,
        durationMs: 0,
        attempts: 0,
        flaky: false,
        notRun: true,
        repeat: repeat(s.id),
        clauseVerdicts: clauses.map((c) => ({ ...c })),
      });
      this.#results.set(s.id, { kernel: this.name, scenario: s.id, verdict, clauses, failure: undefined, expected: false });
    }
  }

  #start(s: Scenario): void {
    const { journal } = this.options;
    journal.emit('scenario.started', { kernel: this.name, scenario: s.id, title: s.title, clauses: [...clauseIds(s)], attempt: 1 });
  }

  /**
   * @param attempt the last one, with the verdicts of all its clauses
   * @param counted whether it adds to the failures after which a run is stopped
   */
  finish(s: Scenario, attempt: Attempt, durationMs: number, attempts: number, flaky: boolean, counted = true): void {
    const { journal, expectations, limit, repeat, harness } = this.options;
    const { verdict, clauses } = attempt;
    const outcome: ScenarioOutcome = {
      kernel: this.name,
      scenario: s.id,
      verdict,
      clauses,
      failure: attempt.failure?.kind,
    };
    const expected = expectations.reason(outcome);
    journal.emit('scenario.finished', {
      kernel: this.name,
      scenario: s.id,
      verdict,
      durationMs: Math.round(durationMs),
      attempts,
      flaky,
      repeat: repeat(s.id),
      fingerprint: scenarioFingerprint(s, harness),
      clauseVerdicts: clauses.map(({ clause, verdict: of, note }) => ({ clause, verdict: of, ...(note === undefined ? {} : { note }) })),
      ...(attempt.reason === undefined ? {} : { reason: attempt.reason }),
      ...(attempt.failure === undefined ? {} : { failure: attempt.failure }),
      ...(attempt.log === undefined ? {} : { log: [...attempt.log] }),
      ...(expected === undefined ? {} : { expected }),
    });
    // Counted once it is written: what the journal does not have, no summary has.
    this.#results.set(s.id, { ...outcome, expected: expected !== undefined });
    if (counted) limit.add(verdict, expected !== undefined);
    if (attempts === 1 && (verdict === 'pass' || verdict === 'deviates')) this.durations.set(s.id, durationMs);
  }
}
