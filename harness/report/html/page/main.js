// SPDX-License-Identifier: MIT
'use strict';
const form = /** @type {HTMLFormElement} */ (must('.filters'));
const detail = must('#detail');
/** @type {View} */
let view = viewOf(location.hash);

/** Opens what a link or a cell stands for; filters stay. @param {Pick<View, 'kernel' | 'clause' | 'scenario'>} target */
function open(target) {
  const hash = hashOf({ ...view, ...target });
  if (hash === location.hash) show(true);
  else location.hash = hash;
}

function close() {
  const back = current;
  view = { ...view, kernel: '', clause: '', scenario: '' };
  history.pushState(null, '', hashOf(view));
  show(false);
  back?.focus();
}

/** Shows what `view` says. @param {boolean} focus whether the details take the focus */
function show(focus) {
  for (const box of form.querySelectorAll('input[type=checkbox]')) {
    if (box instanceof HTMLInputElement) box.checked = (box.name === 'verdict' ? view.verdict : view.only).includes(box.value);
  }
  for (const [name, value] of /** @type {const} */ ([['section', view.section], ['kernel', view.column], ['text', view.text]])) {
    const field = form.elements.namedItem(name);
    if ((field instanceof HTMLInputElement || field instanceof HTMLSelectElement) && field.value !== value) field.value = value;
  }
  showFiltered(view);
  markOpened(view);
  const shown = detailOf(view);
  document.body.classList.toggle('with-detail', shown !== undefined);
  detail.hidden = shown === undefined;
  detail.replaceChildren();
  if (!shown) return;
  const button = el('button', { type: 'button', class: 'close', 'aria-label': 'Close details' }, '✕');
  button.addEventListener('click', close);
  const heading = el('h2', { tabindex: '-1', id: 'detail-head' }, shown.title);
  detail.append(el('div', { class: 'bar' }, heading, button), shown.body);
  detail.scrollTop = 0;
  opened?.scrollIntoView({ block: 'nearest' });
  if (focus) heading.focus();
}

/** What the form says goes into the address, which says what is shown. */
function fromForm() {
  const fields = new FormData(form);
  const text = (/** @type {string} */ name) => String(fields.get(name) ?? '');
  const list = (/** @type {string} */ name) => fields.getAll(name).map(String);
  view = { ...view, verdict: list('verdict'), only: list('only'), section: text('section'), column: text('kernel'), text: text('text') };
  history.replaceState(null, '', hashOf(view));
  showFiltered(view);
}

form.hidden = false;
form.addEventListener('input', fromForm);
form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('reset', (event) => {
  event.preventDefault();
  view = { ...view, verdict: [], only: [], section: '', column: '', text: '' };
  history.replaceState(null, '', hashOf(view));
  show(false);
});
document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a[href^="#"]') : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { kernel, clause, scenario } = viewOf(link.getAttribute('href') ?? '');
  if (kernel === '' && clause === '') return;
  event.preventDefault();
  open({ kernel, clause, scenario });
});
addEventListener('hashchange', () => {
  view = viewOf(location.hash);
  show(true);
});
addEventListener('popstate', () => {
  view = viewOf(location.hash);
  show(false);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !detail.hidden) close();
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    must('input[type=search]').focus();
  }
});
addEventListener('beforeprint', printDetails);
addEventListener('afterprint', () => {
  must('#print-details').replaceChildren();
  must('#print-details').hidden = true;
});
prepareMatrix();
show(view.kernel !== '' || view.clause !== '');
document.documentElement.dataset.ready = 'yes';
