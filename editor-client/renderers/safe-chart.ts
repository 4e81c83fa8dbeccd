/**
 * What a chart may tell the library that draws it.
 * Guarantees: of the options that a chart carries itself only names are kept, and nothing but `data:` is loaded for one.
 */
import type { Loader, Spec } from 'vega';

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

// These exist; the object that vega-themes exports has more names.
const themes: readonly string[] = (
  'carbong10 carbong100 carbong90 carbonwhite dark excel fivethirtyeight ggplot2 googlecharts latimes powerbi quartz ' +
  'urbaninstitute vox'
).split(' ');
const allowed: Readonly<Record<string, (value: string) => boolean>> = {
  theme: (name) => themes.includes(name),
  renderer: (name) => name === 'canvas' || name === 'svg',
  downloadFileName: () => true,
};

/** The chart with only harmless `usermeta`: vega-embed lets it override our options, also the one that keeps expressions from being code. */
export function safeChart(chart: unknown): object {
  // Text would be an address to load a chart from, with options of its own.
  if (!isObject(chart)) throw new Error('This is not a chart.');
  const { usermeta, ...rest } = chart;
  const given = isObject(usermeta) && isObject(usermeta['embedOptions']) ? usermeta['embedOptions'] : {};
  const kept = Object.entries(allowed).flatMap(([name, good]) => {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    return typeof value === 'string' && good(value) ? [[name, value] as const] : [];
  });
  return { ...rest, usermeta: { embedOptions: Object.fromEntries(kept) } };
}

const inputs = ['checkbox', 'color', 'date', 'datetime-local', 'month', 'number', 'radio', 'range', 'select', 'text', 'time', 'week'];
const attributes = ['input', 'name', 'debounce', 'min', 'max', 'step', 'options', 'labels', 'placeholder'];

/** Inputs of a chart become elements with what attributes the chart says, where it says: only plain ones, and below the chart. */
export function safeInputs(spec: Spec): Spec {
  return withoutElements(spec) as Spec;
}

function withoutElements(group: unknown): unknown {
  if (!isObject(group)) return group;
  const { signals, marks } = group;
  return {
    ...group,
    ...(Array.isArray(signals) ? { signals: signals.map(plainInput) } : {}),
    ...(Array.isArray(marks) ? { marks: marks.map(withoutElements) } : {}),
  };
}

function plainInput(signal: unknown): unknown {
  if (!isObject(signal)) return signal;
  const { bind, ...rest } = signal;
  if (!isObject(bind)) return rest;
  const named = Object.fromEntries(Object.entries(bind).filter(([name]) => attributes.includes(name)));
  const type = typeof named['input'] === 'string' && inputs.includes(named['input']) ? named['input'] : 'text';
  return { ...rest, bind: { ...named, input: type } };
}

/** A loader that loads no more than `data:` addresses; others are `refused`. Links, which are followed by a click only, stay. */
export function localLoader(base: Loader, refused: (address: string) => void): Loader {
  const check = (address: string) => {
    if (/^data:/i.test(address)) return;
    refused(address);
    throw new Error('Charts load nothing from the network.');
  };
  return {
    ...base,
    async load(address, options) {
      check(address);
      return base.load(address, options);
    },
    async sanitize(address, options) {
      if ((options as { context?: string } | undefined)?.context !== 'href') check(address);
      return base.sanitize(address, options);
    },
  };
}

/** Text for HTML, also within quotes. */
export function escaped(value: unknown): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(value).replace(/[&<>"']/g, (letter) => entities[letter] ?? '');
}

/** What a tooltip shows, without an image that would come from the network. */
export function localTooltip(value: unknown): unknown {
  if (!isObject(value) || !('image' in value) || /^data:image\//i.test(String(value['image']))) return value;
  const { image, ...rest } = value;
  return { ...rest, 'image (not loaded)': image };
}
