/**
 * Draws plotly's figures (`application/vnd.plotly.v1+json`) with the plotly.js that comes along: also offline, and without a kernel.
 * Guarantees: a figure is data, and nothing in it runs.
 */
import Plotly from 'plotly.js-dist-min';
import type { Renderer } from './renderer';

interface Figure {
  readonly data?: readonly unknown[];
  readonly layout?: object;
  readonly config?: object;
}

export const activate = (): Renderer => ({
  async renderOutputItem(item, element) {
    const { data = [], layout = {}, config = {} } = item.json() as Figure;
    const place = document.createElement('div');
    element.replaceChildren(place);
    // One that follows its place's size forgets its own height, and grows with the output that grows with it.
    await Plotly.newPlot(place, data, layout, { ...config, responsive: false });
  },
});
