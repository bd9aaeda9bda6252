// SPDX-License-Identifier: MIT
'use strict';

/**
 * What a view is about: a clause on a kernel, a clause on all, or a kernel; nothing when it names neither.
 * @param {View} view
 * @returns {{ title: string, body: Node } | undefined}
 */
function detailOf(view) {
  const clause = clausePlace.get(view.clause);
  const kernel = kernelPlace.get(view.kernel);
  const execution = executionOf(kernel ?? -1, scenarioPlace.get(view.scenario) ?? -1);
  if (execution) return { title: `${view.scenario} on ${view.kernel}`, body: scenarioDetail(execution) };
  if (clause !== undefined && kernel !== undefined) return { title: `${view.clause} on ${view.kernel}`, body: cellDetail(clause, kernel) };
  if (clause !== undefined) return { title: view.clause, body: clauseDetail(clause) };
  if (kernel !== undefined) return { title: view.kernel, body: kernelDetail(kernel) };
  return undefined;
}

/** @param {number} clause @param {number} kernel */
function cellDetail(clause, kernel) {
  const text = page.clauses[clause];
  const cell = (page.cells[clause] ?? []).find(([k]) => k === kernel);
  const body = el('div', {});
  if (!text) return body;
  if (!cell) body.append(el('p', {}, 'Not asked of this kernel.'));
  else {
    const [, verdict, marks, note, list] = cell;
    body.append(el('p', { class: 'verdict' }, badge(verdict), marks & 1 ? ' expected' : '', marks & 2 ? ' flaky: passed only when tried again' : '', note >= 0 ? ` ${string(note)}` : ''));
    body.append(el('p', { class: 'statement' }, ...prose(text.statement)), specification(text));
    const executions = (page.lists[list] ?? []).flatMap((s) => executionOf(kernel, s) ?? []).sort((a, b) => a.v - b.v);
    body.append(el('h3', {}, `Scenarios that test it (${executions.length})`));
    executions.forEach((e, i) => body.append(scenarioBlock(e, text.id, e.v <= 2 || (i === 0 && verdict === 3))));
  }
  body.append(otherKernels(clause, kernel));
  return body;
}

/** @param {Execution} execution */
function scenarioDetail(execution) {
  const marks = `${execution.flaky ? ', flaky' : ''}${execution.expected >= 0 ? ', expected' : ''}`;
  return el('div', {}, el('p', { class: 'verdict' }, badge(execution.v, marks)), el('p', { class: 'statement' }, page.scenarios[execution.s]?.title ?? ''), el('h3', {}, 'How it went'), scenarioBody(execution, ''));
}

/** @param {number} clause */
function clauseDetail(clause) {
  const text = page.clauses[clause];
  const body = el('div', {});
  if (!text) return body;
  body.append(el('p', { class: 'statement' }, ...prose(text.statement)), specification(text), otherKernels(clause, -1));
  const scenarios = [...new Set((page.cells[clause] ?? []).flatMap((cell) => page.lists[cell[4]] ?? []))];
  body.append(el('h3', {}, `Scenarios that test it (${scenarios.length})`));
  body.append(el('ul', {}, ...scenarios.map((s) => el('li', {}, el('b', {}, page.scenarios[s]?.id ?? ''), ` ${page.scenarios[s]?.title ?? ''}`))));
  return body;
}

/** @param {number} kernel */
function kernelDetail(kernel) {
  const name = page.kernels[kernel] ?? '';
  const card = [...document.querySelectorAll('header .kernel')].find((k) => k.getAttribute('data-kernel') === name);
  const body = el('div', {});
  const copy = card?.cloneNode(true);
  if (copy instanceof HTMLElement) {
    copy.querySelector('h3')?.remove();
    body.append(copy);
  }
  const executions = page.executions.filter((e) => e.k === kernel).sort((a, b) => a.v - b.v || a.s - b.s);
  body.append(el('h3', {}, `Scenarios (${executions.length})`), ...executions.map((e) => scenarioBlock(e, '', false)));
  return body;
}

/** Where a clause comes from: documents by generation, mainline's behaviour and code. @param {ClauseText} text */
function specification(text) {
  const content = () => {
    const box = el('div', { class: 'specification' });
    if (text.catalogue !== undefined) box.append(el('p', { class: 'hint' }, `The run was judged by catalogue ${page.catalogue}; these texts are of catalogue ${text.catalogue}.`));
    for (const { generation, documents, deviation } of text.texts ?? []) {
      const said = documents.map((d) => el('li', {}, el('code', {}, `${d.document}:${d.lines}`), ' ', ...prose(d.statement)));
      box.append(el('h3', {}, `Documents, ${generation}`), said.length > 0 ? el('ul', {}, ...said) : el('p', {}, 'silent'));
      if (deviation) box.append(el('p', { class: 'deviation' }, deviation.kind === 'contradicts' ? 'Mainline contradicts them: ' : 'Not documented: ', ...prose(deviation.note)));
    }
    if (text.mainline !== undefined) box.append(el('h3', {}, 'Mainline'), el('p', {}, ...prose(text.mainline)));
    if (text.code && text.code.length > 0) box.append(el('ul', {}, ...text.code.map((c) => el('li', {}, el('code', {}, c)))));
    for (const note of text.notes ?? []) box.append(el('p', { class: 'hint' }, ...prose(note)));
    return box;
  };
  const where = (text.texts ?? []).flatMap((t) => t.documents.map((d) => `${d.document}:${d.lines}`));
  const title = `${page.sections.find((s) => s.id === text.section)?.title ?? text.section}${where.length > 0 ? `: ${[...new Set(where)].join(', ')}` : ': the documents are silent'}`;
  return folded(title, content);
}

/** What stands between backticks is code. @param {string} text */
function prose(text) {
  return text.split('`').map((part, i) => (i % 2 === 1 ? el('code', {}, part) : part));
}

/** @param {number} clause @param {number} kernel */
function otherKernels(clause, kernel) {
  const cells = (page.cells[clause] ?? []).filter(([k]) => k !== kernel);
  if (cells.length === 0) return el('div', {});
  const id = page.clauses[clause]?.id ?? '';
  const items = cells.map(([k, verdict, marks]) => {
    const name = page.kernels[k] ?? '';
    const href = `#${encodeURIComponent(name)}/${encodeURIComponent(id)}`;
    return el('li', {}, el('a', { href }, badge(verdict, marks & 1 ? ', expected' : ''), ` ${name}`));
  });
  return el('div', {}, el('h3', {}, kernel < 0 ? 'Kernels' : 'On other kernels'), el('ul', { class: 'others' }, ...items));
}

/** Details of what did not pass, for paper. */
function printDetails() {
  const place = must('#print-details');
  const most = 40;
  const bad = page.cells.flatMap((cells, clause) => cells.filter(([, verdict]) => verdict <= 1).map(([kernel]) => ({ clause, kernel })));
  const parts = bad.slice(0, most).map(({ clause, kernel }) => {
    const part = el('article', {}, el('h2', {}, `${page.clauses[clause]?.id ?? ''} on ${page.kernels[kernel] ?? ''}`), cellDetail(clause, kernel));
    return part;
  });
  const more = bad.length > most ? [el('p', {}, `… and ${bad.length - most} more`)] : [];
  place.replaceChildren(...parts, ...more);
  place.hidden = false;
}
