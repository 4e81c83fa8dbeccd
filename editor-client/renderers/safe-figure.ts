/**
 * What a figure may tell plotly.js.
 * Guarantees: its options are of a short list, and it names no address that would be loaded from. Leaves out: the outlines and tiles that a
 * map is drawn on, which plotly.js loads from servers of its own choice.
 */
type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A figure in the form of `application/vnd.plotly.v1+json`, as plotly.js takes it. */
export interface Figure {
  readonly data: readonly unknown[];
  readonly layout: object;
  readonly config: object;
  readonly frames: readonly unknown[];
}

const isBoolean = (value: unknown) => typeof value === 'boolean';
const isText = (value: unknown) => typeof value === 'string';
const options: Readonly<Record<string, (value: unknown) => boolean>> = {
  ...Object.fromEntries(
    (
      'autosizable displaylogo editable fillFrame queueLength scrollZoom showAxisDragHandles showAxisRangeEntryBoxes showTips ' +
      'staticPlot'
    )
      .split(' ')
      .map((name) => [name, isBoolean]),
  ),
  displayModeBar: (value) => isBoolean(value) || value === 'hover',
  doubleClick: (value) => value === false || isText(value),
  locale: isText,
  modeBarButtonsToAdd: (value) => Array.isArray(value) && value.every(isText),
  modeBarButtonsToRemove: (value) => Array.isArray(value) && value.every(isText),
  toImageButtonOptions: isObject,
};

/** The figure of an output, which is changed, without what it must not say. */
export function safeFigure(output: unknown): Figure {
  if (!isObject(output)) throw new Error('This is not a figure.');
  const { data, layout, config, frames } = output;
  const kept = Object.entries(isObject(config) ? config : {}).filter(
    ([name, value]) => Object.hasOwn(options, name) && options[name]?.(value),
  );
  const list = (value: unknown) => (Array.isArray(value) ? (value as unknown[]) : []);
  const figure = { data: list(data), layout: isObject(layout) ? layout : {}, frames: list(frames) };
  dropAddresses(figure, false);
  // One that follows its place's size forgets its own height, and grows with the output that grows with it.
  return { ...figure, config: { ...Object.fromEntries(kept), responsive: false } };
}

// Attributes that are loaded where they are addresses, also as buttons and frames name them: `images[0].source`.
const loading = /(^|\.)(source|style|geojson|args2?)(\[\d+\])?$/;

/** Whether a browser would take it for an address of something elsewhere; it takes out spaces, tabs and line ends first. */
function isAddress(text: string): boolean {
  return /^(?:(?:https?|wss?|ftp|file|blob|mapbox|pmtiles):|[a-z+.-]*:?[\\/]{2})/i.test(text.replace(/[\u0000-\u0020]/g, ''));
}

/** Empties addresses at and below what is loaded from. */
function dropAddresses(value: unknown, within: boolean): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    const loaded = within || loading.test(name);
    if (typeof part === 'string' && loaded && isAddress(part)) (value as Fields)[name] = '';
    else dropAddresses(part, loaded);
  }
}
