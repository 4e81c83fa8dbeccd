// The window is reloaded in the middle of a cell: it has its kernel again without a question, and what the cell prints goes on.
import assert from 'node:assert/strict';
import { begin, offer, runsOn, variables } from './harness/long-cell.mjs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

story('reload', 'the window is reloaded in the middle of a cell', {
  'a long cell runs': begin,
  'reloaded, it has its kernel again and nothing is asked': async (run) => {
    const { workbench: editor } = run;
    const [before] = run.kernel.windows;
    await editor.save(run.path('draft.ipynb'));
    await editor.page.reload();
    await editor.ready();
    await eventually('the same window has the kernel', () => run.sessions()[0].windows[0]?.windowId === before.windowId);
    await editor.running(1).waitFor();
    assert.equal(await editor.toast(offer).count(), 0);
    const [session] = run.sessions();
    assert.deepEqual([session.pid, session.id, session.state], [run.kernel.pid, run.kernel.id, 'busy']);
  },
  'the cell runs on, live, to its end; no line is missing or doubled': runsOn,
  'variables are there': variables,
});
