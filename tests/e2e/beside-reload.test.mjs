// A window is reloaded beside another one on the same folder.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { counted, tell, untilTold, whole } from './harness/told.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const windowOf = (run, name) => run.session(name)?.windows[0]?.windowId;

/** It is the same window to its kernel, its cell runs on, and nothing is asked. */
const reloaded = async (run, editor, name) => {
  const [before, kernel] = [windowOf(run, name), run.session(name).pid];
  assert.ok(before);
  await editor.page.bringToFront();
  await editor.page.reload();
  await editor.ready();
  await eventually(`${name} has its window again`, () => windowOf(run, name) === before);
  // VS Code keeps which tabs are open once for a folder: they may be those of the other window, whose kernel is asked about.
  await editor.openFile(name);
  await editor.running(0).waitFor();
  await editor.neverSaid(`${name}'s kernel`);
  assert.equal(run.session(name).pid, kernel);
};

story('beside-reload', 'a window is reloaded beside another one on the same folder', {
  'in each a cell runs': async (run) => {
    for (const name of ['first', 'second']) run.notebook(`${name}.ipynb`, { long: untilTold(run, name, { counts: true }) });
    run.editors = [];
    for (const name of ['first', 'second']) {
      const editor = run.editors.length ? await run.window() : await run.open();
      if (run.editors.length) await editor.closeUnchanged('first.ipynb').catch(() => {});
      await editor.openFile(`${name}.ipynb`);
      await editor.selectKernel(python);
      await editor.runCell(0);
      await editor.output('.output', 'line 5');
      run.editors.push(editor);
    }
    assert.notEqual(windowOf(run, 'first.ipynb'), windowOf(run, 'second.ipynb'));
  },
  'the first is reloaded, and has its kernel again': (run) => reloaded(run, run.editors[0], 'first.ipynb'),
  'the second is reloaded, and has its kernel again': (run) => reloaded(run, run.editors[1], 'second.ipynb'),
  'no line is missing or doubled': async (run) => {
    const lines = counted(run, 'second');
    await eventually('more lines', () => counted(run, 'second') > lines + 10);
    tell(run, 'second');
    const [, second] = run.editors;
    await second.ended(0);
    whole((await second.save(run.path('second.ipynb'))).long);
  },
});
