// A kernel is attached to another notebook, in a shell: both notebooks stay what they are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { story } from './harness/story.mjs';

const python = 'Python 3 (ipykernel)';

story('attach', 'a kernel is attached to another notebook', {
  'a cell has run in the first, and something is typed': async (run) => {
    run.notebook('first.ipynb', { setup: 'value = 6 * 7\nvalue', other: "print('first')" });
    run.notebook('second.ipynb', { own: "print('value is', value)", more: "print('second')", last: "print('last')" });
    const editor = await run.open();
    await editor.openFile('first.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.ended(0);
    await editor.type(1, ' # typed, not saved');
    run.kernel = run.session('first.ipynb');
    run.files = ['first.ipynb', 'second.ipynb'].map((name) => readFileSync(run.path(name), 'utf8'));
  },
  'attached in a shell, the second one opens, with its own cells and the variables': async (run) => {
    const { workbench: editor } = run;
    run.cli('attach', run.kernel.id, run.path('second.ipynb'));
    await editor.page.locator('.tab.active', { hasText: 'second.ipynb' }).waitFor();
    await editor.kernelLabel(python).waitFor();
    await editor.cell(2).locator('.view-line', { hasText: "print('last')" }).waitFor();
    await editor.runCell(0);
    await editor.output('.output', 'value is 42');
    await editor.ended(0);
    assert.equal(run.session('second.ipynb').pid, run.kernel.pid);
    const saved = await editor.save(run.path('second.ipynb'));
    assert.deepEqual(Object.keys(saved), ['own', 'more', 'last']);
  },
  'the first one keeps its tab and what was typed': async (run) => {
    const { workbench: editor } = run;
    assert.equal(readFileSync(run.path('first.ipynb'), 'utf8'), run.files[0]);
    await editor.show('first.ipynb');
    await editor.page.locator('.tab.active.dirty', { hasText: 'first.ipynb' }).waitFor();
    await editor.cell(1).locator('.view-line', { hasText: '# typed, not saved' }).waitFor();
    const saved = await editor.save(run.path('first.ipynb'));
    assert.match(saved.other.source, /# typed, not saved$/);
    // The kernel is still the second one's.
    await editor.show('second.ipynb');
    await editor.runCell(1);
    await editor.output('.output', 'second');
    assert.equal(run.session('second.ipynb').pid, run.kernel.pid);
  },
});
