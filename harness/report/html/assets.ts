// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { packagePath } from '../../package-root.js';

/** Scripts of the page in the order in which they run: all share one scope. */
const scripts = ['dom.js', 'filter.js', 'timeline.js', 'scenario.js', 'details.js', 'matrix.js', 'main.js'] as const;

/** Style and script of the page. They are part of this package's code, in languages that tsc does not compile. */
export function assets(): { readonly style: string; readonly script: string } {
  const read = (name: string): string => readFileSync(packagePath('harness', 'report', 'html', 'page', name), 'utf8');
  // No `</` in it, so that it can stand in a script element.
  const script = scripts.map(read).join('\n').replaceAll('</', '<\\/');
  return { style: read('page.css'), script };
}
