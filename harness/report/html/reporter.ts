// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../../events/schema.js';
import { Collector } from '../collect.js';
import type { Reporter } from '../reporter.js';
import { pageOf } from './data.js';
import { EvidenceCollector } from './evidence.js';
import { render } from './page.js';

/** The `html` reporter: one file that opens from the disk, with all that a person asks of a run (`report.html`). */
export class HtmlReporter implements Reporter {
  readonly #results = new Collector();
  readonly #evidence = new EvidenceCollector();

  event(event: KlpEvent): string {
    this.past(event);
    return '';
  }

  past(event: KlpEvent): void {
    this.#results.add(event);
    this.#evidence.add(event);
  }

  end(): string {
    return render(pageOf(this.#results.results(), this.#evidence));
  }
}
