// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import { HtmlReporter } from './html/reporter.js';
import { JsonReporter } from './json.js';
import { JunitReporter } from './junit.js';
import { KtapReporter } from './ktap.js';
import { ListReporter } from './list.js';
import { MarkdownReporter } from './markdown.js';
import type { Display, Reporter } from './reporter.js';
import { TapReporter } from './tap.js';

const makers = {
  list: (display: Display) => new ListReporter(display),
  tap: () => new TapReporter(),
  ktap: () => new KtapReporter(),
  json: () => new JsonReporter(),
  junit: () => new JunitReporter(),
  markdown: () => new MarkdownReporter(),
  html: () => new HtmlReporter(),
} as const;

export type ReporterName = keyof typeof makers;
export const reporterNames = Object.keys(makers) as readonly ReporterName[];

/** Other names by which they go. */
const aliases: Readonly<Record<string, ReporterName>> = { md: 'markdown' };

/**
 * @param name    one of {@link reporterNames}, as on the command line, or `md`
 * @param display the place its text goes to; only `list` looks at it
 * @throws UsageError with the valid names
 */
export function createReporter(name: string, display: Display): Reporter {
  const own = Object.hasOwn(aliases, name) ? aliases[name] : name;
  if (own === undefined || !Object.hasOwn(makers, own)) {
    throw new UsageError(`there is no reporter "${name}"`, {
      hint: `use one or more of ${reporterNames.join(', ')}`,
    });
  }
  return makers[own as ReporterName](display);
}
