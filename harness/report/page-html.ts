// SPDX-License-Identifier: MIT
import type { Block, Inline, Line, Page } from './page.js';
import { clean } from './text.js';

const commandLimit = 4000;

/**
 * A page as one HTML file: nothing is loaded from elsewhere, nothing runs in it. Light or dark as the reader has it; verdicts
 * are told by their words, the colours only repeat them.
 */
export function pageHtml(page: Page): string {
  const title = escape(clean(page.title));
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>
${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="conclusion ${page.mood}">${line(page.conclusion)}</p>
${page.sections.map((s, i) => `<section>\n<h2 id="s${i}">${escape(clean(s.title))}</h2>\n${s.blocks.map((b) => block(b, `s${i}`)).join('\n')}\n</section>`).join('\n')}
</main>
</body>
</html>
`;
}

function block(of: Block, heading: string): string {
  switch (of.kind) {
    case 'text':
      return `<p>${line(of.line)}</p>`;
    case 'facts':
      return `<dl>\n${of.rows.map(([label, words]) => `<div><dt>${escape(clean(label))}</dt><dd>${line(words)}</dd></div>`).join('\n')}\n</dl>`;
    case 'items':
      return `<ul>\n${of.items.map((each) => `<li>${line(each.head)}${pre(each.details ?? [])}${command(each.command)}</li>`).join('\n')}\n</ul>`;
    case 'table': {
      const cell = (tag: string, numeric: boolean | undefined, content: string): string => `<${tag}${numeric === true ? ' class="number"' : ''}>${content}</${tag.split(' ')[0] ?? tag}>`;
      const head = of.columns.map((c) => cell('th scope="col"', c.numeric, escape(clean(c.title)))).join('');
      const rows = of.rows.map((row) => `<tr>${row.map((words, i) => cell('td', of.columns[i]?.numeric, line(words))).join('')}</tr>`);
      // A region of its own that the keyboard reaches, so that a wide table can be scrolled without a mouse.
      return `<div class="wide" role="region" aria-labelledby="${heading}" tabindex="0"><table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${rows.join('\n')}\n</tbody>\n</table></div>`;
    }
  }
}

function pre(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `<pre>${lines.map((each) => escape(clean(each))).join('\n')}</pre>`;
}

function command(words: string | undefined): string {
  return words === undefined ? '' : `<p class="repeat">to repeat it: <code>${escape(clean(words, commandLimit))}</code></p>`;
}

function line(pieces: Line): string {
  return pieces.map(inline).join('');
}

function inline(piece: Inline): string {
  if (typeof piece === 'string') return escape(clean(piece, commandLimit));
  if ('verdict' in piece) return `<span class="verdict v-${piece.verdict.replace('/', '')}">${piece.verdict}</span>`;
  if ('strong' in piece) return `<strong>${escape(clean(piece.strong))}</strong>`;
  return `<code>${escape(clean(piece.code, commandLimit))}</code>`;
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text that stays text, between tags and in attributes. */
function escape(foreign: string): string {
  return foreign.replace(/[&<>"']/g, (c) => entities[c] ?? c);
}

const style = `:root { --ink: #1a1c1f; --soft: #555b64; --paper: #fff; --tint: #f3f4f6; --rule: #d4d7dc;
  --pass: #11642d; --fail: #a81616; --error: #86198f; --deviates: #7a4a00; --na: #4b5563; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #a6adb8; --paper: #16181c; --tint: #20242a; --rule: #3a4048;
    --pass: #7bd894; --fail: #ff9d97; --error: #eaa2f2; --deviates: #f2c063; --na: #b3bac4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
.conclusion { margin: 0; padding: .8rem 1rem; background: var(--tint); border-left: .4rem solid var(--na); font-size: 1.1rem; }
.conclusion.good { border-color: var(--pass); } .conclusion.bad { border-color: var(--fail); } .conclusion.open { border-color: var(--deviates); }
p, li, dd { overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; } li { margin: .5rem 0; }
dl { margin: 0; } dl > div { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1rem; padding: .25rem 0; border-bottom: 1px solid var(--tint); }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 40rem) { dl > div { grid-template-columns: 1fr; } }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
pre { margin: .4rem 0; padding: .6rem .8rem; background: var(--tint); white-space: pre-wrap; overflow-wrap: anywhere; }
.repeat { margin: .3rem 0; color: var(--soft); font-size: .9rem; } .repeat code { color: var(--ink); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.verdict { font-weight: 600; white-space: nowrap; }
.v-pass { color: var(--pass); } .v-fail { color: var(--fail); } .v-error { color: var(--error); } .v-deviates { color: var(--deviates); } .v-na { color: var(--na); }
:focus-visible { outline: 2px solid var(--deviates); outline-offset: 2px; }
@media print { body { font-size: 10pt; } section { break-inside: auto; } }
`;
