// The editor is killed in the middle of a cell.
import { begin, goesOn, resume, runsOn, variables } from './harness/long-cell.mjs';
import { story } from './harness/story.mjs';

story('crash', 'the editor is killed in the middle of a cell', {
  'a long cell runs': begin,
  'killed, the kernel goes on': async (run) => {
    await run.crash();
    await goesOn(run);
  },
  'started again, its session is offered and resumed': async (run) => {
    const editor = await run.open({ again: true });
    // Where VS Code has opened it already, it comes in front.
    await editor.openFile('draft.ipynb');
    await resume(run);
  },
  'the cell runs on, live, to its end; no line is missing or doubled': runsOn,
  'variables are there': variables,
});
