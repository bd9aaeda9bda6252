// SPDX-License-Identifier: MIT
'use strict';
/** @typedef {import('../data.js').PageData} PageData */
/** @typedef {import('../executions.js').Execution} Execution */
/** @typedef {import('../clauses.js').ClauseText} ClauseText */

/** @type {PageData} */
const page = JSON.parse(must('#data').textContent ?? '');
const verdictNames = ['fail', 'error', 'deviates', 'pass', 'n/a'];
const verdictClasses = ['fail', 'error', 'deviates', 'pass', 'na'];

/**
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {HTMLElement}
 */
function must(selector, root = document) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * An element. Foreign text becomes text, whatever it says; what does not print becomes visible.
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string | undefined)[]} children
 * @returns {HTMLElement}
 */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const child of children) if (child !== undefined) node.append(typeof child === 'string' ? printable(child) : child);
  return node;
}

/** @param {string} text */
function printable(text) {
  return text.replace(/[^\P{C}\n\t]|[\u2028\u2029]/gu, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** @param {number} index */
function string(index) {
  return page.strings[index] ?? '';
}

/** @param {number} verdict @param {string} [more] */
function badge(verdict, more = '') {
  return el('span', { class: `badge v-${verdictClasses[verdict]}` }, `${verdictNames[verdict]}${more}`);
}

/** @param {number} milliseconds */
function seconds(milliseconds) {
  return milliseconds < 999.5 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** What can be opened and is not built before it is. @param {string | Node} title @param {() => Node} content @param {boolean} open */
function folded(title, content, open = false) {
  const details = el('details', {}, el('summary', {}, title));
  const build = () => {
    if (details.childElementCount === 1) details.append(content());
  };
  if (open) {
    details.setAttribute('open', '');
    build();
  }
  details.addEventListener('toggle', build);
  return details;
}

/** A block of lines that may be longer than the page is wide. @param {string} text @param {string} label */
function lines(text, label) {
  return el('pre', { tabindex: '0', role: 'region', 'aria-label': label }, text);
}

/** @param {readonly (readonly [string, Node | string])[]} pairs */
function facts(pairs) {
  return el('dl', { class: 'facts' }, ...pairs.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}
