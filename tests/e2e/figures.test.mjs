// Figures of plotly and altair are drawn without a network, as they come and as they are read from the file.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = {
  plotly: 'import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 3, 2], mode="markers"), {"height": 220, "title": "plotly"})',
  shown: 'go.Figure(go.Bar(y=[1, 3, 2]), {"height": 260}).show()',
  altair: [
    'import altair',
    "data = altair.Data(values=[{'x': 1, 'y': 1}, {'x': 2, 'y': 3}, {'x': 3, 'y': 2}])",
    "altair.Chart(data, title='altair').mark_point().encode(x='x:Q', y='y:Q').properties(height=120)",
  ].join('\n'),
  hostile: [
    "spec = {'data': {'url': 'https://example.org/a.csv'}, 'mark': 'point', 'encoding': {'x': {'field': 'a', 'type': 'quantitative'}},",
    "        'usermeta': {'embedOptions': {'ast': False, 'actions': {'editor': True}}}}",
    "image = go.Figure(go.Scatter(y=[1, 2]), {'height': 200, 'images': [{'source': 'https://example.org/a.png'}]})",
    "display({'application/vnd.vegalite.v6+json': spec}, raw=True)",
    "image.frames = [go.Frame(data=[go.Scatter(y=[2, 1])], name='turned')]",
    'image',
  ].join('\n'),
};
const drawn = async (editor) => {
  await editor.output('.js-plotly-plot .scatterlayer .point');
  const bars = await editor.output('.js-plotly-plot:has(.barlayer .point) .main-svg');
  assert.equal((await bars.boundingBox()).height, 260, 'as high as it is to be');
  await editor.output('.vega-embed :is(canvas, svg.marks)');
};

story('figures', 'figures of plotly and altair, without a network', {
  'they are drawn as their cells run': async (run) => {
    run.notebook('draft.ipynb', cells);
    run.asked = [];
    const editor = await run.open();
    await run.context.route(
      (url) => url.hostname !== '127.0.0.1',
      (route) => {
        run.asked.push(route.request().url());
        return route.abort();
      },
    );
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    for (const index of [0, 1, 2]) {
      await editor.runCell(index);
      await editor.ended(index);
    }
    await drawn(editor);
  },
  'a chart that asks for the network is told so, and changes no option': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(3);
    await editor.ended(3);
    const note = await editor.output('.vega-embed + p:has-text("https://example.org/a.csv")');
    assert.match(await note.textContent(), /load nothing from the network/);
    const chart = await editor.output('.vega-embed:has(+ p:has-text("example.org"))');
    assert.equal(await chart.locator('.vega-actions').textContent(), 'Save as SVGSave as PNG');
    assert.deepEqual(run.asked, [], 'nothing was asked for over the network');
  },
  'in the file they are data, and small': async (run) => {
    const { workbench: editor } = run;
    const saved = await editor.save(run.path('draft.ipynb'));
    const types = Object.values(saved).map(({ outputs }) => outputs.flatMap(({ data }) => Object.keys(data)));
    assert.match(`${types}`, /vnd\.plotly\.v1\+json.*vnd\.plotly\.v1\+json.*vnd\.vegalite\.v\d/);
    assert.doesNotMatch(`${types}`, /html/);
    assert.ok(JSON.stringify(saved).length < 100_000, 'no library is in it');
  },
  'and drawn without a kernel': async (run) => {
    const { workbench: editor } = run;
    await editor.closeUnchanged('draft.ipynb');
    run.cli('stop', '--all');
    await editor.openFile('draft.ipynb');
    await drawn(editor);
  },
  'the user may choose otherwise': async (run) => {
    const { workbench: editor } = run;
    await editor.type(2, "\naltair.renderers.enable('json')\naltair.Chart(data).mark_point().encode(x='x:Q')");
    await editor.runCell(2);
    await editor.ended(2);
    await eventually('as JSON', async () => {
      const saved = await editor.save(run.path('draft.ipynb'));
      return saved.altair.data('application/json').length === 1;
    });
    assert.deepEqual(run.asked, [], 'nothing was asked for over the network');
  },
});
