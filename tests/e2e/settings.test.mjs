// Settings decide what would be asked: when a notebook is opened whose kernel runs, and when one is renamed in a shell.
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7\nvalue', after: "print('value is', value)" };
const python = 'Python 3 (ipykernel)';
const offer = 'has been running since';

/** A kept kernel, made without the editor. */
const kept = (run, name) => {
  run.notebook(name, cells);
  run.cli('run', run.path(name), '--kernel', 'python3');
  return run.session(name);
};
const unasked = ({ workbench: editor }) => editor.neverSaid(/running since|moved|renamed/);

story('settings', 'settings decide instead of a question', {
  '"Don\'t Ask Again" asks once more what it is to be, and remembers it': async (run) => {
    run.kernel = kept(run, 'first.ipynb');
    const editor = await run.open();
    await editor.openFile('first.ipynb');
    await editor.choose(() => editor.press(offer, "Don't Ask Again"), 'Always resume');
    await editor.kernelLabel(python).waitFor();
    await editor.output('.output', '42');
    await eventually('it is a setting', () => run.settings()['kernelKeeper.onOpen'] === 'resume');
  },
  'onOpen = resume: the next one is resumed without a question': async (run) => {
    const { pid } = kept(run, 'second.ipynb');
    const { workbench: editor } = run;
    await editor.openFile('second.ipynb');
    await editor.kernelLabel(python).waitFor();
    await editor.runCell(1);
    await editor.output('.output', 'value is 42');
    assert.equal(run.session('second.ipynb').pid, pid);
    await unasked(run);
  },
  'onOpen = fresh: the old kernel stays until the first run, which has a new one': async (run) => {
    const { pid } = kept(run, 'third.ipynb');
    const { workbench: editor } = run;
    await run.set({ 'kernelKeeper.onOpen': 'fresh' });
    await editor.openFile('third.ipynb');
    await editor.selectKernel(python);
    await unasked(run);
    assert.equal(run.session('third.ipynb').pid, pid);
    await editor.runCell(1);
    await editor.output('.output', 'NameError');
    assert.notEqual(run.session('third.ipynb').pid, pid);
    await unasked(run);
  },
  'onRename = migrate: the kernel follows without a question': async (run) => {
    const { workbench: editor } = run;
    await run.set({ 'kernelKeeper.onOpen': 'ask', 'kernelKeeper.onRename': 'migrate' });
    const { id } = run.session('third.ipynb');
    await editor.save(run.path('third.ipynb'));
    renameSync(run.path('third.ipynb'), run.path('fourth.ipynb'));
    await eventually('the session moved', () => run.session('fourth.ipynb')?.id === id);
    await editor.tab('fourth.ipynb').waitFor();
    await editor.kernelLabel(python).waitFor();
    await unasked(run);
  },
  'onRename = ignore: the kernel stays under the old name': async (run) => {
    const { workbench: editor } = run;
    await run.set({ 'kernelKeeper.onRename': 'ignore' });
    const { id } = run.session('fourth.ipynb');
    renameSync(run.path('fourth.ipynb'), run.path('fifth.ipynb'));
    await editor.entry('fifth.ipynb').waitFor();
    await eventually('its file is missed', () => run.session('fourth.ipynb').notebookExists === false);
    assert.equal(run.session('fourth.ipynb').id, id);
    await unasked(run);
  },
});
