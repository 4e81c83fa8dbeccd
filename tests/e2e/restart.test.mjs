// A kernel is restarted and cells run in it anew, all of them or those up to one.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { click, eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = {
  one: "times = globals().get('times', 0) + 1\nprint('one', times)",
  two: "times += 1\nprint('two', times)",
  three: "times += 1\nprint('three', times)",
};
const history = (run) => JSON.parse(run.cli('history', run.path('draft.ipynb'), '--json'));
const question = ({ workbench: editor }) =>
  editor.page.locator('.monaco-dialog-box', { hasText: 'Restart the kernel of draft.ipynb? Its variables are lost.' });

/** The button itself, or the entry behind its dots where the toolbar has no room for it. */
async function press({ workbench: editor }, label) {
  const button = editor.notebook.locator('.notebook-toolbar-container .action-item', { hasText: label }).first();
  await button.waitFor();
  await click(button);
}

story('restart', 'a kernel is restarted, and cells run anew', {
  'cells have run': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.ended(0);
    await editor.runCell(0);
    await editor.output('.output', 'one 2');
    await editor.ran(0, 2);
    run.kernel = run.session('draft.ipynb');
  },
  'Restart and Run All asks as Restart does; not answered, nothing happens': async (run) => {
    const { workbench: editor } = run;
    await press(run, 'Restart and Run All');
    await question(run).waitFor();
    await run.shot('question');
    await editor.confirm('Cancel');
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
    assert.equal(history(run).length, 2);
  },
  'answered, all cells run in order in a kernel without variables': async (run) => {
    const { workbench: editor } = run;
    await press(run, 'Restart and Run All');
    await question(run).waitFor();
    await editor.confirm('Restart');
    for (const [index, text] of ['one 1', 'two 2', 'three 3'].entries()) {
      await editor.output('.output', text);
      await editor.ran(index, index + 1);
    }
    const { id, pid } = run.session('draft.ipynb');
    assert.equal(id, run.kernel.id, 'the session is the same');
    assert.notEqual(pid, run.kernel.pid);
    assert.deepEqual(
      history(run)
        .slice(0, 3)
        .map(({ cellIndex }) => cellIndex),
      [2, 1, 0],
    );
  },
  'Restart and Run to Selected Cell leaves those below it': async (run) => {
    const { workbench: editor } = run;
    const { pid } = run.session('draft.ipynb');
    await editor.focusCell(2);
    await editor.type(2, "\nprint('not yet')");
    await editor.focusCell(1);
    await press(run, 'Restart and Run to Selected Cell');
    await editor.confirm('Restart');
    await eventually('two more ran', () => history(run).length === 7 && history(run)[0].completedAt);
    await editor.ran(1, 2);
    assert.notEqual(run.session('draft.ipynb').pid, pid);
    const saved = await editor.save(run.path('draft.ipynb'));
    assert.deepEqual([saved.one.stdout, saved.two.stdout, saved.three.stdout], ['one 1\n', 'two 2\n', 'three 3\n']);
  },
  'and from the palette': async (run) => {
    const { workbench: editor } = run;
    await editor.command('Kernel Keeper: Restart and Run All');
    await question(run).waitFor();
    await editor.confirm('Restart');
    await editor.output('.output', 'not yet');
    await editor.ran(2, 3);
  },
});
