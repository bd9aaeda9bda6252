// SPDX-License-Identifier: MIT
'use strict';
/** @typedef {import('../timeline.js').Timeline} Timeline */

const picture = { width: 780, label: 200, right: 14, top: 46, row: 30 };

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  for (const child of children) node.append(typeof child === 'string' ? printable(child) : child);
  return node;
}

/** A picture of a transition, the same in words, and who held it. @param {Timeline} timeline @param {string} title */
function timelineFigure(timeline, title) {
  const blocked = new Map(timeline.witnesses.flatMap((w) => w.threads.map((thread) => /** @type {const} */ ([thread, w]))));
  return el(
    'figure',
    { class: 'timeline' },
    el('div', { class: 'picture', tabindex: '0', role: 'region', 'aria-label': `Timeline of ${title}, scrolls sideways` }, drawing(timeline, title, blocked)),
    el('figcaption', {}, legend(timeline), inWords(timeline), ...witnessList(timeline)),
  );
}

/** @param {Timeline} timeline @param {string} title @param {Map<string, unknown>} blocked */
function drawing(timeline, title, blocked) {
  const { width, label, right, top, row } = picture;
  const height = top + timeline.rows.length * row + 26;
  const x = (/** @type {number} */ ms) => label + (Math.min(ms, timeline.length) / Math.max(1, timeline.length)) * (width - label - right);
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `${title}: ${timeline.rows.length} rows over ${seconds(timeline.length)}, told in words below` });
  for (const ms of ticks(timeline.length)) {
    root.append(svg('line', { x1: x(ms), x2: x(ms), y1: top - 8, y2: height - 20, class: 'tick' }));
    root.append(svg('text', { x: x(ms), y: height - 6, class: 'axis', 'text-anchor': 'middle' }, seconds(ms)));
  }
  let taken = -Infinity;
  timeline.operations.forEach((operation, i) => {
    const from = x(operation.from);
    root.append(svg('rect', { x: from, y: top - 10, width: Math.max(1.5, x(operation.to) - from), height: height - top - 12, class: 'operation' }, svg('title', {}, `${i + 1}: ${operation.what} → ${operation.result}`)));
    // A number that would lie on the one before it is left out; the list has it.
    if (from - taken < 17) return;
    taken = from;
    root.append(svg('circle', { cx: from, cy: 17, r: 9, class: 'number' }), svg('text', { x: from, y: 21, class: 'digit', 'text-anchor': 'middle' }, String(i + 1)));
  });
  timeline.rows.forEach((line, i) => {
    const y = top + i * row;
    const held = line.kind === 'threads' && line.of.some((name) => blocked.has(name.split(' ')[0] ?? ''));
    root.append(svg('text', { x: label - 10, y: y + 16, class: held ? 'name held' : 'name', 'text-anchor': 'end' }, rowLabel(line), svg('title', {}, line.of.join(', '))));
    line.readings.forEach(([from, to, value], j) => {
      const next = line.readings[j + 1];
      const [begin, end] = [x(from), Math.max(x(from) + 5, x(to))];
      const kind = `${line.kind} value${/^(-1|0|1)$/.test(value) ? value.replace('-', 'm') : 'other'}`;
      if (next && next[2] === value && x(next[0]) > end) root.append(svg('line', { x1: end, x2: x(next[0]), y1: y + 11, y2: y + 11, class: `between ${kind}` }));
      root.append(svg('rect', { x: begin, y: y + 3, width: end - begin, height: 16, rx: 1.5, class: `reading ${kind}` }, svg('title', {}, `${value}, ${seconds(from)} to ${seconds(to)}`)));
      const before = line.readings[j - 1];
      const room = (next ? x(next[0]) : width) - end;
      if (before?.[2] !== value && room > 4 + 7 * value.length) root.append(svg('text', { x: end + 3, y: y + 8, class: 'value' }, value));
    });
    if (!held) return;
    for (const witness of timeline.witnesses) {
      if (!line.of.some((name) => witness.threads.includes(name.split(' ')[0] ?? ''))) continue;
      const at = x(witness.at);
      root.append(svg('path', { d: `M${at} ${y + 18}l5 5l-5 5l-5 -5z`, class: 'witness' }, svg('title', {}, witness.situation)));
    }
  });
  return root;
}

/** @param {Timeline['rows'][number]} row */
function rowName(row) {
  const [first = ''] = row.of;
  const name = row.count === 1 ? (row.kind === 'threads' ? `thread ${first}` : first) : `${row.count} threads`;
  return name;
}

/** The same with room for it beside the picture. @param {Timeline['rows'][number]} row */
function rowLabel(row) {
  const name = rowName(row).replace(/^thread (?=\d+ )/, '');
  return name.length > 27 ? `${name.slice(0, 26)}…` : name;
}

/** @param {number} length */
function ticks(length) {
  const step = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000].find((s) => length / s <= 8) ?? 100_000;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, i) => i * step);
}

/** @param {Timeline} timeline */
function legend(timeline) {
  const key = (/** @type {string} */ kind, /** @type {string} */ text) => el('li', {}, el('span', { class: `key ${kind}`, 'aria-hidden': 'true' }), text);
  return el(
    'div',
    {},
    el('ul', { class: 'keys' }, key('value0', '0: old functions, or a file that reads 0'), key('value1', '1: new functions, or a file that reads 1'), key('valuem1', '-1: no transition'), key('witness', 'seen asleep or holding')),
    el('p', { class: 'hint' }, 'Boxes are readings; a line between two says that nothing else was read, not that nothing else was there.'),
    el('ol', { class: 'operations' }, ...timeline.operations.map((o) => el('li', {}, el('code', {}, o.what), ` → ${o.result} (at ${seconds(o.from)})`))),
  );
}

/** @param {Timeline} timeline */
function inWords(timeline) {
  const words = () => {
    const items = timeline.rows.map((row) => {
      const changes = row.readings.filter(([, , value], i) => row.readings[i - 1]?.[2] !== value);
      const said = changes.slice(0, 40).map(([from, , value]) => `${value} from ${seconds(from)}`).join(', ');
      const last = row.readings.at(-1);
      const names = row.count === 1 ? '' : ` (${row.of.join(', ')}${row.count > row.of.length ? ', …' : ''})`;
      return el('li', {}, el('b', {}, rowName(row)), `${names}: ${said}${changes.length > 40 ? ', …' : ''}; last read at ${seconds(last?.[1] ?? 0)}`);
    });
    const left = timeline.left > 0 ? [el('li', {}, `${timeline.left} more threads, which the picture has no room for`)] : [];
    return el('ul', { class: 'words' }, ...items, ...left);
  };
  return folded('The picture in words', words);
}

/** @param {Timeline} timeline */
function witnessList(timeline) {
  if (timeline.witnesses.length === 0) return [];
  const seen = new Map(timeline.witnesses.map((w) => [`${w.situation}\n${w.proof.join('\n')}`, w]));
  return [
    folded(`Blocked threads and other witnesses (${seen.size})`, () =>
      el('div', {}, ...[...seen.values()].map((w) => folded(`${w.situation} (at ${seconds(w.at)})`, () => lines(w.proof.join('\n'), w.situation), w.threads.length > 0 && seen.size <= 3))),
    ),
  ];
}
