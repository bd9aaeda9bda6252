// SPDX-License-Identifier: MIT
'use strict';
/**
 * What the page shows, and its form in the address: `#REG-5`, `#kernel`, `#kernel/REG-5`, `#kernel/scenario`, each with `?verdict=…&section=…`.
 * @typedef {{ kernel: string, clause: string, scenario: string, verdict: string[], only: string[], section: string, column: string, text: string }} View
 */

const kernelPlace = new Map(page.kernels.map((name, i) => [name, i]));
const scenarioPlace = new Map(page.scenarios.map(({ id }, i) => [id, i]));
const clausePlace = new Map(page.clauses.map((clause, i) => [clause.id, i]));

/**
 * @param {string} hash
 * @returns {View}
 */
function viewOf(hash) {
  const [target = '', query = ''] = split(hash.replace(/^#/, ''), '?');
  const parameters = new URLSearchParams(query);
  const list = (/** @type {string} */ name) => (parameters.get(name) ?? '').split(',').filter((word) => word !== '');
  const parts = target.split('/').map(decoded);
  const known = clausePlace.has(parts[0] ?? '') && parts.length === 1 ? ['', parts[0] ?? ''] : [parts[0] ?? '', parts[1] ?? ''];
  return {
    kernel: kernelPlace.has(known[0] ?? '') ? (known[0] ?? '') : '',
    clause: clausePlace.has(known[1] ?? '') ? (known[1] ?? '') : '',
    scenario: !clausePlace.has(known[1] ?? '') && scenarioPlace.has(known[1] ?? '') ? (known[1] ?? '') : '',
    verdict: list('verdict').filter((v) => verdictNames.includes(v)),
    only: list('only'),
    section: parameters.get('section') ?? '',
    column: parameters.get('kernel') ?? '',
    text: parameters.get('text') ?? '',
  };
}

/** @param {View} view */
function hashOf(view) {
  const target = [view.kernel, view.clause, view.scenario].filter((part) => part !== '').map(encodeURIComponent).join('/');
  const parameters = new URLSearchParams();
  const set = (/** @type {string} */ name, /** @type {string} */ value) => (value === '' ? undefined : parameters.set(name, value));
  set('verdict', view.verdict.join(','));
  set('only', view.only.join(','));
  set('section', view.section);
  set('kernel', view.column);
  set('text', view.text);
  const query = parameters.toString();
  return `#${target}${query === '' ? '' : `?${query}`}`;
}

/** @param {string} text @param {string} separator */
function split(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Text in which a clause is looked for, made when first needed. @type {string[]} */
const haystacks = [];

/** @param {number} clause */
function haystack(clause) {
  const text = page.clauses[clause];
  const scenarios = new Set((page.cells[clause] ?? []).flatMap((cell) => page.lists[cell[4]] ?? []));
  const words = [...scenarios].map((s) => `${page.scenarios[s]?.id ?? ''} ${page.scenarios[s]?.title ?? ''}`);
  return (haystacks[clause] ??= [text?.id, text?.statement, text?.mainline, ...words].join(' ').toLowerCase());
}

/**
 * Which clauses a view shows, and how many cells there are by verdict: for each verdict as if it were the only one chosen.
 * @param {View} view
 */
function filtered(view) {
  const column = kernelPlace.get(view.column);
  const words = view.text.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const chosen = view.verdict.map((v) => verdictNames.indexOf(v));
  const counts = verdictNames.map(() => 0);
  let cells = 0;
  const shown = page.clauses.map((clause, i) => {
    if (view.section !== '' && clause.section !== view.section) return false;
    if (words.some((word) => !haystack(i).includes(word))) return false;
    const candidates = (page.cells[i] ?? []).filter(
      ([kernel, verdict, marks]) =>
        (column === undefined || kernel === column) &&
        (!view.only.includes('new') || (verdict <= 2 && (marks & 1) === 0)) &&
        (!view.only.includes('flaky') || (marks & 2) !== 0),
    );
    for (const [, verdict] of candidates) counts[verdict] = (counts[verdict] ?? 0) + 1;
    const matching = chosen.length === 0 ? candidates : candidates.filter(([, verdict]) => chosen.includes(verdict));
    cells += matching.length;
    return matching.length > 0;
  });
  return { shown, counts, cells };
}
