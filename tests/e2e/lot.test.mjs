// A folder with several running notebooks gets another name; and one that is left where it was is attached later, by hand.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7\nvalue', after: "print('value is', value)" };
const python = 'Python 3 (ipykernel)';
const names = ['first', 'second', 'third'].map((name) => `${name}.ipynb`);
/** The cell that printed the value prints it as this execution of the kernel's, too. */
const runsAgain = async (editor, count) => {
  await editor.runCell(1);
  await editor.ran(1, count);
  await editor.output('.output', 'value is 42');
};

story('lot', 'a folder with several running notebooks is renamed in a shell', {
  'three of its notebooks have a kernel, and two are open': async (run) => {
    mkdirSync(run.path('lot'));
    for (const name of names) {
      run.notebook(join('lot', name), cells);
      run.cli('run', run.path(join('lot', name)), '--kernel', 'python3');
    }
    for (let index = 0; index < 20; index += 1) run.notebook(join('lot', `other-${index}.ipynb`), cells);
    run.kernels = names.map((name) => run.session(join('lot', name)).pid);
    const editor = await run.open();
    await editor.openFolder('lot', 'third.ipynb');
    for (const name of ['third.ipynb', 'second.ipynb']) {
      await editor.openFile(name);
      await editor.press(`${name}'s kernel`, 'Resume Session');
      await editor.kernelLabel(python).waitFor();
    }
  },
  'one question is asked about all three': async (run) => {
    const { workbench: editor } = run;
    renameSync(run.path('lot'), run.path('moved'));
    await editor.said('3 notebooks were moved');
    await editor.neverSaid('is now');
    // Who looks at the list and leaves it has not answered.
    await editor.press('3 notebooks were moved', 'Choose…');
    await editor.leave('lot/first.ipynb');
    await editor.said('3 notebooks were moved');
  },
  'one click, and all follow; only those that were open are': async (run) => {
    const { workbench: editor } = run;
    await editor.press('3 notebooks were moved', 'Attach & Migrate All');
    // Who goes from tab to tab meanwhile disturbs nothing.
    for (let turn = 0; turn < 30; turn += 1) await editor.glance(names[1 + (turn % 2)]);
    await eventually('all moved', () => names.every((name) => run.session(join('moved', name))));
    assert.deepEqual(
      names.map((name) => run.session(join('moved', name)).pid),
      run.kernels,
    );
    const open = ['third.ipynb', 'second.ipynb'];
    // While another one's tab is exchanged, that one comes in front.
    for (const name of open) {
      await editor.show(name);
      await editor.isNowIn('moved', name);
    }
    for (const name of open) {
      await editor.show(name);
      await editor.kernelLabel(python).waitFor();
      await runsAgain(editor, 3);
    }
    assert.equal(await editor.page.locator('.tab', { hasText: '.ipynb' }).count(), 2);
    await eventually('the others are let go', () => run.session(join('moved', 'first.ipynb')).windows.length === 0);
  },
  'Not Now leaves a kernel under its old name, and the list says that its notebook is gone': async (run) => {
    const { workbench: editor } = run;
    renameSync(run.path(join('moved', 'first.ipynb')), run.path('final.ipynb'));
    await editor.press('first.ipynb is now final.ipynb', 'Not Now');
    await editor.showView('Kernel Keeper');
    await editor.row('notebook is gone').waitFor();
    assert.match(await editor.row('notebook is gone').innerText(), /first\.ipynb/);
  },
  'it can be attached later, by hand, and is not asked about again': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Explorer');
    await editor.openFile('final.ipynb');
    await editor.choose(() => editor.command('Kernel Keeper: Attach to Current Notebook'), 'first.ipynb');
    await editor.page.locator('.monaco-dialog-box', { hasText: 'Migrate from first.ipynb to final.ipynb?' }).waitFor();
    await run.shot('migrate-from-to');
    await editor.confirm('Migrate');
    await editor.kernelLabel(python).waitFor();
    await runsAgain(editor, 3);
    assert.equal(run.session('final.ipynb').pid, run.kernels[0]);
    await editor.neverSaid('is now final.ipynb');
  },
  'where the notebook has a kernel, what would be stopped is asked': async (run) => {
    const { workbench: editor } = run;
    await editor.choose(() => editor.command('Kernel Keeper: Attach to Current Notebook'), 'third.ipynb');
    await editor.confirm('Migrate');
    await editor.said('has a kernel of its own');
    await run.shot('replace');
    await editor.press('has a kernel of its own', 'Replace');
    await eventually('it is the third one', () => run.session('final.ipynb')?.pid === run.kernels[2]);
    assert.equal(run.sessions().filter(({ pid }) => pid === run.kernels[0]).length, 0);
    await editor.kernelLabel(python).waitFor();
    await runsAgain(editor, 4);
  },
});
