// A notebook renamed in a shell takes its kernel along; what was typed into the old tab is kept.
import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7\nvalue', after: "print('value is', value)" };
const begin = async (run) => {
  run.notebook('draft.ipynb', cells);
  const editor = await run.open();
  await editor.openFile('draft.ipynb');
  await editor.selectKernel('Python 3 (ipykernel)');
  await editor.runCell(0);
  await editor.ended(0);
  run.kernel = run.sessions()[0];
};
const migrate = async (run) => {
  const { workbench: editor } = run;
  renameSync(run.path('draft.ipynb'), run.path('final.ipynb'));
  await editor.press('final.ipynb', 'Attach & Migrate');
  await editor.tab('final.ipynb').waitFor();
  await editor.tab('draft.ipynb').waitFor({ state: 'detached' });
  await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
  const [session] = run.sessions();
  assert.deepEqual([session.id, session.pid], [run.kernel.id, run.kernel.pid]);
  assert.match(session.notebookPath, /final\.ipynb$/);
};
const variables = async ({ workbench: editor }) => {
  await editor.runCell(1);
  await editor.output('.output', 'value is 42');
};

story('rename', 'a notebook is renamed in a shell', {
  'a cell has run and is saved': async (run) => {
    await begin(run);
    await run.workbench.save(run.path('draft.ipynb'));
  },
  'mv is noticed and offered; the kernel moves along': migrate,
  'variables are there': variables,
  "the history is final.ipynb's": async (run) => {
    const history = JSON.parse(run.cli('history', run.path('final.ipynb'), '--json'));
    assert.ok(history.some((execution) => execution.code === cells.setup));
    assert.ok(!existsSync(run.path('draft.ipynb')), 'the old file is not written again');
  },
});

story('rename-dirty', 'a notebook with unsaved edits is renamed in a shell', {
  'a cell has run and something is typed': async (run) => {
    await begin(run);
    await run.workbench.type(1, ' # typed, not saved');
  },
  'mv is noticed and offered; the kernel moves along': migrate,
  'what was typed is kept': async (run) => {
    const { workbench: editor } = run;
    await editor.cell(1).locator('.view-line', { hasText: '# typed, not saved' }).waitFor();
    await eventually('the old tab is closed', async () => (await editor.page.locator('.tab', { hasText: 'draft.ipynb' }).count()) === 0);
    const saved = await editor.save(run.path('final.ipynb'));
    assert.match(saved.after.source, /# typed, not saved$/);
    assert.ok(!existsSync(run.path('draft.ipynb')), 'the old file is not written again');
  },
  'variables are there': variables,
});

story('rename-twice', 'a notebook with unsaved edits is renamed in a shell, and at once again', {
  'a cell has run and something is typed': async (run) => {
    await begin(run);
    await run.set({ 'kernelKeeper.onRename': 'migrate' });
    await run.workbench.type(1, ' # typed, not saved');
  },
  'the kernel and what was typed go along to the last name': async (run) => {
    const { workbench: editor } = run;
    for (const [from, to] of [
      ['draft.ipynb', 'middle.ipynb'],
      ['middle.ipynb', 'final.ipynb'],
    ]) {
      renameSync(run.path(from), run.path(to));
      await sleep(150);
    }
    await eventually("the session is final.ipynb's", () => run.session('final.ipynb')?.pid === run.kernel.pid);
    await editor.tab('final.ipynb').waitFor();
    await editor.cell(1).locator('.view-line', { hasText: '# typed, not saved' }).waitFor();
    for (const name of ['draft.ipynb', 'middle.ipynb']) {
      await eventually(`${name}'s tab is closed`, async () => (await editor.page.locator('.tab', { hasText: name }).count()) === 0);
      assert.ok(!existsSync(run.path(name)), `${name} is not written again`);
    }
    await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
    await variables(run);
  },
});
