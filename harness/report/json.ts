// SPDX-License-Identifier: MIT
import { FoldedReporter } from './folded.js';
import type { Results } from './results-schema.js';
import { jsonText } from './text.js';

/** The `json` reporter: the results as resultsSchema describes them (`results.json`). */
export class JsonReporter extends FoldedReporter {
  protected document(results: Results): string {
    return jsonText(results, 2);
  }
}
