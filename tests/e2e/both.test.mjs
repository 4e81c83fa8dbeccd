// Two windows on one notebook, in which a cell's text differs, and which both save.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { tell, untilTold, whole } from './harness/told.mjs';
import { click, eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = (run) => ({ setup: "print('set up')", edited: "print('one')", long: untilTold(run, 'long'), after: 'pass' });
const dirty = (editor) => editor.page.locator('.tab.dirty').count();

story('both', 'a notebook is edited in two windows', {
  'both windows have its kernel': async (run) => {
    run.notebook('draft.ipynb', cells(run));
    run.first = await run.open();
    await run.first.openFile('draft.ipynb');
    await run.first.selectKernel(python);
    await run.first.runCell(0);
    await run.first.ended(0);
    await run.first.save(run.path('draft.ipynb'));
    run.second = await run.window();
    if (!(await run.second.tab('draft.ipynb').count())) await run.second.openFile('draft.ipynb');
    await run.second.press('It is open and live in another window. Resume?', 'Resume Session');
    await eventually('both windows have it', () => run.session('draft.ipynb').windows.length === 2);
    assert.equal(await dirty(run.second), 0);
  },
  'a cell that is edited and run in the first is marked in the second, which is not changed': async (run) => {
    const { first, second } = run;
    await first.page.bringToFront();
    await first.type(1, '; print(6 * 7)');
    await first.runCell(1);
    await first.output('.output', '42');
    await second.page.bringToFront();
    await second.link(1, 'Ran with other code').waitFor();
    assert.equal(await dirty(second), 0, 'it has no dot');
  },
  'a click shows the difference': async (run) => {
    const { second } = run;
    await click(second.link(1, 'Ran with other code'));
    await second.tab('as it ran').waitFor();
    await second.page.locator('.monaco-diff-editor:visible .view-lines', { hasText: '6 * 7' }).first().waitFor();
    await run.shot('difference');
    await second.closeUnchanged('as it ran');
  },
  'saved in the first, the second has its text and its result, and nothing to save': async (run) => {
    const { first, second } = run;
    await first.page.bringToFront();
    await first.runCell(0);
    await first.ran(0, 3);
    await first.save(run.path('draft.ipynb'));
    await second.page.bringToFront();
    await second.output('.output', '42');
    await eventually('its text', async () => /6\s\*\s7/.test(await second.cell(1).locator('.view-lines').innerText()));
    await eventually('no dot', async () => (await dirty(second)) === 0);
    assert.equal(await second.link(1, 'Ran with other code').count(), 0);
  },
  'edited and saved in the second, nothing of the first is overwritten': async (run) => {
    const { second } = run;
    await second.type(0, '; print(1)');
    await second.runCell(0);
    await second.ran(0, 4);
    const saved = await second.save(run.path('draft.ipynb'));
    assert.deepEqual([saved.setup.source, saved.edited.source], ["print('set up'); print(1)", "print('one'); print(6 * 7)"]);
    assert.equal(saved.edited.stdout, 'one\n42\n');
  },
  'all outputs are cleared in one while a cell runs: both agree at its end': async (run) => {
    const { first, second } = run;
    await second.runCell(2);
    await second.output('.output', 'line 10');
    await first.page.bringToFront();
    await first.output('.output', 'line 10');
    await first.command('Notebook: Clear All Outputs');
    await first.output('.output', /line \d\d/);
    tell(run, 'long');
    for (const editor of [first, second]) {
      await editor.page.bringToFront();
      await editor.ended(2);
      await editor.output('.output', /line 0\s+line 1\s[^]*told/);
    }
    const { long } = await second.save(run.path('draft.ipynb'));
    whole(long);
  },
  'what was cleared in the first stays so, whatever the second saved': async (run) => {
    const { first } = run;
    await first.page.bringToFront();
    await first.runCell(3);
    await first.ran(3, 6);
    await first.output('.output', /line 0\s+line 1\s[^]*told/);
    const shown = await Promise.all((await first.inSight()).map((frame) => frame.locator('body').innerText()));
    assert.doesNotMatch(shown.join('\n'), /set up/);
    assert.equal(await dirty(first), 1, 'that is its own to save');
  },
});
