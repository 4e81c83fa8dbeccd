// The daily path: pick a kernel, run cells of every kind, look at what the sidebar says.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const cells = {
  text: "print('hello')\n6 * 7",
  plot: "import matplotlib\nmatplotlib.use('module://matplotlib_inline.backend_inline')\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9]);",
  html: 'from IPython.display import HTML\nHTML(\'<b id="bold">bold words</b>\')',
  input: "name = input('Your name? ')\nprint('Hello', name)",
  progress: "import time\nfor percent in range(0, 101, 20):\n    print(f'\\r{percent:3d} % done', end='')\n    time.sleep(0.05)",
  clear: "from IPython.display import clear_output\nprint('before')\nclear_output(wait=True)\nprint('after')",
  update: "handle = display('first words', display_id='shown')\nhandle.update('changed words')",
  pip: '!pip --version',
  error: "def broken():\n    raise ValueError('no good')\nbroken()",
};
const index = Object.fromEntries(Object.keys(cells).map((id, position) => [id, position]));

story('cells', 'cells run as they do in Jupyter', {
  'a kernel is chosen in the picker': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
  },
  'text and a result': async ({ workbench: editor }) => {
    await editor.runCell(index.text);
    await editor.output('.output', 'hello');
    await editor.output('.output', '42');
    await editor.cell(index.text).locator('.execution-count-label', { hasText: '[1]' }).waitFor();
    await editor.ended(index.text);
  },
  'a plot': async ({ workbench: editor }) => {
    await editor.runCell(index.plot);
    const image = await editor.output('.output img');
    const [width, height] = await image.evaluate((element) => [element.naturalWidth, element.naturalHeight]);
    assert.ok(width > 100 && height > 100, `${width} × ${height}`);
  },
  HTML: async ({ workbench: editor }) => {
    await editor.runCell(index.html);
    await editor.output('b#bold', 'bold words');
  },
  'input() asks in a box': async ({ workbench: editor }) => {
    await editor.runCell(index.input);
    await editor.answer('Ada', 'Your name?');
    await editor.output('.output', 'Hello Ada');
  },
  "a progress line, cleared and updated outputs, the kernel's own pip": async ({ workbench: editor }) => {
    for (const id of ['progress', 'clear', 'update', 'pip']) {
      await editor.runCell(index[id]);
      await editor.ended(index[id]);
    }
    await editor.output('.output', '100 % done');
    await editor.output('.output', 'changed words');
  },
  'an error with its traceback': async ({ workbench: editor }) => {
    await editor.runCell(index.error);
    await editor.output('.output', 'ValueError');
    await editor.ended(index.error, 'error');
  },
  'what is saved is what Jupyter would have saved': async (run) => {
    const saved = await run.workbench.save(run.path('draft.ipynb'));
    assert.equal(saved.text.stdout, 'hello\n');
    assert.equal(saved.text.count, 1);
    assert.deepEqual(saved.text.data('text/plain'), ['42']);
    assert.equal(saved.plot.data('image/png').length, 1);
    assert.match(saved.html.data('text/html')[0], /bold words/);
    assert.match(saved.input.stdout, /Hello Ada/);
    assert.match(saved.progress.stdout, /100 % done$/);
    assert.doesNotMatch(saved.progress.stdout, /80 %/);
    assert.equal(saved.clear.stdout, 'after\n');
    assert.deepEqual(saved.update.data('text/plain'), ["'changed words'"]);
    assert.match(saved.pip.stdout, /test-python/, "the pip of the kernel's own environment");
    assert.equal(saved.error.error.ename, 'ValueError');
    assert.match(saved.error.error.traceback.join('\n'), /broken/);
  },
  'the sidebar shows the session': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Kernel Keeper');
    await editor.row('draft.ipynb').waitFor();
    const words = await editor.row('draft.ipynb').innerText();
    assert.match(words, /^idle · draft\.ipynb/);
    assert.match(words, /since \d?\d:\d\d/);
  },
  'the status item says what is kept': async ({ workbench: editor }) => {
    await editor.status(/1 kernel · [\d.,]+ [MG]B/).waitFor();
  },
  'a kernel stopped in the sidebar is gone': async (run) => {
    const { workbench: editor } = run;
    const [{ pid }] = run.sessions();
    await editor.rowMenu(editor.row('draft.ipynb'), 'Stop Kernel');
    await editor.confirm('Stop');
    await eventually('the session has ended', () => run.sessions().every((session) => session.state === 'ended'));
    await eventually('its process is gone', () => gone(pid));
  },
});

function gone(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
