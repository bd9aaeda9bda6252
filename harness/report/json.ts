// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';
import { Collector } from './collect.js';
import type { Reporter } from './reporter.js';
import { jsonText } from './text.js';

/** The `json` reporter: one document at the end, as resultsSchema describes it (`results.json`). */
export class JsonReporter implements Reporter {
  readonly #collector = new Collector();

  event(event: KlpEvent): string {
    this.#collector.add(event);
    return '';
  }

  past(event: KlpEvent): void {
    this.#collector.add(event);
  }

  end(): string {
    return `${jsonText(this.#collector.results(), 2)}\n`;
  }
}
