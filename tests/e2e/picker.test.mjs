// Kernels are found again: headings in the tree, the list of sessions, labels, the status item, and the keys of the tree.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { click, clickNow, eventually, moment } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7', after: "print('value is', value)" };
const python = 'Python 3 (ipykernel)';
/** By its name for screen readers: VS Code draws lines anew in the place of others, and their words are mixed for a moment. */
const line = ({ workbench: editor }, name) =>
  editor.page.locator(`.quick-input-widget:visible .quick-input-list .monaco-list-row[aria-label^="${name}"]`);
const kernels = ({ workbench: editor }) =>
  editor.page.locator('.pane', { has: editor.page.locator('.pane-header', { hasText: 'Active Kernels' }) });
const heading = (run, text) => kernels(run).locator('.monaco-list-row[aria-level="1"]', { hasText: text });
/** The lines of the tree in their order: headings, and the names of sessions. */
const tree = async (run) =>
  (await kernels(run).locator('.monaco-list-row .label-name').allInnerTexts()).map((text) => text.split(' · ').at(-1).trim());

story('picker', 'kernels are found again', {
  'after a start the status item says what was kept; a click lists it, and one is stopped there': async (run) => {
    for (const name of ['first.ipynb', 'second.ipynb', 'fourth.ipynb']) {
      run.notebook(name, cells);
      run.cli('run', run.path(name), '--kernel', 'python3');
    }
    run.notebook('third.ipynb', cells);
    const editor = await run.open();
    await editor.stated('3 kernels kept running');
    await run.shot('kept');
    await click(editor.status(/3 kernels/));
    await eventually('how old it is, what it does, and its memory', async () => {
      const text = await line(run, 'first.ipynb').innerText({ timeout: moment });
      return /(just started|\d+ m old) · idle( \d+ m)? · [\d.]+ MB/.test(text);
    });
    assert.equal(await line(run, 'New Session').count(), 0, 'there is no notebook for one');
    await run.shot('three');
    await editor.rowButton(line(run, 'fourth.ipynb'), 'Stop');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'Stop the kernel of fourth.ipynb?' }).waitFor();
    await editor.confirm('Stop');
    await eventually('it is stopped', () => !run.session('fourth.ipynb'));
    // The list is there again.
    await line(run, 'second.ipynb').waitFor();
    await editor.page.keyboard.press('Escape');
    await editor.status(/2 kernels ·/).waitFor();
  },
  'a kernel that nobody shows is attached to the notebook in front, after a question': async (run) => {
    const { workbench: editor } = run;
    await editor.openFile('third.ipynb');
    const list = async () => {
      await editor.page.keyboard.press('Control+K');
      await editor.page.keyboard.press('k');
      await line(run, 'New Session').waitFor({ timeout: moment });
      await run.shot('list');
    };
    await editor.choose(list, 'second.ipynb');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'Migrate from second.ipynb to third.ipynb?' }).waitFor();
    await editor.confirm('Migrate');
    await editor.kernelLabel(python).waitFor();
    await editor.runCell(1);
    await editor.output('.output', 'value is 42');
  },
  'the tree has a heading for each place': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Kernel Keeper');
    await eventually('headings', async () => `${await tree(run)}`.startsWith('This window,third.ipynb,Detached,first.ipynb'));
    await eventually('its line', async () => /^idle.* · first\.ipynb\s*since [\d:]+/.test(await editor.row('first.ipynb').innerText()));
    // Where the line is drawn anew meanwhile, none comes.
    await eventually('its tooltip', async () => {
      await editor.page.mouse.move(0, 0);
      await editor.row('first.ipynb').hover();
      return editor.page
        .locator('.monaco-hover', { hasText: 'Cell 2, succeeded' })
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    await run.shot('tooltip');
    await editor.page.mouse.move(0, 0);
  },
  'a label is given in the list, and taken back in the tree': async (run) => {
    const { workbench: editor } = run;
    // VS Code closes the list where the focus goes elsewhere.
    await eventually('a label is asked for', async () => {
      await editor.command('Kernel Keeper: Sessions');
      await line(run, 'first.ipynb').hover({ timeout: moment });
      await clickNow(line(run, 'first.ipynb').locator('.action-label[aria-label^="Rename Label"]').first());
      return editor
        .asked('A label for this kernel')
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    await editor.asked('A label for this kernel').locator('input').first().fill('nightly job');
    await editor.page.keyboard.press('Enter');
    // The list is there again.
    await line(run, 'nightly job').waitFor();
    await editor.page.keyboard.press('Escape');
    await editor.keyOn(editor.row('nightly job'), 'F2', editor.asked('A label for this kernel'));
    await editor.answer('', 'A label for this kernel');
    await editor.row('first.ipynb').waitFor();
  },
  'Enter opens its notebook, Delete stops it after a question': async (run) => {
    const { workbench: editor } = run;
    await editor.keyOn(editor.row('first.ipynb'), 'Enter', editor.tab('first.ipynb'));
    // Once it is drawn it has the keyboard, and asks.
    await editor.cell(1).waitFor();
    await editor.said('has been running since');
    const question = editor.page.locator('.monaco-dialog-box', { hasText: 'Stop the kernel of third.ipynb?' });
    await editor.keyOn(editor.row('third.ipynb'), 'Delete', question);
    await editor.confirm('Stop');
    await eventually('it is stopped', () => !run.session('third.ipynb'));
    // The heading is closed.
    await eventually('it has recently ended', async () => {
      const lines = await tree(run);
      return lines.some((text) => text.startsWith('Recently ended')) && !lines.includes('third.ipynb');
    });
  },
  'the last is stopped in the list, and a new session takes its place': async (run) => {
    const { workbench: editor } = run;
    await editor.show('third.ipynb');
    await editor.cell(1).waitFor();
    await editor.choose(() => editor.command('Kernel Keeper: Sessions'), 'Stop All and Start Fresh');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'Stop the one kernel that runs' }).waitFor();
    await editor.confirm('Stop All and Start Fresh');
    await click(line(run, python));
    await eventually('third.ipynb alone has a kernel', () => run.session('third.ipynb')?.pid && !run.session('first.ipynb'));
  },
});
