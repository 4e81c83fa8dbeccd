// The cell ends while nobody looks.
import assert from 'node:assert/strict';
import { begin, printsOn, resume, variables } from './harness/long-cell.mjs';
import { readNotebook } from './harness/notebook.mjs';
import { story } from './harness/story.mjs';
import { tell, whole } from './harness/told.mjs';
import { eventually } from './harness/workbench.mjs';

story('finished', 'the cell ends while nobody looks', {
  'a long cell runs': begin,
  'killed, and the cell ends meanwhile': async (run) => {
    await run.crash();
    await printsOn(run, 300);
    tell(run, 'long');
    await eventually('the kernel is idle', () => run.sessions()[0].state === 'idle');
  },
  'resumed, the cell has all of it, and a summary says so': async (run) => {
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
    await editor.said('finished at');
    await editor.output('.output', 'line 299');
    await editor.output('.output', 'told');
    await variables(run);
  },
  'closed without saving, the command line saves it': async (run) => {
    await run.quit();
    run.cli('save', run.path('draft.ipynb'));
    const saved = readNotebook(run.path('draft.ipynb'));
    whole(saved.long);
    assert.equal(saved.after.stdout, 'value is 42\n');
  },
});
