// What ran is run again up to a place in a new kernel; its variables are saved under a name and come back after a restart.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { eventually, moment } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = {
  setup: 'import os\nvalue = 6 * 7\nlater = (n for n in range(3))',
  change: "value = 'changed'",
  show: "print('value is', value)",
};
const [setup, change, show] = [0, 1, 2];
const live = (run) => run.sessions().filter(({ state }) => state !== 'ended');

story('snapshots', 'what ran is made again, and variables are saved and restored', {
  'Replay to Here makes a new kernel, and the old one stays': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    for (const cell of [setup, change]) {
      await editor.runCell(cell);
      await editor.ended(cell);
    }
    run.kernel = run.session('draft.ipynb');
    await editor.command('Kernel Keeper: Show History');
    const line = editor.page.locator('.pane-body .monaco-list-row[aria-label*="succeeded"]', { hasText: 'Cell 1' }).first();
    await line.hover();
    await run.shot('history');
    await editor.rowButton(line, 'Replay to Here');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'the present kernel stays' }).waitFor();
    await run.shot('replay-question');
    await editor.confirm('Replay');
    await editor.stated('was rebuilt');
    await editor.row(/before replay.*its notebook has another kernel/).waitFor();
    await editor.runCell(show);
    await editor.output('.output', 'value is 42');
    const pids = live(run).map(({ pid }) => pid);
    assert.equal(pids.length, 2);
    assert.ok(pids.includes(run.kernel.pid));
  },
  'variables are saved under a name; what cannot be is listed': async (run) => {
    const { workbench: editor } = run;
    await eventually('a name is asked for', async () => {
      await editor.command('Kernel Keeper: Save Snapshot');
      return editor
        .asked('A name for it')
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    await run.shot('name');
    await editor.answer('before the change', 'A name for it');
    await editor.said('“before the change” was saved');
    await run.shot('saved');
    await editor.press('“before the change” was saved', 'Show Details');
    await editor.asked('Not in the snapshot').locator('.monaco-list-row', { hasText: 'later' }).waitFor();
    await run.shot('left-out');
    await editor.focusCell(show);
    assert.equal(await editor.asked('Not in the snapshot').count(), 1, 'it stays where the focus goes elsewhere');
    await editor.leave('Not in the snapshot');
  },
  'restored after a restart, they are there': async (run) => {
    const { workbench: editor } = run;
    const before = live(run).map(({ pid }) => pid);
    await editor.runCell(change);
    await editor.ended(change);
    await editor.command('Kernel Keeper: Restore Snapshot');
    await editor.asked('Restore Snapshot').locator('.monaco-list-row', { hasText: 'before the change' }).waitFor();
    await run.shot('list');
    await editor.pick('before the change');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'has variables already' }).waitFor();
    await run.shot('question');
    await editor.confirm('Restart and Restore');
    await editor.stated('Restored “before the change”');
    assert.equal(live(run).filter(({ pid }) => !before.includes(pid)).length, 1);
    await editor.runCell(show);
    await eventually('it ran', () => JSON.parse(run.cli('history', run.path('draft.ipynb'), '--json'))[0].executionCount === 1);
    await editor.output('.output', 'value is 42');
  },
  'after a crash it is offered': async (run) => {
    const { workbench: editor } = run;
    process.kill(run.session('draft.ipynb').pid, 'SIGKILL');
    await editor.said('crashed');
    await run.shot('offered');
    await editor.press('crashed', 'Restore Snapshot');
    await editor.stated('Restored the latest snapshot');
    await editor.runCell(show);
    await eventually('it ran', () => JSON.parse(run.cli('history', run.path('draft.ipynb'), '--json')).length === 7);
    await editor.output('.output', 'value is 42');
  },
  'a snapshot is removed after a question': async (run) => {
    const { workbench: editor } = run;
    await editor.command('Kernel Keeper: Restore Snapshot');
    const line = editor.asked('Restore Snapshot').locator('.monaco-list-row', { hasText: 'before the change' });
    await editor.rowButton(line, 'Remove Snapshot');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'cannot be brought back' }).waitFor();
    await run.shot('remove-question');
    await editor.confirm('Remove');
    await line.waitFor({ state: 'detached' });
  },
});
