// The kernel that a notebook had is its no more: the next run says so, and no mark stays that it did not give.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = { setup: 'value = 6 * 7', other: "print('here')", after: 'pass' };
const marks = (editor, index) => editor.cell(index).locator('.codicon-notebook-state-success');

story('gone', "a notebook's kernel is gone", {
  'two cells run, and the notebook is open in two windows': async (run) => {
    run.notebook('draft.ipynb', cells);
    run.first = await run.open();
    await run.first.openFile('draft.ipynb');
    await run.first.selectKernel(python);
    for (const index of [0, 1]) {
      await run.first.runCell(index);
      await run.first.ended(index);
    }
    await run.first.save(run.path('draft.ipynb'));
    run.kernel = run.session('draft.ipynb');
    const second = await run.window();
    if (!(await second.tab('draft.ipynb').count())) await second.openFile('draft.ipynb');
    await second.press('has been running since', 'Resume Session');
    await eventually('both windows have it', () => run.session('draft.ipynb').windows.length === 2);
  },
  'it is stopped in the second': async (run) => {
    const { workbench: second } = run;
    await second.command('Kernel Keeper: Stop Kernel');
    await second.confirm('Stop');
    await eventually('it is stopped', () => !run.session('draft.ipynb'));
  },
  'the next run in the first says that it is a new kernel, and marks of the old one are gone': async (run) => {
    const { first } = run;
    run.page = first.page;
    run.workbench = first;
    await first.page.bringToFront();
    await first.runCell(1);
    await first.said('draft.ipynb runs in a new kernel, without the variables it had: the one before ended at');
    await first.ran(1, 1);
    await eventually('no mark', async () => (await marks(first, 0).count()) === 0);
    assert.notEqual(run.session('draft.ipynb').id, run.kernel.id);
    const { setup } = await first.save(run.path('draft.ipynb'));
    assert.equal(setup.count, 1, 'it keeps its number');
  },
});
