// SPDX-License-Identifier: MIT
import type { EventOf, KlpEvent } from '../events/schema.js';
import { resultsVersion } from './results-schema.js';
import type {
  ByVerdict,
  ClauseResult,
  KernelResult,
  Results,
  ScenarioResult,
  Verdict,
} from './results-schema.js';

/** A scenario under way on a kernel: what its last attempt has brought so far. */
export interface Attempt {
  readonly kernel: string;
  readonly scenario: string;
  readonly title: string;
  readonly attempt: number;
  /** `mono` of its first event, in milliseconds. */
  readonly since: number;
  /** `what → result` of each operation. */
  readonly operations: string[];
  readonly judgements: ScenarioResult['judgements'];
  /** Of each judgement. */
  readonly places: Place[];
  /** Line of the journal with its first event. */
  readonly line: number;
  readonly witnesses: ScenarioResult['witnesses'];
  readonly splats: ScenarioResult['splats'];
}

/** Where a judgement was made. */
export interface Place {
  /** Line of the journal, from 1. */
  readonly line: number;
  /** How many operations had been done. */
  readonly operations: number;
}

/** A scenario that has just finished; what else it has stays in the journal, the results do without. */
export interface Finished {
  readonly result: ScenarioResult;
  readonly operations: readonly string[];
  /** Of each judgement. */
  readonly places: readonly Place[];
  /** Lines of the journal, from 1: of its first event and of its last. */
  readonly lines: readonly [number, number];
}

/** Zero of each verdict. */
export function noCounts(): ByVerdict {
  return { fail: 0, error: 0, deviates: 0, pass: 0, 'n/a': 0 };
}

/** Key of one scenario on one kernel. NUL stands in neither name. */
const key = (event: { kernel: string; scenario: string }): string => `${event.kernel}\0${event.scenario}`;

function omit<T extends object, K extends keyof T>(from: T, ...keys: readonly K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(from).filter(([k]) => !keys.includes(k as K))) as Omit<T, K>;
}
const envelope = ['v', 'seq', 'run', 'type', 'mono', 'wall'] as const;

/**
 * Folds the event stream into results. It believes the single events, not the sums in run.finished, so that
 * the journal of a killed run gives results too.
 */
export class Collector {
  readonly #running = new Map<string, Attempt>();
  readonly #planned = new Map<string, { title: string; clauses: string[] }>();
  readonly #kernels = new Map<string, KernelResult>();
  /** By scenario and kernel: in a resumed run a later result takes the place of an earlier one. */
  readonly #scenarios = new Map<string, ScenarioResult>();
  readonly #clauses = new Map<string, Omit<ClauseResult, 'expected'>>();
  /** What run.started announced, in order: results come in this order, whatever order they finished in. */
  #plan: readonly string[] = [];
  #started: EventOf<'run.started'> | undefined;
  #finished: EventOf<'run.finished'> | undefined;
  #first: KlpEvent | undefined;
  #mono = 0;

  /** @returns the result when the event finished a scenario */
  add(event: KlpEvent): Finished | undefined {
    this.#first ??= event;
    this.#mono = Math.max(this.#mono, event.mono);
    switch (event.type) {
      case 'run.started':
        this.#started = event;
        for (const name of event.kernels) this.#kernel(name);
        for (const { id, title, clauses } of event.scenarios) this.#planned.set(id, { title, clauses });
        this.#plan = executions(event).flatMap((p) => p.scenarios.map((scenario) => key({ kernel: p.kernel, scenario })));
        return undefined;
      case 'run.resumed':
        this.#finished = undefined;
        this.#running.clear();
        return undefined;
      case 'kernel.resumed':
        this.#supersede(event);
        return undefined;
      case 'progress':
      case 'observation':
      case 'kernel.estimated':
        return undefined;
      case 'kernel.acquired':
        this.#kernel(event.kernel).acquired = omit(event, ...envelope, 'kernel');
        // Of an earlier part of the run: now it is there.
        delete this.#kernel(event.kernel).failure;
        return undefined;
      case 'kernel.probed':
        this.#kernel(event.kernel).probed = omit(event, ...envelope, 'kernel');
        return undefined;
      case 'kernel.booted':
        this.#kernel(event.kernel).booted = omit(event, ...envelope, 'kernel');
        return undefined;
      case 'kernel.failed':
        this.#kernel(event.kernel).failure = event.failure;
        return undefined;
      case 'scenario.started':
        this.#planned.set(event.scenario, { title: event.title, clauses: event.clauses });
        this.#running.delete(key(event));
        this.#attempt(event, event.attempt);
        return undefined;
      case 'operation':
        this.#attempt(event).operations.push(`${event.what} → ${event.result}`);
        return undefined;
      case 'witness':
        this.#attempt(event).witnesses.push(omit(event, ...envelope, 'kernel', 'scenario'));
        return undefined;
      case 'judgement':
        this.#judge(event);
        return undefined;
      case 'splat':
        this.#attempt(event).splats.push(omit(event, ...envelope, 'kernel', 'scenario'));
        return undefined;
      case 'scenario.finished':
        return this.#finish(event);
      case 'clause.judged':
        this.#clauses.set(`${event.kernel}\0${event.clause}`, omit(event, ...envelope));
        return undefined;
      case 'run.finished':
        this.#finished = event;
        return undefined;
    }
  }

  /** Scenarios under way, the one started first in front. */
  get running(): readonly Attempt[] {
    return [...this.#running.values()];
  }

  /** What is planned and has no result, in order. */
  get left(): readonly { readonly kernel: string; readonly scenario: string }[] {
    return this.#plan.filter((name) => !this.#scenarios.has(name)).map((name) => {
      const [kernel = '', scenario = ''] = name.split('\0');
      return { kernel, scenario };
    });
  }

  /** Scenario executions finished so far. */
  get done(): number {
    return this.#scenarios.size;
  }

  /** Result of one place in the plan; undefined while there is none. */
  at(place: number): ScenarioResult | undefined {
    return this.#scenarios.get(this.#plan[place] ?? '');
  }

  /** Whether a result is part of the plan. */
  planned(result: ScenarioResult): boolean {
    return this.#plan.includes(key(result));
  }

  /** Results so far, in the order of the plan; what is none of it comes last, in the order it finished. */
  get scenarios(): ScenarioResult[] {
    const planned = this.#plan.flatMap((name) => this.#scenarios.get(name) ?? []);
    const others = new Set(this.#scenarios.values());
    for (const result of planned) others.delete(result);
    return [...planned, ...others];
  }

  /** Everything seen so far. */
  results(): Results {
    const { scenarios } = this;
    const clauses = [...this.#clauses.values()].map((c) => ({ ...c, expected: isExpected(c, this.#scenarios) }));
    return {
      v: resultsVersion,
      run: this.#first?.run ?? '',
      harness: this.#started?.harness ?? '',
      catalogue: this.#started?.catalogue ?? 0,
      command: this.#started?.command ?? [],
      profile: this.#started?.profile ?? 'mainline',
      strict: this.#started?.strict ?? false,
      ...(this.#started && { host: this.#started.host }),
      ...(this.#started?.shard && { shard: omit(this.#started.shard, 'executions') }),
      ...(this.#started?.merged && { merged: this.#started.merged }),
      ...(this.#started?.combined && { combined: this.#started.combined.runs }),
      ...(this.#finished?.missing && { missing: this.#finished.missing }),
      started: this.#first?.wall ?? '',
      finished: this.#finished !== undefined,
      ...(this.#finished && { exit: this.#finished.exit }),
      interrupted: this.#finished?.interrupted ?? false,
      durationMs: this.#finished?.durationMs ?? this.#mono,
      kernels: [...this.#kernels.values()],
      scenarios,
      clauses,
      counts: {
        scenarios: count(scenarios),
        clauses: count(clauses),
        expected: scenarios.filter((s) => s.expected !== undefined).length,
        flaky: scenarios.filter((s) => s.flaky).length,
      },
      staleExpectations: this.#finished?.staleExpectations ?? [],
    };
  }

  #kernel(name: string): KernelResult {
    const known = this.#kernels.get(name) ?? { kernel: name };
    this.#kernels.set(name, known);
    return known;
  }

  #supersede({ kernel, superseded }: EventOf<'kernel.resumed'>): void {
    for (const { scenario } of superseded) this.#scenarios.delete(key({ kernel, scenario }));
    if (superseded.length === 0) return;
    for (const [name, clause] of this.#clauses) if (clause.kernel === kernel) this.#clauses.delete(name);
  }

  #judge(event: EventOf<'judgement'>): void {
    const { operations, judgements, places } = this.#attempt(event);
    judgements.push(omit(event, ...envelope, 'kernel', 'scenario'));
    places.push({ line: lineOf(event), operations: operations.length });
  }

  #attempt(event: { kernel: string; scenario: string; mono: number; seq: number }, attempt = 1): Attempt {
    const known = this.#running.get(key(event));
    if (known) return known;
    const { kernel, scenario, mono } = event;
    const title = this.#planned.get(scenario)?.title ?? '';
    const fresh = { kernel, scenario, title, attempt, since: mono, line: lineOf(event) };
    const begun: Attempt = { ...fresh, operations: [], judgements: [], places: [], witnesses: [], splats: [] };
    this.#running.set(key(event), begun);
    return begun;
  }

  #finish(event: EventOf<'scenario.finished'>): Finished {
    const { operations, judgements, places, line, witnesses, splats } = this.#attempt(event);
    this.#running.delete(key(event));
    const { title, clauses } = this.#planned.get(event.scenario) ?? { title: '', clauses: [] };
    const own = omit(event, ...envelope, 'fingerprint', 'clauseVerdicts');
    const result = { ...own, title, clauses, judgements, witnesses, splats };
    this.#scenarios.set(key(event), result);
    this.#kernel(event.kernel);
    return { result, operations, places, lines: [line, lineOf(event)] };
  }
}

/** The journal has an event a line, without gaps. */
function lineOf({ seq }: { readonly seq: number }): number {
  return seq + 1;
}

/** What a run is to do: each scenario on each kernel, or some of these: a shard's own, or what several runs together were to do. */
export function executions(event: EventOf<'run.started'>): readonly { kernel: string; scenarios: readonly string[] }[] {
  const some = (event.shard ?? event.combined)?.executions ?? event.executions;
  return some ?? event.kernels.map((kernel) => ({ kernel, scenarios: event.scenarios.map((s) => s.id) }));
}

function count(results: readonly { verdict: Verdict }[]): ByVerdict {
  const counts = noCounts();
  for (const { verdict } of results) counts[verdict] += 1;
  return counts;
}

/** Whether each scenario that kept the clause from passing was expected to. */
function isExpected(
  clause: Omit<ClauseResult, 'expected'>,
  scenarios: ReadonlyMap<string, ScenarioResult>,
): boolean {
  if (clause.verdict === 'pass' || clause.verdict === 'n/a') return false;
  const guilty = clause.scenarios
    .map((scenario) => scenarios.get(key({ kernel: clause.kernel, scenario })))
    .filter((s) => s !== undefined)
    .filter((s) => s.verdict !== 'pass' && s.verdict !== 'n/a')
    .filter(({ judgements }) => {
      const own = judgements.filter((j) => j.clause === clause.clause);
      return own.length === 0 || own.some((j) => j.verdict !== 'pass' && j.verdict !== 'n/a');
    });
  return guilty.length > 0 && guilty.every((s) => s.expected !== undefined);
}
