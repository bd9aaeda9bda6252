// SPDX-License-Identifier: MIT
'use strict';
const table = must('#matrix');
const headRow = /** @type {HTMLTableRowElement} */ (must('thead tr', table));
const clauseRows = /** @type {HTMLTableRowElement[]} */ ([...table.querySelectorAll('tr[data-clause]')]);
const clauseRowOf = new Map(clauseRows.map((row) => [Number(row.dataset.clause), row]));
const columnStyle = document.head.appendChild(document.createElement('style'));
/** The cell that has the table's place in the order of tabs. @type {HTMLElement | undefined} */
let current;
/** @type {HTMLElement | undefined} */
let opened;

/** What of a row's cell takes the focus: its link, or itself. @param {HTMLTableRowElement | undefined} row @param {number} column */
function focusable(row, column) {
  const cell = row?.cells[column];
  return cell?.querySelector('a') ?? cell;
}

/** @param {View} view */
function showFiltered(view) {
  const { shown, counts, cells } = filtered(view);
  for (const [clause, row] of clauseRowOf) row.hidden = shown[clause] !== true;
  for (const body of table.querySelectorAll('tbody')) body.hidden = body.querySelector('tr[data-clause]:not([hidden])') === null;
  const column = kernelPlace.get(view.column);
  columnStyle.textContent = column === undefined ? '' : `#matrix tr:not(.section) > :nth-child(n+2):not(:nth-child(${column + 2})) { display: none }`;
  verdictNames.forEach((name, i) => (must(`output[data-count="${name}"]`).textContent = String(counts[i] ?? 0)));
  const rows = shown.filter((s) => s).length;
  must('.shown').textContent = rows === 0 ? 'No clause matches.' : `${rows} of ${page.clauses.length} clauses, ${cells} results`;
  if (current === undefined || isHidden(current)) makeCurrent(focusable(clauseRows.find((row) => !row.hidden), (column ?? 0) + 1));
}

/** Whether a filter hides its row or column. @param {HTMLElement} inside */
function isHidden(inside) {
  const cell = inside.closest('td, th');
  return cell === null || inside.closest('tr')?.hidden === true || getComputedStyle(cell).display === 'none';
}

/** @param {HTMLElement | undefined} cell */
function makeCurrent(cell) {
  current?.setAttribute('tabindex', '-1');
  current = cell;
  cell?.setAttribute('tabindex', '0');
}

/** @param {View} view */
function markOpened(view) {
  opened?.removeAttribute('aria-selected');
  const row = clauseRowOf.get(clausePlace.get(view.clause) ?? -1);
  opened = view.kernel === '' ? row?.cells[0] : row?.cells[(kernelPlace.get(view.kernel) ?? 0) + 1];
  opened?.setAttribute('aria-selected', 'true');
  const focus = opened?.querySelector('a') ?? opened;
  if (focus) makeCurrent(focus);
}

/** @param {Element} from @returns {Pick<View, 'kernel' | 'clause' | 'scenario'> | undefined} */
function targetOf(from) {
  const cell = from.closest('td');
  const row = cell?.parentElement;
  if (!cell || !row || cell.classList.contains('none')) return undefined;
  return { kernel: page.kernels[cell.cellIndex - 1] ?? '', clause: page.clauses[Number(row.dataset.clause)]?.id ?? '', scenario: '' };
}

/** @param {KeyboardEvent} event */
function moveInMatrix(event) {
  if (!(event.target instanceof Element)) return;
  const cell = event.target.closest('td, th');
  const row = cell?.parentElement;
  if (!(cell instanceof HTMLTableCellElement) || !(row instanceof HTMLTableRowElement)) return;
  const rows = [headRow, ...clauseRows.filter((r) => !r.hidden)];
  const columns = [...headRow.cells].flatMap((head, i) => (getComputedStyle(head).display === 'none' ? [] : [i]));
  let [y, x] = [rows.indexOf(row), columns.indexOf(cell.cellIndex)];
  const [height, width] = [rows.length - 1, columns.length - 1];
  const all = event.ctrlKey || event.metaKey;
  switch (event.key) {
    case 'ArrowUp': y = all ? 1 : y - 1; break;
    case 'ArrowDown': y = all ? height : y + 1; break;
    case 'ArrowLeft': x = all ? 0 : x - 1; break;
    case 'ArrowRight': x = all ? width : x + 1; break;
    case 'Home': x = 0; if (all) y = 1; break;
    case 'End': x = width; if (all) y = height; break;
    case 'PageUp': y -= 10; break;
    case 'PageDown': y += 10; break;
    case 'Enter':
    case ' ': {
      const target = targetOf(cell);
      if (!target) return;
      event.preventDefault();
      open(target);
      return;
    }
    default: return;
  }
  event.preventDefault();
  const clamp = (/** @type {number} */ n, /** @type {number} */ last) => Math.max(0, Math.min(n, last));
  const next = focusable(rows[clamp(y, height)], columns[clamp(x, width)] ?? 0);
  // The corner has nothing to go to.
  if (!next || next === headRow.cells[0]) return;
  makeCurrent(next);
  next.focus();
}

function prepareMatrix() {
  table.setAttribute('role', 'grid');
  // One stop for the whole table; arrow keys do the rest.
  for (const link of table.querySelectorAll('a')) link.setAttribute('tabindex', '-1');
  table.addEventListener('keydown', moveInMatrix);
  table.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? targetOf(event.target) : undefined;
    if (target) open(target);
  });
}
