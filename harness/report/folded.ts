// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';
import { Collector } from './collect.js';
import type { Reporter } from './reporter.js';
import type { Results } from './results-schema.js';

/** A reporter that says nothing before the end, and then one document made of the whole run. */
export abstract class FoldedReporter implements Reporter {
  readonly #collector = new Collector();

  event(event: KlpEvent): string {
    this.#collector.add(event);
    return '';
  }

  past(event: KlpEvent): void {
    this.#collector.add(event);
  }

  end(): string {
    return `${this.document(this.#collector.results())}\n`;
  }

  /** @returns its text, without the newline at its end */
  protected abstract document(results: Results): string;
}
