/**
 * Draws altair's charts, which are Vega-Lite and Vega, with the libraries that come along: also offline, and without a kernel.
 * Guarantees: a chart is data; its expressions are interpreted, and none becomes code of the page. No data and no image is loaded over the network,
 * and the cell says so where a chart asks for it.
 */
import { loader } from 'vega';
import embed from 'vega-embed';
import { expressionInterpreter } from 'vega-interpreter';
import { formatValue } from 'vega-tooltip';
import { Drawings } from './drawings';
import type { Renderer } from './renderer';
import { escaped, localLoader, localTooltip, safeChart, safeInputs } from './safe-chart';

const drawings = new Drawings();

export const activate = (): Renderer => ({
  async renderOutputItem(item, element) {
    drawings.end(item.id);
    const mode = item.mime.includes('vegalite') ? 'vega-lite' : 'vega';
    const chart = safeChart(item.json());
    const place = document.createElement('div');
    // Charts are drawn for a light ground.
    place.style.background = 'white';
    const note = document.createElement('p');
    note.setAttribute('role', 'alert');
    element.replaceChildren(place, note);
    const drawing = embed(place, chart, {
      mode,
      ast: true,
      expr: expressionInterpreter,
      patch: safeInputs,
      loader: localLoader(loader(), (address) => {
        note.textContent = `Not loaded, since charts load nothing from the network here: ${address.slice(0, 200)}. Put the data into the chart.`;
      }),
      tooltip: { sanitize: escaped, formatTooltip: (value, html, depth) => formatValue(localTooltip(value), html, depth) },
      // The others open a page of their own, and VS Code's pages may not.
      actions: { export: true, source: false, compiled: false, editor: false },
    });
    // It may be let go before it is drawn; one that cannot be drawn says so below.
    drawings.begin(item.id, () => {
      void drawing.then(
        ({ finalize }) => {
          finalize();
        },
        () => undefined,
      );
    });
    await drawing;
  },
  disposeOutputItem: (id) => {
    drawings.end(id);
  },
});
