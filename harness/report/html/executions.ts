// SPDX-License-Identifier: MIT
import type { Results, ScenarioResult } from '../results-schema.js';
import type { PageData } from './data.js';
import { failureOf, verdictOrder } from './data.js';
import type { Evidence, EvidenceCollector } from './evidence.js';
import { Pool, bytesOf, cut, cutLines } from './pool.js';
import { type Timeline, timelineOf } from './timeline.js';

/** A scenario on a kernel. Numbers are indices, -1 for none. */
export interface Execution {
  readonly k: number;
  readonly s: number;
  /** Verdict. */
  readonly v: number;
  readonly ms: number;
  readonly attempts: number;
  readonly flaky?: true;
  readonly reason: number;
  readonly expected: number;
  /** String with U+0001 for the kernel's name and U+0002 for the scenario's. */
  readonly repeat: number;
  /** List of steps. */
  readonly steps: number;
  /** Observations and witnesses that are not among the steps: of what passed, they are in the journal only. */
  readonly untold: number;
  readonly evidence: number;
  readonly timeline: number;
  /** What there was no room for on the page. */
  readonly cut?: true;
}

/** Kinds of step, first in its tuple: `[0, what, result]`, `[1, what, seen]`, `[2, situation, proof]`, judgements below. */
const kinds = { operation: 0, observation: 1, witness: 2, judgement: 3 } as const;
const stances = ['allow', 'forbid', 'silent'] as const;

/**
 * Bytes of a page, which shall stay below 10 MB: for what is told in full; for that and the digest of what passed; for pictures.
 * The execution that passes a limit is the last that is told, and is bounded by `most`.
 */
const room = { full: 3_500_000, all: 5_000_000, timelines: 1_500_000 };
const most = { steps: 300, log: 250, splats: 10, splatLines: 80 };

/** Strings, steps and lists are kept once each, since most kernels do most of the same. */
export class Executions {
  readonly strings = new Pool<string>();
  readonly lists = new Pool<readonly number[]>();
  readonly #steps = new Pool<readonly number[]>();
  readonly #scenarios = new Map<string, number>();
  readonly #all: Execution[] = [];
  readonly #evidence: unknown[] = [];
  readonly #timelines: Timeline[] = [];
  readonly #flaky = new Set<string>();
  #used = { evidence: 0, timelines: 0 };

  constructor(
    private readonly results: Results,
    private readonly evidence: EvidenceCollector,
    private readonly kernels: ReadonlyMap<string, number>,
  ) {
    for (const result of results.scenarios) {
      this.scenario(result.scenario);
      if (result.flaky) this.#flaky.add(JSON.stringify([result.kernel, result.scenario]));
    }
    // What matters most gets room first.
    const byNeed = results.scenarios.map((result, place) => ({ result, place })).sort((a, b) => need(a.result) - need(b.result) || a.place - b.place);
    for (const { result, place } of byNeed) this.#all[place] = this.#execution(result);
  }

  /** Index of a scenario. */
  scenario(id: string): number {
    const known = this.#scenarios.get(id);
    if (known !== undefined) return known;
    this.#scenarios.set(id, this.#scenarios.size);
    return this.#scenarios.size - 1;
  }

  isFlaky(kernel: string, scenario: string): boolean {
    return this.#flaky.has(JSON.stringify([kernel, scenario]));
  }

  data(): Pick<PageData, 'scenarios' | 'strings' | 'steps' | 'lists' | 'executions' | 'evidence' | 'timelines'> {
    const titles = new Map(this.results.scenarios.map((s) => [s.scenario, s.title]));
    return {
      scenarios: [...this.#scenarios.keys()].map((id) => ({ id: cut(id, 200), title: cut(titles.get(id) ?? '', 600) })),
      strings: this.strings.items,
      steps: this.#steps.items,
      lists: this.lists.items,
      executions: this.#all,
      evidence: this.#evidence,
      timelines: this.#timelines,
    };
  }

  #execution(result: ScenarioResult): Execution {
    const steps = this.evidence.of(result);
    const passed = result.verdict === 'pass' && !result.flaky;
    const used = this.#used.evidence + this.strings.bytes + this.#steps.bytes + this.lists.bytes;
    const fits = used < (passed ? room.all : room.full);
    const full = !passed && fits;
    const evidence = full ? evidenceOf(result) : undefined;
    if (evidence) this.#used.evidence += bytesOf(evidence);
    const told = steps.filter((s) => fits && (full || s.type === 'operation' || s.type === 'judgement'));
    const timeline = this.#timeline(steps);
    const text = (some: string | undefined): number => (some === undefined ? -1 : this.strings.add(cut(some)));
    const { kernel, scenario, repeat } = result;
    return {
      k: this.kernels.get(kernel) ?? 0,
      s: this.scenario(scenario),
      v: verdictOrder.indexOf(result.verdict),
      ms: Math.round(result.durationMs),
      attempts: result.attempts,
      ...(result.flaky && { flaky: true as const }),
      reason: text(result.reason),
      expected: text(result.expected),
      repeat: text(template(repeat, kernel, scenario)),
      steps: this.lists.add(told.slice(0, most.steps).map((s) => this.#steps.add(this.#step(s)))),
      untold: steps.length - told.length,
      evidence: evidence ? this.#evidence.push(evidence) - 1 : -1,
      timeline,
      ...((!fits || told.length > most.steps) && { cut: true as const }),
    };
  }

  #timeline(steps: Evidence['steps']): number {
    const timeline = timelineOf(steps);
    if (!timeline) return -1;
    const size = bytesOf(timeline);
    if (this.#used.timelines + size > room.timelines) return -1;
    this.#used.timelines += size;
    return this.#timelines.push(timeline) - 1;
  }

  #step(step: Evidence['steps'][number]): readonly number[] {
    const text = (some: string | undefined, limit?: number): number => (some === undefined ? -1 : this.strings.add(cut(some, limit)));
    switch (step.type) {
      case 'operation':
        return [kinds.operation, text(step.what), text(step.result)];
      case 'observation':
        return [kinds.observation, text(step.what), text(step.seen)];
      case 'witness':
        return [kinds.witness, text(step.situation), text(cutLines(step.proof, 60).join('\n'), 6000)];
      case 'judgement': {
        const { clause, what, seen, mainline, documents, verdict, note } = step;
        const said = [text(mainline.allowed), Number(mainline.does), stances.indexOf(documents.stance), text(documents.reference)];
        return [kinds.judgement, text(clause), text(what), text(seen), ...said, verdictOrder.indexOf(verdict), text(note)];
      }
    }
  }
}

/** New failures first, then known ones, deviations, what could not be asked, and what passed. */
function need({ verdict, expected, flaky }: ScenarioResult): number {
  if (verdict === 'pass') return flaky ? 3 : 5;
  if (verdict === 'n/a') return 4;
  if (verdict === 'deviates') return 2;
  return expected === undefined ? 0 : 1;
}

/** What of a result is told only when it did not pass. */
function evidenceOf({ failure, splats, log }: ScenarioResult): object {
  return {
    ...(failure && { failure: failureOf(failure) }),
    ...(splats.length > 0 && {
      splats: splats.slice(0, most.splats).map(({ kind, lines, declared, during }) => ({
        ...{ kind: cut(kind, 200), declared, lines: cutLines(lines, most.splatLines) },
        ...(during !== undefined && { during: cut(during, 400) }),
      })),
    }),
    ...(log && log.length > 0 && { log: cutLines(log, most.log, 'last') }),
  };
}

/** The same text for most kernels and scenarios, so that it is kept once. */
function template(repeat: string, kernel: string, scenario: string): string {
  if (repeat.includes('\x01') || repeat.includes('\x02') || kernel === '' || scenario === '') return repeat;
  const text = repeat.replaceAll(kernel, '\x01').replaceAll(scenario, '\x02');
  return text.replaceAll('\x02', () => scenario).replaceAll('\x01', () => kernel) === repeat ? text : repeat;
}
