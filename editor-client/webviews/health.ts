/**
 * The panel *Kernel Health*. Guarantees: only what changed is drawn anew, so that focus, selection and scrolling stay where they are, and
 * a screen reader hears the counts alone.
 */
import { moment, size } from '../src/describe';
import type { Bar, Figure, HealthPage, HealthWords, MemoryChart, RecentRow, ShowHealth } from '../src/views/health-page';
import { nearest, pathsOf } from './chart';
import { make, makeSvg, vscode } from './dom';

const [WIDTH, HEIGHT] = [360, 64];
const editor = vscode();

class Page {
  private readonly notice = make('p', { class: 'notice', attributes: { role: 'status' } });
  private readonly summary = make('p', { class: 'unseen', attributes: { 'aria-live': 'polite' } });
  private readonly main = make('main');
  private readonly charts = new Map<string, Chart>();
  private readonly drawn = new Map<HTMLElement, string>();
  private readonly counts = make('dl', { class: 'tiles' });
  private readonly states = make('ul', { class: 'bars' });
  private readonly ages = make('ul', { class: 'bars' });
  private readonly memory = make('div', { class: 'charts' });
  private readonly connections = make('dl', { class: 'figures' });
  private readonly disk = make('ul', { class: 'bars' });
  private readonly prune = make('button', { attributes: { type: 'button', 'aria-describedby': 'nothing-to-prune' } });
  private readonly nothingToPrune = make('p', { class: 'nothing', attributes: { id: 'nothing-to-prune' } });
  private readonly recent = make('tbody');
  private readonly noRecent = make('p', { class: 'nothing' });
  private readonly activity: HTMLDivElement;

  constructor(private readonly words: HealthWords) {
    const head = make('thead', {
      children: [make('tr', { children: words.columns.map((text) => make('th', { text, attributes: { scope: 'col' } })) })],
    });
    const attributes = { tabindex: '0', role: 'region', 'aria-label': words.recent };
    this.activity = make('div', { class: 'scroll', attributes, children: [make('table', { children: [head, this.recent] })] });
    this.noRecent.textContent = words.noRecent;
    this.prune.textContent = words.prune;
    this.nothingToPrune.textContent = words.nothingToPrune;
    this.prune.addEventListener('click', () => {
      if (this.prune.getAttribute('aria-disabled') !== 'true') editor.postMessage('prune');
    });
    this.main.append(
      section('counts', words.counts, this.counts),
      section('states', words.states, this.states),
      section('ages', words.ages, this.ages),
      section('disk', words.disk, this.disk, this.prune, this.nothingToPrune),
      section('connections', words.connections, this.connections),
      section('memory', words.memory, this.memory),
      section('recent', words.recent, this.activity, this.noRecent),
    );
    document.body.replaceChildren(make('h1', { text: words.title }), this.notice, this.summary, this.main);
  }

  show({ notice, page }: ShowHealth): void {
    if (this.notice.textContent !== notice) this.notice.textContent = notice;
    this.notice.hidden = notice === '';
    this.main.hidden = page === null;
    this.main.classList.toggle('stale', notice !== '');
    if (page) this.draw(page);
  }

  private draw({ counts, summary, states, ages, memory, connections, disk, ended, recent }: HealthPage): void {
    if (this.summary.textContent !== summary) this.summary.textContent = summary;
    this.put(this.counts, counts, (all) => all.map(figure));
    this.put(this.states, states, (all) => (all.length > 0 ? all.map(bar) : [make('li', { class: 'nothing', text: this.words.noMemory })]));
    this.put(this.ages, ages, (all) => all.map(bar));
    this.put(this.connections, connections, (all) => all.map(figure));
    this.put(this.disk, disk, (all) => all.map(bar));
    this.put(this.recent, recent, (all) => all.map(row));
    this.prune.setAttribute('aria-disabled', String(ended === 0));
    this.nothingToPrune.hidden = ended > 0;
    this.activity.hidden = recent.length === 0;
    this.noRecent.hidden = recent.length > 0;
    this.drawMemory(memory);
  }

  private drawMemory(all: readonly MemoryChart[]): void {
    const ids = all.map(({ id }) => id);
    if (this.drawn.get(this.memory) !== JSON.stringify(ids)) {
      this.drawn.set(this.memory, JSON.stringify(ids));
      for (const id of this.charts.keys()) if (!ids.includes(id)) this.charts.delete(id);
      for (const id of ids) if (!this.charts.has(id)) this.charts.set(id, new Chart(this.words));
      const elements = ids.flatMap((id) => this.charts.get(id)?.element ?? []);
      this.memory.replaceChildren(...(elements.length > 0 ? elements : [make('p', { class: 'nothing', text: this.words.noMemory })]));
    }
    for (const one of all) this.charts.get(one.id)?.show(one);
  }

  private put<T>(element: HTMLElement, what: readonly T[], drawn: (what: readonly T[]) => HTMLElement[]): void {
    const present = JSON.stringify(what);
    if (this.drawn.get(element) === present) return;
    this.drawn.set(element, present);
    element.replaceChildren(...drawn(what));
  }
}

class Chart {
  private readonly label = make('span', { class: 'label' });
  private readonly state = make('span', { class: 'state' });
  private readonly value = make('span', { class: 'value' });
  private readonly area = makeSvg('path', { class: 'area' });
  private readonly line = makeSvg('path', { class: 'line' });
  private readonly cursor = makeSvg('line', { class: 'cursor', attributes: { y1: '0', y2: String(HEIGHT) } });
  private readonly top = make('span', { class: 'top', attributes: { 'aria-hidden': 'true' } });
  private readonly since = make('span');
  private readonly plot: SVGSVGElement;
  private chart: MemoryChart | undefined;
  private pointer: number | undefined;
  readonly element: HTMLElement;

  constructor(words: HealthWords) {
    const grid = [0, HEIGHT / 2, HEIGHT].map((y) => {
      const at = String(y);
      return makeSvg('line', { class: 'grid', attributes: { x1: '0', x2: String(WIDTH), y1: at, y2: at } });
    });
    const viewBox = `0 0 ${String(WIDTH)} ${String(HEIGHT)}`;
    const attributes = { viewBox, preserveAspectRatio: 'none', role: 'img' };
    this.plot = makeSvg('svg', { attributes, children: [...grid, this.area, this.line, this.cursor] });
    const axis = make('div', {
      class: 'axis',
      attributes: { 'aria-hidden': 'true' },
      children: [this.since, make('span', { text: words.now })],
    });
    const caption = make('figcaption', { children: [this.label, this.state, this.value] });
    this.element = make('figure', { children: [caption, make('div', { class: 'plot', children: [this.plot, this.top] }), axis] });
    this.plot.addEventListener('pointermove', ({ offsetX }) => {
      this.pointer = offsetX / this.plot.clientWidth;
      this.point();
    });
    this.plot.addEventListener('pointerleave', () => {
      this.pointer = undefined;
      this.point();
    });
  }

  show(chart: MemoryChart): void {
    this.chart = chart;
    const { label, state, samples, from, to, since, top, text } = chart;
    const { line, area } = pathsOf(samples, { from, to, top, width: WIDTH, height: HEIGHT });
    this.label.textContent = label;
    this.label.title = label;
    this.state.textContent = state;
    this.since.textContent = since;
    this.top.textContent = size(top);
    this.line.setAttribute('d', line);
    this.area.setAttribute('d', area);
    this.plot.setAttribute('aria-label', text);
    this.point();
  }

  /** What it was where the pointer is, else what it is. */
  private point(): void {
    const { chart, pointer } = this;
    if (!chart) return;
    const span = chart.to - chart.from;
    const found = pointer === undefined ? undefined : nearest(chart.samples, chart.from + pointer * span);
    this.cursor.classList.toggle('shown', found !== undefined);
    this.value.textContent = found ? `${moment(new Date(found[0]), new Date())} · ${size(found[1])}` : chart.now;
    if (!found) return;
    const x = String(((found[0] - chart.from) / span) * WIDTH);
    this.cursor.setAttribute('x1', x);
    this.cursor.setAttribute('x2', x);
  }
}

function section(name: string, title: string, ...children: readonly HTMLElement[]): HTMLElement {
  const heading = make('h2', { text: title, attributes: { id: name } });
  return make('section', { class: name, attributes: { 'aria-labelledby': name }, children: [heading, ...children] });
}

function figure({ name, value, hint }: Figure): HTMLElement {
  const children = [make('dt', { text: name }), make('dd', { class: 'value', text: value })];
  if (hint !== '') children.push(make('dd', { class: 'hint', text: hint }));
  return make('div', { class: value === '0' ? 'zero' : '', children });
}

function bar({ name, value, hint, share, tone }: Bar): HTMLElement {
  const filled = make('span', { class: `filled ${tone}` });
  filled.style.width = `${String(share * 100)}%`;
  const words = [
    make('span', { class: 'name', text: name }),
    make('span', { class: 'hint', text: hint }),
    make('span', { class: 'value', text: value }),
  ];
  const track = make('div', { class: 'track', attributes: { 'aria-hidden': 'true' }, children: [filled] });
  return make('li', { children: [make('div', { class: 'words', children: words }), track] });
}

function row({ time, what, which, detail }: RecentRow): HTMLElement {
  const [first, ...others] = [time, what, which, detail];
  const cells = [make('th', { text: first, attributes: { scope: 'row' } }), ...others.map((text) => make('td', { text }))];
  return make('tr', { children: cells });
}

function begin(): void {
  let page: Page | undefined;
  window.addEventListener('message', ({ data }: MessageEvent<ShowHealth>) => {
    page ??= new Page(data.words);
    page.show(data);
  });
  editor.postMessage('ready');
}

begin();
