// SPDX-License-Identifier: MIT
import type { EventOf, KlpEvent } from '../../events/schema.js';

type Kept = EventOf<'operation'> | EventOf<'observation'> | EventOf<'witness'> | EventOf<'judgement'>;

/** What was done and seen in one attempt, in order. */
export interface Evidence {
  readonly kernel: string;
  readonly scenario: string;
  readonly steps: readonly Kept[];
}

const key = ({ kernel, scenario }: { kernel: string; scenario: string }): string => JSON.stringify([kernel, scenario]);

/** Keeps, of each scenario on each kernel, the steps of the attempt that counts. */
export class EvidenceCollector {
  readonly #running = new Map<string, Kept[]>();
  readonly #finished = new Map<string, Evidence>();
  readonly #runs = new Set<string>();

  add(event: KlpEvent): void {
    this.#runs.add(event.run);
    switch (event.type) {
      case 'run.resumed':
        this.#running.clear();
        return;
      case 'kernel.resumed':
        for (const { scenario } of event.superseded) this.#finished.delete(key({ kernel: event.kernel, scenario }));
        return;
      case 'scenario.started':
        this.#running.set(key(event), []);
        return;
      case 'operation':
      case 'observation':
      case 'witness':
      case 'judgement': {
        const steps = this.#running.get(key(event));
        if (steps) steps.push(event);
        else this.#running.set(key(event), [event]);
        return;
      }
      case 'scenario.finished': {
        const { kernel, scenario } = event;
        this.#finished.set(key(event), { kernel, scenario, steps: this.#running.get(key(event)) ?? [] });
        this.#running.delete(key(event));
        return;
      }
      case 'run.started':
      case 'run.finished':
      case 'progress':
      case 'kernel.acquired':
      case 'kernel.estimated':
      case 'kernel.probed':
      case 'kernel.booted':
      case 'kernel.failed':
      case 'clause.judged':
      case 'splat':
        return;
    }
  }

  /** Steps of the attempt that counts; none when there is no result yet. */
  of(execution: { kernel: string; scenario: string }): Evidence['steps'] {
    return this.#finished.get(key(execution))?.steps ?? [];
  }

  /** Runs whose events these were, in order. */
  get runs(): readonly string[] {
    return [...this.#runs];
  }
}
