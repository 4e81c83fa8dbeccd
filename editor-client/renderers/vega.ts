/**
 * Draws altair's charts, which are Vega-Lite and Vega, with the libraries that come along: also offline, and without a kernel.
 * Guarantees: a chart is data; its expressions are interpreted, and none becomes code of the page. Nothing is loaded over the network,
 * and the cell says so where a chart asks for it.
 */
import { loader } from 'vega';
import embed from 'vega-embed';
import { expressionInterpreter } from 'vega-interpreter';
import { formatValue } from 'vega-tooltip';
import type { Renderer } from './renderer';
import { escaped, localLoader, localTooltip, safeChart, safeInputs } from './safe-chart';

export const activate = (): Renderer => ({
  async renderOutputItem(item, element) {
    const mode = item.mime.includes('vegalite') ? 'vega-lite' : 'vega';
    const chart = safeChart(item.json());
    const place = document.createElement('div');
    // Charts are drawn for a light ground.
    place.style.background = 'white';
    const note = document.createElement('p');
    note.setAttribute('role', 'alert');
    element.replaceChildren(place, note);
    await embed(place, chart, {
      mode,
      ast: true,
      expr: expressionInterpreter,
      patch: safeInputs,
      loader: localLoader(loader(), (address) => {
        note.textContent = `Not loaded, since charts load nothing from the network here: ${address.slice(0, 200)}. Put the data into the chart.`;
      }),
      tooltip: { sanitize: escaped, formatTooltip: (value, html, depth) => formatValue(localTooltip(value), html, depth) },
      actions: { editor: false },
    });
  },
});
