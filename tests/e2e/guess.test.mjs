// Notebooks get other names while no editor is open: one keeps its file, one is written anew, as version control does it.
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7\nvalue', after: "print('value is', value)" };
const python = 'Python 3 (ipykernel)';
const follows = async (run, question, name, { pid }) => {
  const { workbench: editor } = run;
  await editor.press(question, 'Attach & Migrate');
  await eventually(`the session is ${name}'s`, () => run.session(name)?.pid === pid);
  await editor.tab(name).waitFor();
  await editor.kernelLabel(python).waitFor();
  await editor.ended(0);
  await editor.runCell(1);
  await editor.ran(1, 3);
  await editor.output('.output', 'value is 42');
};

story('guess', 'notebooks are renamed while no editor is open', {
  'two have a kernel': async (run) => {
    for (const name of ['moved.ipynb', 'written.ipynb']) {
      run.notebook(name, cells);
      run.cli('run', run.path(name), '--kernel', 'python3');
    }
    run.kernels = { moved: run.session('moved.ipynb'), written: run.session('written.ipynb') };
    renameSync(run.path('moved.ipynb'), run.path('by mv.ipynb'));
    rmSync(run.path('written.ipynb'));
    run.notebook('by git.ipynb', { ...cells, more: '# a new cell' });
  },
  'one whose file was renamed is asked about as that': async (run) => {
    const editor = await run.open();
    await editor.said('moved.ipynb is now by mv.ipynb');
    await follows(run, 'moved.ipynb is now by mv.ipynb', 'by mv.ipynb', run.kernels.moved);
  },
  'one that was written anew is asked about as a guess': async (run) => {
    const { workbench: editor } = run;
    await editor.openFile('by git.ipynb');
    await editor.said('by git.ipynb looks like written.ipynb, which is gone');
    await run.shot('looks-like');
    await follows(run, 'by git.ipynb looks like written.ipynb', 'by git.ipynb', run.kernels.written);
    assert.equal(run.sessions().length, 2);
  },
});
