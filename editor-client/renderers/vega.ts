/**
 * Draws altair's charts, which are Vega-Lite and Vega, with the libraries that come along: also offline, and without a kernel.
 * Guarantees: a chart is data; its expressions are interpreted, and none becomes code of the page.
 */
import embed from 'vega-embed';
import { expressionInterpreter } from 'vega-interpreter';
import type { Renderer } from './renderer';

export const activate = (): Renderer => ({
  async renderOutputItem(item, element) {
    const mode = item.mime.includes('vegalite') ? 'vega-lite' : 'vega';
    const place = document.createElement('div');
    // Charts are drawn for a light ground.
    place.style.background = 'white';
    element.replaceChildren(place);
    await embed(place, item.json() as object, { mode, ast: true, expr: expressionInterpreter, actions: { editor: false } });
  },
});
