// A notebook's kernel lives, and a cell is run before the question about it is answered: it waits for the answer.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7', after: "print('value is', value)" };
const offer = 'has been running since';

/** A notebook with a kernel, made without the editor. */
const kept = (run, name) => {
  run.notebook(name, cells);
  run.cli('run', run.path(name), '--kernel', 'python3');
};
/** The question is on the screen: it stays there for ten seconds, which what is done may take, too. */
const asks = ({ workbench: editor }, act) => Promise.all([editor.toast(offer).waitFor(), act()]);
/** Opens it, and chooses its kernel without answering the question. */
const opened = async (run, name) => {
  run.kernel = run.session(name);
  const { workbench: editor } = run;
  await asks(run, () => editor.openFile(name));
  await editor.selectKernel('Python 3 (ipykernel)');
};
const waits = async (run, name) => {
  const { workbench: editor } = run;
  const before = run.cli('history', run.path(name), '--json');
  await asks(run, () => editor.runCell(1));
  await editor.waiting(1).waitFor();
  await sleep(1_000);
  assert.ok(await editor.waiting(1).isVisible(), 'it still waits');
  assert.equal(run.cli('history', run.path(name), '--json'), before);
  await editor.said(offer);
};
const released = async (run, name) => {
  await run.workbench.waiting(1).waitFor({ state: 'detached' });
  await sleep(500);
  assert.equal(JSON.parse(run.cli('history', run.path(name), '--json')).length, 2);
};
const resumed = async (run, name) => {
  const { workbench: editor } = run;
  await editor.press(offer, 'Resume Session');
  await eventually('it ran', () => JSON.parse(run.cli('history', run.path(name), '--json')).length === 3);
  await editor.ended(1);
  await editor.output('.output', 'value is 42');
  assert.equal(run.session(name).pid, run.kernel.pid);
};

story('offers', 'a cell is run before the question about its kernel is answered', {
  'it waits, and Resume Session runs it in the kernel': async (run) => {
    for (const name of ['first.ipynb', 'second.ipynb']) kept(run, name);
    await run.open();
    await opened(run, 'first.ipynb');
    await waits(run, 'first.ipynb');
    await resumed(run, 'first.ipynb');
  },
  'a question that has left the screen is shown again when its notebook is opened again': async (run) => {
    const { workbench: editor } = run;
    await asks(run, () => editor.openFile('second.ipynb'));
    await editor.page.keyboard.press('Escape');
    await editor.toast(offer).waitFor({ state: 'detached' });
    await editor.closeUnchanged('second.ipynb');
  },
  'and when a cell is run; closed, it releases the cell without running it': async (run) => {
    const { workbench: editor } = run;
    await opened(run, 'second.ipynb');
    await editor.said(offer);
    await editor.page.keyboard.press('Escape');
    await editor.toast(offer).waitFor({ state: 'detached' });
    await waits(run, 'second.ipynb');
    await editor.close(offer);
    await released(run, 'second.ipynb');
    assert.equal(run.session('second.ipynb').pid, run.kernel.pid);
  },
  'interrupted while it waits, and run again, it waits again, and is resumed': async (run) => {
    const { workbench: editor } = run;
    await waits(run, 'second.ipynb');
    await editor.tool('Interrupt');
    await released(run, 'second.ipynb');
    await waits(run, 'second.ipynb');
    await resumed(run, 'second.ipynb');
  },
});
