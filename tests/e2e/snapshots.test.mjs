// The variables of a kernel are saved under a name, come back after a restart, and what ran can be run again up to a place.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = {
  setup: 'import os\nvalue = 6 * 7\nlater = (n for n in range(3))',
  change: "value = 'changed'",
  show: "print('value is', value)",
};
const [setup, change, show] = [0, 1, 2];
const live = (run) => run.sessions().filter(({ state }) => state !== 'ended');
/** An entry of the history by what it says. */
const entry = (editor, text) => editor.page.locator('.pane-body .monaco-list-row[aria-label*="succeeded"]', { hasText: text }).first();

story('snapshots', 'variables are saved, restored, and made again', {
  'variables are saved under a name; what cannot be is listed': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(setup);
    await editor.ended(setup);
    run.kernel = run.session('draft.ipynb');
    await editor.command('Kernel Keeper: Save Snapshot');
    await editor.asked('A name for it').waitFor();
    await run.shot('name');
    await editor.answer('before the change', 'A name for it');
    await editor.toast('“before the change” was saved').waitFor();
    await run.shot('saved');
    await editor.press('“before the change” was saved', 'Show Details');
    await editor.asked('Not in the snapshot').locator('.monaco-list-row', { hasText: 'later' }).waitFor();
    await run.shot('left-out');
    await editor.page.keyboard.press('Escape');
  },
  'the kernel is restarted; restored, they are there': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(change);
    await editor.ended(change);
    await editor.command('Kernel Keeper: Restore Snapshot');
    await editor.asked('Restore Snapshot').locator('.monaco-list-row', { hasText: 'before the change' }).waitFor();
    await run.shot('list');
    await editor.pick('before the change');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'has variables already' }).waitFor();
    await run.shot('question');
    await editor.confirm('Restart and Restore');
    await editor.status('Restored “before the change”').waitFor();
    assert.notEqual(run.session('draft.ipynb').pid, run.kernel.pid);
    await editor.runCell(show);
    await editor.output('.output', 'value is 42');
  },
  'Replay to Here makes a new kernel, and the old one stays': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(change);
    await eventually('it ran again', () => JSON.parse(run.cli('history', run.path('draft.ipynb'), '--json')).length === 4);
    await editor.command('Kernel Keeper: Show History');
    const line = entry(editor, 'Cell 1');
    await line.hover();
    await run.shot('history');
    await line.locator('.action-label[aria-label^="Replay to Here"]').click();
    await editor.page.locator('.monaco-dialog-box', { hasText: 'the present kernel stays' }).waitFor();
    await run.shot('replay-question');
    await editor.confirm('Replay');
    await eventually('another kernel', () => live(run).length === 2);
    const old = run.session('draft.ipynb');
    await editor.status('was rebuilt').waitFor();
    await editor.runCell(show);
    await editor.output('.output', 'value is 42');
    assert.ok(old);
  },
  'a snapshot is removed after a question': async (run) => {
    const { workbench: editor } = run;
    await editor.command('Kernel Keeper: Restore Snapshot');
    const line = editor.asked('Restore Snapshot').locator('.monaco-list-row', { hasText: 'before the change' });
    await line.hover();
    await line.locator('.action-label[aria-label^="Remove Snapshot"]').click();
    await editor.confirm('Remove');
    await line.waitFor({ state: 'detached' });
  },
});
