// The window is reloaded and the editor closed in the middle of a cell, and closed while a question waits.
import assert from 'node:assert/strict';
import { offer, begin, goesOn, resume, runsOn, variables } from './harness/long-cell.mjs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

story('quit', 'the editor is closed in the middle of a cell', {
  'a long cell runs': begin,
  'the window is reloaded: it has its kernel again, the cell runs on, and nothing is asked': async (run) => {
    const { workbench: editor } = run;
    const [before] = run.kernel.windows;
    await editor.page.reload();
    await editor.ready();
    await eventually('the same window has the kernel', () => run.sessions()[0].windows[0]?.windowId === before.windowId);
    await editor.running(1).waitFor();
    await editor.neverSaid(offer);
    const [session] = run.sessions();
    assert.deepEqual([session.pid, session.id, session.state], [run.kernel.pid, run.kernel.id, 'busy']);
  },
  'closed, the kernel goes on': async (run) => {
    await run.quit();
    await goesOn(run);
  },
  'opened again, its session is offered and resumed': async (run) => {
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
  },
  'the cell runs on, live, to its end; no line is missing or doubled': runsOn,
  'variables are there': variables,
  'and are listed': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Kernel Keeper');
    await (await editor.webview('input[type=search]')).locator('tbody th[title="value"]').waitFor();
  },
  'input() is asked for': async ({ workbench: editor }) => {
    await editor.runCell(3);
    await editor.asked('Who are you?').waitFor();
  },
  'closed and opened again, it is asked for again': async (run) => {
    await run.quit();
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
    await editor.answer('Grace', 'Who are you?');
    await editor.output('.output', 'Hello Grace');
    await editor.ended(3);
    const { setup, long } = await editor.save(run.path('draft.ipynb'));
    assert.deepEqual([setup.count, long.count], [1, 2], 'cells that a resume marked anew keep their numbers');
  },
  'Start Fresh stops the old kernel and starts a new one': async (run) => {
    await run.quit();
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.press(offer, 'Start Fresh');
    await eventually('another kernel', () => {
      const live = run.sessions().filter((session) => session.state !== 'ended');
      return live.length === 1 && live[0].pid && live[0].id !== run.kernel.id;
    });
    await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
    await editor.runCell(2);
    await editor.output('.output', 'NameError');
  },
});
