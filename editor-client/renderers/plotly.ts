/**
 * Draws plotly's figures (`application/vnd.plotly.v1+json`) with the plotly.js that comes along: also offline, and without a kernel.
 * Guarantees: a figure is data, and nothing in it runs; what it names is not loaded over the network.
 */
import Plotly from 'plotly.js-dist-min';
import { Drawings } from './drawings';
import type { Renderer } from './renderer';
import { safeFigure } from './safe-figure';

const drawings = new Drawings();

export const activate = (): Renderer => ({
  async renderOutputItem(item, element) {
    drawings.end(item.id);
    const figure = safeFigure(item.json());
    const place = document.createElement('div');
    element.replaceChildren(place);
    drawings.begin(item.id, () => {
      Plotly.purge(place);
    });
    await Plotly.newPlot(place, figure);
  },
  disposeOutputItem: (id) => {
    drawings.end(id);
  },
});
