// Two notebooks share one kernel, on purpose.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const both = ['first.ipynb', 'second.ipynb'];
const line = ({ workbench: editor }, name) => editor.page.locator('.pane-body .monaco-list-row[aria-level="3"]', { hasText: name });

/** Both are on their kernel, each in one tab, in the folder with the new name. */
async function followed(run, folder) {
  const { workbench: editor } = run;
  await eventually('the kernel has both', () => {
    const [session] = run.sessions();
    return both.every((name) => session.notebooks.some(({ notebookPath }) => notebookPath === run.path(join(folder, name))));
  });
  for (const name of both) {
    await editor.show(name);
    await editor.isNowIn(folder, name);
    await editor.kernelLabel(python).waitFor();
  }
  assert.equal(run.sessions()[0].pid, run.kernel.pid);
}

story('share', 'two notebooks share one kernel', {
  'the first one has run a cell': async (run) => {
    // Their cells have the same ids, as those of a copy have.
    mkdirSync(run.path('pair'));
    run.notebook(join('pair', 'first.ipynb'), { one: "value = 6 * 7\nprint('first has', value)" });
    run.notebook(join('pair', 'second.ipynb'), { one: "print('second has', value)" });
    const editor = await run.open();
    await editor.openFolder('pair', 'first.ipynb');
    await editor.openFile('first.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.output('.output', 'first has 42');
    await editor.ended(0);
    await editor.save(run.path(join('pair', 'first.ipynb')));
    run.kernel = run.session(join('pair', 'first.ipynb'));
  },
  'shared with the second, which has its variables and its own cells': async (run) => {
    const { workbench: editor } = run;
    await editor.openFile('second.ipynb');
    await editor.choose(() => editor.command('Kernel Keeper: Share with Another Notebook'), 'first.ipynb', 'second.ipynb');
    await editor.kernelLabel(python).waitFor();
    assert.equal(await editor.cell(0).locator('.codicon-notebook-state-success').count(), 0, 'it has run nothing yet');
    await editor.runCell(0);
    await editor.output('.output', 'second has 42');
    await editor.ended(0);
    const [session] = run.sessions();
    assert.deepEqual(
      [session.pid, session.notebooks.map(({ notebookPath }) => notebookPath)],
      [run.kernel.pid, both.map((name) => run.path(join('pair', name)))],
    );
    const saved = await editor.save(run.path(join('pair', 'second.ipynb')));
    assert.equal(saved.one.stdout, 'second has 42\n');
    assert.match(readFileSync(run.path(join('pair', 'first.ipynb')), 'utf8'), /first has 42/);
  },
  'both stand under the kernel in the list': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Kernel Keeper');
    for (const name of both) await editor.row(name).waitFor();
    await eventually(
      'one kernel',
      async () => (await editor.page.locator('.pane-body .monaco-list-row', { hasText: /since \d/ }).count()) === 1,
    );
  },
  'their folder is renamed in a shell: one question, and both tabs follow': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Explorer');
    renameSync(run.path('pair'), run.path('moved'));
    await editor.press('2 notebooks were moved', 'Attach & Migrate All');
    await followed(run, 'moved');
  },
  'and in the editor: nobody asks, and the tabs that VS Code closes are opened again': async (run) => {
    const { workbench: editor } = run;
    await editor.type(0, ' # typed');
    await editor.rename('moved', 'last');
    await followed(run, 'last');
    await editor.notebook.locator('.view-line', { hasText: '# typed' }).waitFor();
    await editor.neverSaid(/were moved|is now/);
  },
  'a restart asks first, since both lose their variables': async (run) => {
    const { workbench: editor } = run;
    await editor.tool('Restart');
    await editor.page.locator('.monaco-dialog-box', { hasText: "2 notebooks share first.ipynb's kernel" }).waitFor();
    await run.shot('restart');
    await editor.confirm('Cancel');
    assert.equal(run.sessions()[0].pid, run.kernel.pid);
  },
  'the list says which of them is gone': async (run) => {
    const { workbench: editor } = run;
    rmSync(run.path(join('last', 'second.ipynb')));
    await editor.showView('Kernel Keeper');
    await line(run, 'second.ipynb').filter({ hasText: 'notebook is gone' }).waitFor();
    assert.equal(await line(run, 'first.ipynb').filter({ hasText: 'notebook is gone' }).count(), 0);
  },
  'it lets go, and the other goes on': async (run) => {
    const { workbench: editor } = run;
    await editor.rowMenu(line(run, 'second.ipynb'), 'Stop Sharing');
    await editor.stated('second.ipynb let its kernel go');
    await eventually('one notebook has it', () => run.sessions()[0].notebooks.length === 1);
    await editor.showView('Explorer');
    await editor.openFile('first.ipynb');
    await editor.kernelLabel(python).waitFor();
    await editor.runCell(0);
    await editor.ran(0, 3);
    assert.equal(run.session(join('last', 'first.ipynb')).pid, run.kernel.pid);
  },
});
