// Beside another extension that offers a kernel, as the Jupyter extension does.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';

story('beside', 'a second extension offers a kernel too', {
  'each kernel can be chosen, and runs': async (run) => {
    await run.installOwn('other-kernel');
    run.notebook('draft.ipynb', { first: "value = 6 * 7\nprint('value is', value)", second: "print('second', value)" });
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(/^Other Kernel/); // not "Select Another Kernel…"
    await editor.runCell(1);
    await editor.output('.output', 'the other kernel ran');
    assert.equal(run.sessions().filter((session) => session.state !== 'ended').length, 0);
  },
  'ours is chosen instead': async ({ workbench: editor }) => {
    await editor.selectKernel('Python 3 (ipykernel)');
    await editor.runCell(0);
    await editor.output('.output', 'value is 42');
  },
  'closed and opened again, ours is resumed': async (run) => {
    await run.quit();
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.press('has been running since', 'Resume Session');
    await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
    await editor.runCell(1);
    await editor.output('.output', 'second 42');
  },
});
