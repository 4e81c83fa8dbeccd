// A tab is closed, a cell deleted, while the cell runs: neither is a wish to stop it.
import { counted, goesOn, tell, untilTold, whole } from './harness/told.mjs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const offer = 'has been running since';
const [setup, long, deleted] = [0, 1, 2];
const idle = (run) => eventually('the kernel is idle', () => run.session('draft.ipynb').state === 'idle');
const remove = async ({ workbench: editor }) => {
  await editor.deleteRunning(deleted);
  await editor.cell(deleted).locator('.view-line', { hasText: "print('after')" }).waitFor();
};
const reopen = async (run) => {
  const { workbench: editor } = run;
  await eventually('no window has it', () => run.session('draft.ipynb').windows.length === 0);
  await goesOn(run, 'draft.ipynb');
  await editor.openFile('draft.ipynb');
  await editor.press(offer, 'Resume Session');
  await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
};

story('tabs', 'a tab is closed, or a cell deleted, while the cell runs', {
  'a cell runs': async (run) => {
    run.notebook('draft.ipynb', {
      setup: "print('ready')",
      long: untilTold(run, 'long', { rests: true, counts: true }),
      deleted: untilTold(run, 'deleted', { counts: true }),
      after: "print('after')",
    });
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
    await editor.runCell(setup);
    await editor.ended(setup);
    await editor.runCell(long);
    await editor.output('.output', 'line 39');
    run.kernel = run.session('draft.ipynb');
  },
  'its tab is closed without saving, and opened again: it runs on, live': async (run) => {
    const { workbench: editor } = run;
    await editor.closeTab('draft.ipynb', "Don't Save");
    tell(run, 'long goes on');
    await reopen(run);
    await editor.running(long).waitFor();
    await editor.output('.output', 'ready');
  },
  'saved, closed and opened again, it runs on to its end; no line is missing or doubled': async (run) => {
    const { workbench: editor } = run;
    await editor.closeTab('draft.ipynb', 'Save');
    await reopen(run);
    await editor.running(long).waitFor();
    tell(run, 'long');
    await editor.ended(long);
    whole((await editor.save(run.path('draft.ipynb'))).long);
  },
  'a running cell is deleted: the kernel goes on': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(deleted);
    await editor.running(deleted).waitFor();
    await editor.outputs('line 20', 2);
    await remove(run);
    await goesOn(run, 'draft.ipynb');
  },
  'undo brings it back with its outputs, and it runs on': async (run) => {
    const { workbench: editor } = run;
    await editor.undo();
    // What VS Code brings back by itself has the lines of before, and may look as if it ran.
    const next = counted(run, 'deleted') + 10;
    await editor.outputs(`line ${next}`, counted(run, 'long') > next ? 2 : 1);
    await editor.running(deleted).waitFor();
  },
  'deleted, it ends; undo brings back all that it printed': async (run) => {
    const { workbench: editor } = run;
    await remove(run);
    tell(run, 'deleted');
    await idle(run);
    await editor.undo();
    await editor.ended(deleted);
    whole((await editor.save(run.path('draft.ipynb'))).deleted);
  },
});
