// A kernel dies while nobody looks: what it was is said, and what had succeeded in it is run again. And the history, as a view.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { click, eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const history = (run) => JSON.parse(run.cli('history', run.path('draft.ipynb'), '--json'));
const rows = (editor) => editor.page.locator('.pane-body .monaco-list-row', { hasText: /Cell \d|Code \(/ });

story('recover', 'a kernel dies while nobody looks', {
  'cells have run, and one of them failed': async (run) => {
    const slow = `import os, time\ntime.sleep(600 if os.path.exists('${join(run.folder, 'slow')}') else 0)`;
    run.notebook('draft.ipynb', { one: 'values = [1]', two: 'values.append(2)', bad: '1 / 0', slow, show: "print('sum is', sum(values))" });
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    for (const index of [0, 1, 1, 2, 3]) {
      const before = run.session('draft.ipynb') ? history(run).length : 0;
      await editor.runCell(index);
      await eventually('it ended', () => history(run).filter(({ completedAt }) => completedAt).length > before);
    }
    await editor.save(run.path('draft.ipynb'));
    run.kernel = run.session('draft.ipynb');
    await run.quit();
  },
  'killed, and opened again: how it ended is said': async (run) => {
    // The machine went down: neither the kernel nor its keeper had a chance.
    for (const pid of [run.kernel.keeperPid, run.kernel.pid]) process.kill(pid, 'SIGKILL');
    const editor = await run.open({ again: true });
    if (!(await editor.tab('draft.ipynb').count())) await editor.openFile('draft.ipynb');
    await editor.said(/was lost[^]*Last, cell 4 had finished/);
  },
  'Rebuild from History can be cancelled': async (run) => {
    const { workbench: editor } = run;
    writeFileSync(join(run.folder, 'slow'), '');
    await editor.press('was lost', 'Rebuild from History');
    await editor.said('Rebuilding draft.ipynb from history');
    await editor.running(3).waitFor();
    await run.shot('rebuilding');
    await editor.press('Rebuilding draft.ipynb', 'Cancel');
    await editor.said('was rebuilt in part: 3 of 4 cells');
    await editor.runCell(4);
    await editor.output('.output', 'sum is 5');
  },
  'its history is a view: newest first, with how each ended': async (run) => {
    const { workbench: editor } = run;
    await editor.command('Kernel Keeper: Show History');
    await eventually('all that ran, the last first, and how each ended', async () => {
      const texts = await rows(editor).allInnerTexts();
      return (
        texts.length === history(run).length &&
        /Cell 5/.test(texts[0]) &&
        /Cell 4[^]*KeyboardInterrupt/.test(texts[1]) &&
        texts.some((text) => /Cell 3[^]*ZeroDivisionError/.test(text))
      );
    });
  },
  'a click goes to the cell, or shows the code where that is gone': async (run) => {
    const { workbench: editor } = run;
    await click(rows(editor).filter({ hasText: 'ZeroDivisionError' }).first());
    await editor.cell(2).and(editor.page.locator('.focused')).waitFor();
    await editor.page.keyboard.press('Escape');
    await editor.command('Notebook: Delete Cell');
    await editor.notebook.locator('.view-line', { hasText: '1 / 0' }).waitFor({ state: 'detached' });
    await click(rows(editor).filter({ hasText: 'ZeroDivisionError' }).first());
    await editor.tab('Cell 3').waitFor();
    await editor.page.locator('.editor-instance .view-line', { hasText: '1 / 0' }).first().waitFor();
  },
  'renamed, the notebook keeps its history, and the view goes along': async (run) => {
    const { workbench: editor } = run;
    const before = history(run).length;
    await editor.show('draft.ipynb');
    await editor.kernelLabel(python).waitFor();
    renameSync(run.path('draft.ipynb'), run.path('final.ipynb'));
    await editor.press('draft.ipynb is now final.ipynb', 'Attach & Migrate');
    await editor.tab('final.ipynb').waitFor();
    await editor.tab('draft.ipynb').waitFor({ state: 'detached' });
    await editor.kernelLabel(python).waitFor();
    for (const view of ['History', 'Variables']) {
      await editor.page.locator('.pane-header', { hasText: view }).filter({ hasText: 'final.ipynb' }).waitFor();
    }
    await eventually('all of it is there', async () => (await rows(editor).count()) === before);
    await editor.runCell(3);
    await eventually('what runs now comes first', async () => /Cell 4/.test(await rows(editor).first().innerText()));
  },
});
