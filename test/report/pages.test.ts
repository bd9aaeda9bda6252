// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type Page, facts, items, listed, prose, section, table, text } from '../../harness/report/page.js';
import { pageHtml } from '../../harness/report/page-html.js';
import { pageMarkdown } from '../../harness/report/page-markdown.js';
import { pageText } from '../../harness/report/page-text.js';
import { painter } from '../../harness/report/paint.js';
import { hostileText } from './runs.js';

/** A page with the text at every place that takes one. */
function everywhere(words: string): Page {
  const line = [words, { verdict: 'fail' as const }, { code: words }, { strong: words }];
  return {
    title: words,
    conclusion: line,
    mood: 'bad',
    sections: section(words, text(...line), facts([words, line]), items([{ head: line, details: [words, words], command: words }]), table([{ title: words }, { title: words, numeric: true }], [[line, line]])),
  };
}

const hostile = fc.oneof(hostileText, fc.constantFrom('<script>alert(1)</script>', '</pre></style><img src=x onerror=y>', '" onload="x', '| a | b |\n|---|', '[x](javascript:y)', '`a` `` b', '&lt;'));

void t.test('HTML: text stays text', (t) => {
  const ours = /<(?:!DOCTYPE html|html lang="en"|meta [^<>]*|\/?(?:html|head|title|style|body|main|h1|h2|section|p|dl|div|dt|dd|ul|li|code|pre|strong|span|table|thead|tbody|tr|th|td)(?: (?:class|aria-labelledby|role|tabindex|scope|id)="[\w ,-]*")*)>/g;
  fc.assert(
    fc.property(hostile, (words) => {
      const html = pageHtml(everywhere(words));
      assert.doesNotMatch(html.replace(ours, ''), /<|(?<![\w.\]] )>(?! div)/, 'no tag but ours');
      assert.doesNotMatch(html, /\p{Cc}(?<!\n)|\p{Cf}|\p{Cs}/u);
      assert.equal(html.match(/<tr>/g)?.length, 2);
      assert.equal(html.match(/<li>/g)?.length, 1);
    }),
    { numRuns: 500 },
  );
  t.match(pageHtml(everywhere('a < b & "c"')), /<h1>a &lt; b &amp; &quot;c&quot;<\/h1>/);
  t.end();
});

void t.test('Markdown: no line but the page\'s own, no markup but its own', (t) => {
  const forms = [/^$/, /^## /, /^### /, /^\*\*.*\*\*$/, /^\|.*\|$/, /^- /, /^ {2}- /, /^ {2}/, /./];
  fc.assert(
    fc.property(hostile, (words) => {
      const markdown = pageMarkdown(everywhere(words));
      const harmless = pageMarkdown(everywhere('x'));
      assert.equal(markdown.split('\n').length, harmless.split('\n').length, 'as many lines, whatever they say');
      const kind = (all: string): number[] => all.split('\n').map((l) => forms.findIndex((f) => f.test(l)));
      if (words.trim() !== '' && /^[\w<]/.test(words)) assert.deepEqual(kind(markdown), kind(harmless));
      assert.doesNotMatch(markdown.replace(/`[^`\n]+`|^ {2}(?!- ).*$/gm, ''), /<(?!\/?\w*$)\w|\p{Cc}(?<!\n)/u);
    }),
    { numRuns: 500 },
  );
  t.end();
});

void t.test('text: nothing that a terminal or a CI runner obeys; within its columns', (t) => {
  fc.assert(
    fc.property(hostile, (words) => {
      const plain = pageText(everywhere(words), { columns: 60 }, painter(false));
      assert.doesNotMatch(plain, /\p{Cc}(?<!\n)|^\s*::|##\[/mu);
    }),
    { numRuns: 500 },
  );
  const many = [text(...listed(Array.from({ length: 40 }, (_, i) => `word-${i}`))), facts(['label', ['words '.repeat(30)]])];
  const page: Page = { title: 'T', conclusion: ['c'], mood: 'good', sections: section('S', ...many) };
  for (const line of pageText(page, { columns: 60 }, painter(false)).split('\n')) t.ok(line.length <= 60, line);
  const coloured = pageText({ ...page, sections: section('S', items([{ head: [{ verdict: 'pass' }, ' → ', { verdict: 'fail' }, ' pass'] }])) }, { columns: 60 }, painter(true));
  const paint = painter(true);
  t.ok(coloured.includes(`${paint('green', 'pass')} → ${paint('red', 'fail')} pass`), coloured);
  t.end();
});

void t.test('a table wider than the terminal becomes a list', (t) => {
  const page: Page = { title: 'T', conclusion: ['c'], mood: 'good', sections: section('S', table([{ title: 'what' }, { title: 'A' }, { title: 'B' }], [[['version'], ['a'.repeat(40)], ['b'.repeat(40)]]])) };
  t.match(pageText(page, { columns: 60 }, painter(false)), /\n {2}version\n {4}A {2}a{40}\n {4}B {2}b{40}\n/);
  t.match(pageText(page, { columns: 120 }, painter(false)), /\n {2}what {5}A +B\n {2}version {2}a{40} {2}b{40}\n/);
  t.same(prose('a `b` c'), ['a ', { code: 'b' }, ' c']);
  t.same(section('nothing', items([]), facts()), []);
  t.end();
});
