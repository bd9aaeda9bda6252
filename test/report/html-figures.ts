// SPDX-License-Identifier: MIT
/** `make bench-report`: what the page of a large run takes on this host. Figures, no judgement. */
import { Pages } from './browser.js';
import { largeRun, pageOf } from './html-run.js';

const [kernels, clauses] = [50, 250];
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (begun: number): string => `${((performance.now() - begun) / 1000).toFixed(2)} s`;

const events = largeRun(kernels, clauses);
const begun = performance.now();
const text = pageOf(events);
say(`${kernels} kernels × ${clauses} clauses, ${events.length} events: ${(Buffer.byteLength(text) / 1e6).toFixed(2)} MB, made in ${seconds(begun)}`);
const pages = await Pages.start();
try {
  const url = pages.write('large.html', text);
  for (let i = 0; i < 3; i += 1) {
    const opening = performance.now();
    const page = await pages.open(url);
    const paint: unknown = await page.evaluate('Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN)');
    say(`opened in ${seconds(opening)}, first painted after ${String(paint)} ms`);
    await page.context().close();
  }
} finally {
  await pages.stop();
}
