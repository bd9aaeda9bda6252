// SPDX-License-Identifier: MIT
import type { ScenarioResult } from '../results-schema.js';
import { countsText, isBad } from '../summary.js';
import { plural } from '../text.js';
import { assets } from './assets.js';
import type { Cell, Page } from './data.js';
import { verdictOrder } from './data.js';
import { headOf } from './head.js';
import { embedded, encoded, escaped, prose } from './pool.js';

/** What a verdict is called in a class name. */
const classes = ['fail', 'error', 'deviates', 'pass', 'na'] as const;

/** The page as text: what is known without a script stands in it; details are rendered from its data when they are asked for. */
export function render(page: Page): string {
  const { results, runs, data } = page;
  const { style, script } = assets();
  const title = `klp: ${countsText(results.counts.clauses)} — run ${runs.map((r) => escaped(r)).join(', ')}`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    '<meta name="referrer" content="no-referrer">',
    // Nothing is fetched from anywhere, whatever a guest may have said.
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">`,
    '<link rel="icon" href="data:,">',
    `<title>${title}</title>`,
    `<style>\n${style}</style>`,
    '</head>',
    '<body>',
    '<a class="skip" href="#matrix-head">To the matrix</a>',
    ...headOf(page),
    '<main>',
    ...notAsExpected(page),
    '<section class="matrix" aria-labelledby="matrix-head">',
    '<h2 id="matrix-head" tabindex="-1">Clauses and kernels</h2>',
    '<noscript><p>Filters and details need JavaScript, which is part of this file. The matrix is complete without it.</p></noscript>',
    ...filters(page),
    ...matrix(page),
    '</section>',
    '<section id="detail" class="detail" aria-label="Details" hidden></section>',
    '</main>',
    `<footer>klp ${escaped(results.harness)}, clause catalogue ${results.catalogue}. Texts in our own words; the documents are those of the kernel’s own generation.</footer>`,
    '<section id="print-details" hidden></section>',
    `<script type="application/json" id="data">${embedded(data)}</script>`,
    `<script>\n${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/**
 * Links to what needs a look, before the matrix. Failures are scenarios', since not every one can be laid to a clause (a panic);
 * deviations are clauses'.
 */
function notAsExpected({ cells, data, results }: Page): string[] {
  const deviations = data.clauses.flatMap((clause, i) =>
    (cells[i] ?? []).filter((c) => c.verdict === 2 && !c.expected).map((c) => item(c.verdict, data.kernels[c.kernel] ?? '', clause.id, prose(clause.statement))),
  );
  const list = (test: (result: ScenarioResult) => boolean, text: (result: ScenarioResult) => string): string[] =>
    results.scenarios.filter(test).map((s) => item(verdictOrder.indexOf(s.verdict), s.kernel, s.scenario, escaped(text(s))));
  const block = (id: string, title: string, items: readonly string[]): string[] =>
    items.length === 0
      ? []
      : [`<details class="block" id="${id}"${id === 'new' && items.length <= 20 ? ' open' : ''}><summary><h2>${title} <span class="count">${items.length}</span></h2></summary><ul>`, ...items.slice(0, 200), ...(items.length > 200 ? [`<li>… and ${items.length - 200} more, in the matrix</li>`] : []), '</ul></details>'];
  return [
    ...block('new', 'Not as expected', list((s) => isBad(s.verdict, results.strict) && s.expected === undefined, (s) => s.reason ?? s.title)),
    ...block('deviations', 'Documented deviations', deviations),
    ...block('known', 'Expected failures and deviations', list((s) => s.expected !== undefined, (s) => s.expected ?? '')),
    ...block('flaky', 'Flaky: passed only when tried again', list((s) => s.flaky, (s) => s.title)),
    ...block('stale', 'Expectations that no longer hold', results.staleExpectations.map((text) => `<li>${escaped(text)}</li>`)),
    ...block('missing', 'Missing, so that this is no whole result', (results.missing ?? []).map((text) => `<li>${escaped(text)}</li>`)),
  ];
}

function item(verdict: number, kernel: string, name: string, html: string): string {
  const href = `${encoded(kernel)}/${encoded(name)}`;
  return `<li><a href="#${escaped(href)}">${badge(verdict)} <b>${escaped(name)}</b> on ${escaped(kernel)}</a> ${html}</li>`;
}

/** A verdict in words, with its sign before it. */
function badge(verdict: number): string {
  return `<span class="badge v-${classes[verdict] ?? ''}">${verdictOrder[verdict] ?? ''}</span>`;
}

function filters({ data, results }: Page): string[] {
  const boxes = verdictOrder.map((verdict, i) => {
    const count = results.counts.clauses[verdict];
    return `<label class="choice v-${classes[i] ?? ''}"><input type="checkbox" name="verdict" value="${verdict}"><span class="badge v-${classes[i] ?? ''}">${verdict}</span> <output data-count="${verdict}">${count}</output></label>`;
  });
  const options = (names: readonly (readonly [string, string])[]): string => names.map(([value, text]) => `<option value="${escaped(value)}">${escaped(text)}</option>`).join('');
  return [
    '<form class="filters" role="search" aria-label="Filter the matrix" hidden>',
    '<fieldset><legend>Verdict</legend>',
    ...boxes,
    '<label class="choice"><input type="checkbox" name="only" value="new"> new only</label>',
    '<label class="choice"><input type="checkbox" name="only" value="flaky"> flaky only</label>',
    '</fieldset>',
    `<label>Section <select name="section"><option value="">all</option>${options(data.sections.map((s) => [s.id, s.title]))}</select></label>`,
    `<label>Kernel <select name="kernel"><option value="">all</option>${options(data.kernels.map((k) => [k, k]))}</select></label>`,
    '<label>Text <input type="search" name="text" placeholder="clause, statement, scenario" autocomplete="off"></label>',
    '<button type="reset">Show all</button>',
    '<p class="shown" role="status" aria-live="polite"></p>',
    '</form>',
  ];
}

function matrix({ data, cells }: Page): string[] {
  const dense = data.kernels.length > 6 ? ' dense' : '';
  const heads = data.kernels.map((k) => `<th scope="col"><a href="#${escaped(encoded(k))}"><span>${escaped(k)}</span></a></th>`).join('');
  const rows = data.sections.map((section) => {
    const own = data.clauses.map((clause, i) => ({ clause, i })).filter(({ clause }) => clause.section === section.id);
    return [
      `<tbody data-section="${escaped(section.id)}"><tr class="section"><th colspan="${data.kernels.length + 1}" scope="rowgroup"><span>${escaped(section.title)} <small>${plural(own.length, 'clause')}</small></span></th></tr>`,
      ...own.map(({ clause, i }) => `<tr data-clause="${i}"><th scope="row"><a href="#${escaped(encoded(clause.id))}">${escaped(clause.id)}</a> <span class="statement">${prose(clause.statement)}</span></th>${rowCells(cells[i] ?? [], data.kernels.length)}</tr>`),
      '</tbody>',
    ].join('\n');
  });
  return [
    `<div class="scroll" role="region" aria-label="Matrix, scrolls" tabindex="0"><table id="matrix" class="${dense.trim()}"><caption class="hidden-text">Verdict of each clause on each kernel. With the focus in the table, arrow keys move from cell to cell and Enter opens one.</caption>`,
    `<thead><tr><th scope="col">Clause</th>${heads}</tr></thead>`,
    ...rows,
    '</table></div>',
  ];
}

function rowCells(cells: readonly Cell[], kernels: number): string {
  const byKernel = new Map(cells.map((c) => [c.kernel, c]));
  return Array.from({ length: kernels }, (_, k) => {
    const cell = byKernel.get(k);
    if (!cell) return '<td class="none">–</td>';
    const marks = `${cell.expected ? ' exp' : ''}${cell.flaky ? ' flaky' : ''}`;
    const words = `${cell.expected ? ' (expected)' : ''}${cell.flaky ? ' (flaky)' : ''}`;
    return `<td class="v-${classes[cell.verdict] ?? ''}${marks}"><span>${verdictOrder[cell.verdict] ?? ''}${words}</span></td>`;
  }).join('');
}

