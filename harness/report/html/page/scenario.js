// SPDX-License-Identifier: MIT
'use strict';
const stanceNames = ['allow it', 'forbid it', 'are silent'];

/** @param {number} kernel @param {number} scenario */
function executionOf(kernel, scenario) {
  return executionsByPlace.get(`${kernel} ${scenario}`);
}
const executionsByPlace = new Map(page.executions.map((e) => [`${e.k} ${e.s}`, e]));

/** @param {Execution} e */
function repeatLine(e) {
  return string(e.repeat).replaceAll('\u0002', page.scenarios[e.s]?.id ?? '').replaceAll('\u0001', page.kernels[e.k] ?? '');
}

/**
 * One scenario on one kernel: what it was, how to repeat it, a picture, what was done and seen.
 * @param {Execution} e
 * @param {string} clause its judgements are marked
 * @param {boolean} open
 */
function scenarioBlock(e, clause, open) {
  const scenario = page.scenarios[e.s];
  const marks = `${e.flaky ? ', flaky' : ''}${e.expected >= 0 ? ', expected' : ''}`;
  const title = el('span', {}, badge(e.v, marks), ' ', el('b', {}, scenario?.id ?? ''), ` ${scenario?.title ?? ''}`);
  return folded(title, () => scenarioBody(e, clause), open);
}

/** @param {Execution} e @param {string} clause */
function scenarioBody(e, clause) {
  const evidence = /** @type {{ failure?: any, splats?: any[], log?: string[] }} */ (page.evidence[e.evidence] ?? {});
  const body = el('div', { class: 'scenario' });
  body.append(el('p', { class: 'meta' }, `${seconds(e.ms)}${e.attempts > 1 ? `, attempt ${e.attempts}` : ''}`));
  if (e.expected >= 0) body.append(el('p', { class: 'expected' }, `Expected: ${string(e.expected)}`));
  if (e.reason >= 0 && string(e.reason) !== evidence.failure?.message) body.append(el('p', { class: 'reason' }, string(e.reason)));
  body.append(repeat(e));
  if (evidence.failure) body.append(failure(evidence.failure));
  const timeline = page.timelines[e.timeline];
  if (timeline) body.append(el('h4', {}, 'Timeline'), timelineFigure(timeline, `${page.scenarios[e.s]?.id ?? ''} on ${page.kernels[e.k] ?? ''}`));
  const steps = (page.lists[e.steps] ?? []).flatMap((i) => (page.steps[i] ? [page.steps[i]] : []));
  if (steps.length > 0) body.append(el('h4', {}, 'What was done and seen'), stepList(steps, clause));
  if (e.untold > 0) body.append(el('p', { class: 'hint' }, `${e.untold} more ${e.cut ? 'steps' : 'observations and witnesses'} are in journal.ndjson.`));
  else if (e.cut) body.append(el('p', { class: 'hint' }, 'For want of room the rest is in journal.ndjson only.'));
  for (const splat of evidence.splats ?? []) {
    const during = splat.during === undefined ? '' : ` during ${splat.during}`;
    body.append(el('h4', {}, `${splat.kind}${during}${splat.declared ? ' (declared)' : ', which the scenario does not declare'}`), lines(splat.lines.join('\n'), splat.kind));
  }
  if (evidence.log) body.append(folded(`Kernel log (${evidence.log.length} lines)`, () => lines((evidence.log ?? []).join('\n'), 'Kernel log'), e.v <= 1));
  return body;
}

/** @param {Execution} e */
function repeat(e) {
  const line = repeatLine(e);
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': 'Copy the command that repeats this' }, 'Copy');
  button.addEventListener('click', () => {
    navigator.clipboard?.writeText(line).then(
      () => (button.textContent = 'Copied'),
      () => (button.textContent = 'Select it by hand'),
    );
  });
  return el('div', { class: 'repeat' }, el('span', {}, 'Repeat'), el('code', { tabindex: '0' }, line), button);
}

/** @param {any} f */
function failure(f) {
  const more = [...(f.details ?? []), ...(f.registers ?? [])];
  return el(
    'div',
    { class: 'failure' },
    el('p', {}, el('b', {}, f.kind), f.during === undefined ? ': ' : ` during ${f.during}: `, f.message),
    f.hint === undefined ? undefined : el('p', {}, `What to do: ${f.hint}`),
    more.length > 0 ? folded(`Details (${more.length} lines)`, () => lines(more.join('\n'), 'Details of the failure')) : undefined,
  );
}

/** @param {(readonly number[])[]} steps @param {string} clause */
function stepList(steps, clause) {
  /** @type {Map<string, string>} */
  const seenBefore = new Map();
  const list = el('ol', { class: 'steps' });
  for (const [kind, a = -1, b = -1, c = -1, ...rest] of steps) {
    if (kind === 0) list.append(el('li', { class: 'step-op' }, el('span', { class: 'kind' }, 'did'), el('code', {}, string(a)), ` → ${string(b)}`));
    if (kind === 1) {
      const before = seenBefore.get(string(a));
      seenBefore.set(string(a), string(b));
      const was = before === undefined || before === string(b) ? undefined : el('div', { class: 'was' }, `before: ${before}`);
      list.append(el('li', {}, el('span', { class: 'kind' }, 'saw'), el('code', {}, string(a)), `: ${string(b)}`, was));
    }
    if (kind === 2) list.append(el('li', {}, el('span', { class: 'kind' }, 'witness'), folded(string(a), () => lines(string(b), string(a)))));
    if (kind === 3) list.append(judgement([a, b, c, ...rest], clause));
  }
  return list;
}

/** @param {readonly number[]} fields @param {string} clause */
function judgement([of = -1, what = -1, seen = -1, allowed = -1, does = 0, stance = 2, reference = -1, verdict = 4, note = -1], clause) {
  const own = string(of) === clause;
  const documents = `${stanceNames[stance]}${reference >= 0 ? ` (${string(reference)})` : ''}`;
  const link = el('a', { href: `#${encodeURIComponent(string(of))}` }, string(of));
  const head = el('span', {}, badge(verdict), ' ', link, ` ${string(what)}`);
  if (verdict === 3 && !own) return el('li', { class: 'step-judgement' }, el('span', { class: 'kind' }, 'judged'), head);
  return el(
    'li',
    { class: own ? 'step-judgement own' : 'step-judgement' },
    el('span', { class: 'kind' }, 'judged'),
    head,
    facts([
      ['Model allows', `${string(allowed)}${does ? '' : ' — which was not seen'}`],
      ['Seen', string(seen)],
      ['Documents', documents],
      ...(note >= 0 ? [/** @type {const} */ (['Note', string(note)])] : []),
    ]),
  );
}
