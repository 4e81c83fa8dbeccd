// A person looks at the variables of a notebook, and at how all kernels are.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { tell, untilTold } from './harness/told.mjs';
import { click, eventually, moment } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = (run) => ({
  setup: ['x10 = 1', 'x2 = "words"', 'numbers = list(range(100))', 'import numpy', 'table = numpy.zeros((1000, 3))'].join('\n'),
  long: untilTold(run, 'long'),
  after: "later = 'now'",
});
const [setup, long, after] = [0, 1, 2];

const variables = (editor) => editor.webview('input[type=search]');
const names = async (editor) => (await variables(editor)).locator('tbody th').allInnerTexts();
const cellsOf = async (editor, name) =>
  (await variables(editor))
    .locator('tbody tr', { has: (await variables(editor)).locator(`th[title="${name}"]`) })
    .locator('td')
    .allInnerTexts();

const counts = async (panel) =>
  (
    await panel
      .locator('.tiles > div')
      .evaluateAll((all) => all.map((one) => `${one.children[0].textContent} ${one.children[1].textContent}`))
  ).join(', ');

story('views', 'the variables of a notebook, and how all kernels are', {
  'the variables of a notebook appear when a cell has run': async (run) => {
    run.notebook('draft.ipynb', cells(run));
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.showView('Kernel Keeper');
    await editor.webview('.nothing');
    await editor.runCell(setup);
    await editor.ended(setup);
    await eventually('all of them', async () => (await names(editor)).join() === 'x10,x2,numbers,table');
    assert.deepEqual(await cellsOf(editor, 'table'), ['ndarray', '(1000, 3)', '23 KB', 'float64']);
    assert.deepEqual((await cellsOf(editor, 'numbers')).slice(0, 2), ['list', '100']);
  },
  'they are sorted by a header, and filtered': async (run) => {
    const { workbench: editor } = run;
    const view = await variables(editor);
    await click(view.getByRole('button', { name: 'Name' }));
    assert.deepEqual(await names(editor), ['numbers', 'table', 'x2', 'x10']);
    await view.getByRole('button', { name: 'Size' }).press('Enter');
    await view.getByRole('button', { name: 'Size' }).press('Enter');
    assert.equal(await view.locator('th.size').getAttribute('aria-sort'), 'descending');
    assert.equal((await names(editor))[0], 'table');
    await view.getByRole('searchbox').fill('nd');
    assert.deepEqual(await names(editor), ['table']);
    await view.getByText('1 of 4 variables').waitFor();
    await view.getByRole('searchbox').fill('');
  },
  'while a cell runs they are greyed, and say of when they are': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(long);
    await editor.running(long).waitFor();
    const view = await variables(editor);
    await view.getByText(/^as of \d\d:\d\d · busy$/).waitFor();
    assert.equal(await view.locator('body.stale').count(), 1);
    assert.equal((await names(editor)).length, 4);
  },
  'and anew when it has ended': async (run) => {
    const { workbench: editor } = run;
    tell(run, 'long');
    await editor.ended(long);
    await editor.runCell(after);
    await eventually('the new one', async () => (await names(editor)).includes('later'));
    await eventually('as they are', async () => (await (await variables(editor)).locator('body.stale').count()) === 0);
  },
  'completions in a cell come from the live kernel': async (run) => {
    const { workbench: editor } = run;
    // No cell has this word: where the kernel takes its time, VS Code offers those that are in the cells.
    await editor.type(after, '\ntable.rav');
    await eventually('ravel is offered', async () => {
      // The click closes the list where it is empty: the keys alone would not ask again.
      await editor.focusCell(after);
      await editor.page.keyboard.press('Control+End');
      await editor.page.keyboard.press('Control+Space');
      return editor.page
        .locator('.suggest-widget .monaco-list-row', { hasText: 'ravel' })
        .first()
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    await run.shot('completion');
    await editor.page.keyboard.press('Escape');
  },
  'the health panel counts kernels, and tells what happened': async (run) => {
    const { workbench: editor } = run;
    await editor.command('Kernel Keeper: Kernel Health');
    const panel = await editor.webview('main section.counts');
    await eventually('one is active', async () => (await counts(panel)) === 'Active 1, Disconnected 0, Ended 0, Windows 1');
    await panel.locator('.recent tr', { hasText: 'kernel started' }).filter({ hasText: 'draft.ipynb' }).waitFor();
    await panel.getByRole('img', { name: /^draft\.ipynb: .* MB now/ }).waitFor();
    for (const theme of ['dark', 'light']) {
      await editor.command('Preferences: Toggle between Light/Dark Themes');
      await panel.locator(`body.vscode-${theme}`).waitFor();
      await run.shot(`health-${theme}`);
    }
    await panel.locator('.states li', { hasText: 'idle' }).waitFor();
    // There is nothing to prune.
    await panel.getByRole('button', { name: 'Prune' }).click({ force: true });
    assert.equal(await editor.page.locator('.monaco-dialog-box').count(), 0);
  },
  'what ends is seen at once, and pruned after a question': async (run) => {
    const { workbench: editor } = run;
    const panel = await editor.webview('main section.counts');
    const [session] = run.sessions();
    run.cli('stop', session.id);
    await (await variables(editor)).getByText(/^as of \d\d:\d\d · ended$/).waitFor();
    await eventually('it has ended', async () => (await counts(panel)).includes('Ended 1'));
    await panel.locator('.recent tr', { hasText: 'kernel ended' }).waitFor();
    const prune = async (answer) => {
      await click(panel.getByRole('button', { name: 'Prune' }));
      await editor.page.locator('.monaco-dialog-box', { hasText: 'Remove the kernel that has ended?' }).waitFor();
      await editor.confirm(answer);
    };
    await prune('Cancel');
    assert.equal(JSON.parse(run.cli('list', '--all', '--json')).length, 1);
    await prune('Prune');
    await editor.said('1 ended kernel was removed');
    assert.deepEqual(JSON.parse(run.cli('list', '--all', '--json')), []);
    await eventually('none is left', async () => (await counts(panel)).includes('Ended 0'));
  },
  'the panel is there again after a reload of the window': async (run) => {
    const { workbench: editor } = run;
    await editor.command('Developer: Reload Window');
    await editor.page.waitForEvent('load');
    await editor.ready();
    await editor.tab('Kernel Health').waitFor();
    const panel = await editor.webview('main section.counts');
    await eventually('as it was', async () => (await counts(panel)).startsWith('Active 0, Disconnected 0, Ended 0'));
    // The window that was reloaded was heard of just now.
    await panel.locator('.ages li', { hasText: /Healthy.*within 2 minutes/ }).waitFor();
  },
});
