// Two notebooks share one kernel, on purpose.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const both = ['first.ipynb', 'second.ipynb'];

story('share', 'two notebooks share one kernel', {
  'the first one has run a cell': async (run) => {
    // Their cells have the same ids, as those of a copy have.
    run.notebook('first.ipynb', { one: "value = 6 * 7\nprint('first has', value)" });
    run.notebook('second.ipynb', { one: "print('second has', value)" });
    const editor = await run.open();
    await editor.openFile('first.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.output('.output', 'first has 42');
    await editor.save(run.path('first.ipynb'));
    run.kernel = run.session('first.ipynb');
  },
  'shared with the second, which has its variables and its own cells': async (run) => {
    const { workbench: editor } = run;
    await editor.openFile('second.ipynb');
    await editor.command('Kernel Keeper: Share with Another Notebook');
    await editor.pick('first.ipynb');
    await editor.pick('second.ipynb');
    await editor.kernelLabel(python).waitFor();
    assert.equal(await editor.cell(0).locator('.codicon-notebook-state-success').count(), 0, 'it has run nothing yet');
    await editor.runCell(0);
    await editor.output('.output', 'second has 42');
    const [session] = run.sessions();
    assert.deepEqual(
      [session.pid, session.notebooks.map(({ notebookPath }) => notebookPath)],
      [run.kernel.pid, both.map((name) => run.path(name))],
    );
    const saved = await editor.save(run.path('second.ipynb'));
    assert.equal(saved.one.stdout, 'second has 42\n');
    assert.match(readFileSync(run.path('first.ipynb'), 'utf8'), /first has 42/);
  },
  'both stand under the kernel in the list': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Kernel Keeper');
    for (const name of both) await editor.row(name).waitFor();
    assert.equal(await editor.page.locator('.pane-body .monaco-list-row', { hasText: 'PID' }).count(), 1);
  },
  'one lets go, and the other goes on': async (run) => {
    const { workbench: editor } = run;
    await editor.rowMenu(editor.page.locator('.pane-body .monaco-list-row[aria-level="2"]', { hasText: 'second.ipynb' }), 'Stop Sharing');
    await eventually('one notebook has it', () => run.sessions()[0].notebooks.length === 1);
    await editor.activity('Explorer').click();
    await editor.openFile('first.ipynb');
    await editor.kernelLabel(python).waitFor();
    await editor.runCell(0);
    await editor.output('.output', 'first has 42');
    assert.equal(run.session('first.ipynb').pid, run.kernel.pid);
  },
});
