// Cells that are tagged: one that is meant to fail stops nothing, one that is to be skipped runs by itself alone.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { story } from './harness/story.mjs';

const cells = { fails: '1 / 0', next: "print('goes on')", skipped: "print('run by itself')", last: "print('the end')" };
const tags = { fails: ['raises-exception'], skipped: ['skip-execution'] };

story('tags', 'tags say what Run All does', {
  'a notebook with tagged cells is open': async (run) => {
    run.notebook('draft.ipynb', cells);
    const file = JSON.parse(readFileSync(run.path('draft.ipynb'), 'utf8'));
    for (const cell of file.cells) cell.metadata = tags[cell.id] ? { tags: tags[cell.id] } : {};
    writeFileSync(run.path('draft.ipynb'), JSON.stringify(file));
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
  },
  'Run All goes on behind the failure, and skips': async ({ workbench: editor }) => {
    await editor.command('Notebook: Run All');
    await editor.output('.output', 'the end');
    await editor.output('.output', 'goes on');
    await editor.ended(0, 'error');
    await editor.ended(3);
  },
  'nothing was run in the skipped cell': async (run) => {
    const saved = await run.workbench.save(run.path('draft.ipynb'));
    assert.equal(saved.fails.error.ename, 'ZeroDivisionError');
    assert.deepEqual([saved.skipped.outputs, saved.skipped.count], [[], null]);
    assert.deepEqual([saved.next.count, saved.last.count], [2, 3]);
  },
  'by itself it runs': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(2);
    await editor.output('.output', 'run by itself');
    await editor.ended(2);
    const saved = await editor.save(run.path('draft.ipynb'));
    assert.deepEqual([saved.skipped.stdout, saved.skipped.count], ['run by itself\n', 4]);
  },
  'alone above the selected cell it does not': async (run) => {
    const { workbench: editor } = run;
    run.notebook('lone.ipynb', { skipped: "print('not asked for')", below: "print('asked for')" });
    const file = JSON.parse(readFileSync(run.path('lone.ipynb'), 'utf8'));
    file.cells[0].metadata = { tags: tags.skipped };
    writeFileSync(run.path('lone.ipynb'), JSON.stringify(file));
    await editor.openFile('lone.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
    await editor.runCell(1);
    await editor.ran(1, 1);
    await editor.focusCell(1);
    await editor.command('Notebook: Execute Above Cells');
    await editor.runCell(1);
    await editor.ran(1, 2);
    const saved = await editor.save(run.path('lone.ipynb'));
    assert.deepEqual([saved.skipped.outputs, saved.skipped.count], [[], null]);
  },
});
