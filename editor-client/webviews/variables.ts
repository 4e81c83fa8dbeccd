/**
 * The view *Variables*: a table of as many rows as there are variables, of which those in view are drawn.
 * Guarantees: order, filter and place stay when the variables are looked at anew. The arrow keys move through the rows.
 */
import type { ShowVariables, VariableRow, VariablesPage, VariablesWords } from '../src/views/variables-page';
import { make, vscode } from './dom';
import { type Column, COLUMNS, filtered, nextSort, type Sort, sorted, sortFrom } from './rows';
import { scrollFor, type Slice, sliceOf } from './windowing';

/** As `variables.css` has it. */
const ROW_HEIGHT = 22;

const editor = vscode();

class Table {
  private readonly filter = make('input', { attributes: { type: 'search', spellcheck: 'false', autocomplete: 'off' } });
  private readonly count = make('span', { class: 'count', attributes: { role: 'status' } });
  private readonly asOf = make('span', { class: 'as-of', attributes: { id: 'as-of' } });
  private readonly headers = new Map<Column, { cell: HTMLTableCellElement; label: HTMLSpanElement }>();
  private readonly body = make('tbody');
  private readonly head: HTMLTableSectionElement;
  private readonly table: HTMLTableElement;
  private readonly scroll: HTMLDivElement;
  private readonly bar: HTMLDivElement;
  private readonly nothing = make('p', { class: 'nothing' });
  private words: VariablesWords | undefined;
  private page: VariablesPage = { nothing: '', asOf: '' };
  private rows: readonly VariableRow[] = [];
  private shown: readonly VariableRow[] = [];
  private slice: Slice | undefined;
  private sort: Sort | undefined;
  /** The row that the keyboard is at; none until somebody goes there. */
  private active = -1;

  constructor() {
    const stored = editor.getState();
    if (typeof stored === 'object' && stored !== null) {
      if ('sort' in stored) this.sort = sortFrom(stored.sort);
      if ('filter' in stored && typeof stored.filter === 'string') this.filter.value = stored.filter;
    }
    const columns = make('colgroup', { children: COLUMNS.map((column) => make('col', { class: column })) });
    this.head = make('thead', {
      children: [make('tr', { attributes: { 'aria-rowindex': '1' }, children: COLUMNS.map((column) => this.header(column)) })],
    });
    const attributes = { role: 'grid', tabindex: '0', 'aria-describedby': 'as-of', 'aria-readonly': 'true' };
    this.table = make('table', { attributes, children: [columns, this.head, this.body] });
    this.scroll = make('div', { class: 'scroll', children: [this.table] });
    this.bar = make('div', { class: 'bar', children: [this.filter, make('div', { class: 'facts', children: [this.count, this.asOf] })] });
    document.body.append(this.bar, this.scroll, this.nothing);
    this.filter.addEventListener('input', () => {
      this.arrange();
    });
    this.filter.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown') this.table.focus();
    });
    this.scroll.addEventListener('scroll', () => {
      requestAnimationFrame(() => {
        this.draw();
      });
    });
    new ResizeObserver(() => {
      this.draw();
    }).observe(this.scroll);
    this.table.addEventListener('focus', () => {
      if (this.active < 0) this.activate(0);
    });
    this.table.addEventListener('keydown', (event) => {
      this.moved(event);
    });
    // Before the table has the focus, which goes to the first row where there was none.
    this.body.addEventListener('mousedown', (event) => {
      const row = event.target instanceof Element ? event.target.closest('tr') : null;
      if (row?.dataset['index'] !== undefined) this.activate(Number(row.dataset['index']));
    });
  }

  show({ page, rows, words }: ShowVariables): void {
    this.page = page;
    if (rows) this.rows = rows;
    if (!this.words) this.say(words);
    document.body.classList.toggle('stale', page.asOf !== '');
    this.asOf.textContent = page.asOf;
    this.arrange();
  }

  private say(words: VariablesWords): void {
    this.words = words;
    this.filter.placeholder = words.filter;
    this.filter.setAttribute('aria-label', words.filter);
    this.table.setAttribute('aria-label', words.table);
    for (const [column, { label }] of this.headers) label.textContent = words.columns[column];
  }

  private header(column: Column): HTMLTableCellElement {
    const label = make('span', { class: 'label' });
    const arrow = make('span', { class: 'arrow', attributes: { 'aria-hidden': 'true' } });
    const button = make('button', { attributes: { type: 'button' }, children: [label, arrow] });
    const cell = make('th', { attributes: { scope: 'col' }, class: column, children: [button] });
    button.addEventListener('click', () => {
      this.sort = nextSort(this.sort, column);
      this.arrange();
    });
    this.headers.set(column, { cell, label });
    return cell;
  }

  /** Order and filter are applied. */
  private arrange(): void {
    const { words, page, sort, filter } = this;
    if (!words) return;
    editor.setState({ sort, filter: filter.value });
    this.shown = sorted(filtered(this.rows, filter.value), sort);
    for (const [column, { cell }] of this.headers) {
      const way = sort?.column === column ? (sort.isDescending ? 'descending' : 'ascending') : 'none';
      cell.setAttribute('aria-sort', way);
    }
    const [some, all] = [this.shown.length, this.rows.length];
    const hasTable = page.nothing === '' && some > 0;
    this.bar.hidden = page.nothing !== '';
    this.scroll.hidden = !hasTable;
    this.nothing.hidden = hasTable;
    this.nothing.textContent = page.nothing === '' ? words.none.replace('{0}', filter.value.trim()) : page.nothing;
    const counted = some < all ? words.some : all === 1 ? words.one : words.all;
    this.count.textContent = counted.replace('{0}', some.toLocaleString()).replace('{1}', all.toLocaleString());
    this.table.setAttribute('aria-rowcount', String(some + 1));
    this.active = Math.min(this.active, some - 1);
    this.slice = undefined;
    this.draw();
  }

  private draw(): void {
    if (this.scroll.hidden) return;
    const slice = sliceOf(this.shown.length, this.scroll.scrollTop, this.height(), ROW_HEIGHT);
    if (this.slice?.first === slice.first && this.slice.end === slice.end) return;
    this.slice = slice;
    const rows = this.shown.slice(slice.first, slice.end).map((row, index) => this.row(row, slice.first + index));
    this.body.replaceChildren(space(slice.above), ...rows, space(slice.below));
    this.mark();
  }

  private row(row: VariableRow, index: number): HTMLTableRowElement {
    const cells = COLUMNS.map((column) => {
      const text = row[column];
      const attributes = { title: text, ...(column === 'name' ? { scope: 'row' } : {}) };
      return make(column === 'name' ? 'th' : 'td', { class: column, text, attributes });
    });
    const tr = make('tr', { attributes: { id: `row-${String(index)}`, 'aria-rowindex': String(index + 2) }, children: cells });
    tr.dataset['index'] = String(index);
    return tr;
  }

  private mark(): void {
    let isDrawn = false;
    for (const row of this.body.rows) {
      const isActive = row.dataset['index'] === String(this.active);
      isDrawn ||= isActive;
      row.classList.toggle('active', isActive);
      if (row.dataset['index'] !== undefined) row.setAttribute('aria-selected', String(isActive));
    }
    if (isDrawn) this.table.setAttribute('aria-activedescendant', `row-${String(this.active)}`);
    else this.table.removeAttribute('aria-activedescendant');
  }

  private activate(index: number): void {
    this.active = Math.min(Math.max(index, 0), this.shown.length - 1);
    this.scroll.scrollTop = scrollFor(this.active, this.scroll.scrollTop, this.height(), ROW_HEIGHT);
    this.draw();
    this.mark();
  }

  private moved(event: KeyboardEvent): void {
    // In the header the keys are its buttons'.
    if (event.target !== this.table) return;
    const page = Math.max(Math.floor(this.height() / ROW_HEIGHT) - 1, 1);
    const to: Record<string, number> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.shown.length - 1,
    };
    const index = to[event.key];
    if (index === undefined) return;
    event.preventDefault();
    this.activate(index);
  }

  /** What the header leaves for rows. */
  private height(): number {
    return this.scroll.clientHeight - this.head.offsetHeight;
  }
}

/** In place of rows that are not drawn. */
function space(height: number): HTMLTableRowElement {
  const cell = make('td', { attributes: { colspan: String(COLUMNS.length) } });
  cell.style.height = `${String(height)}px`;
  const row = make('tr', { class: 'space', attributes: { 'aria-hidden': 'true' }, children: [cell] });
  row.hidden = height === 0;
  return row;
}

const table = new Table();
window.addEventListener('message', (event: MessageEvent<ShowVariables>) => {
  table.show(event.data);
});
editor.postMessage('ready');
