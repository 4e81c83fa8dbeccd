// A person steers a kernel: interrupt, restart, another kernel.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { untilTold } from './harness/told.mjs';
import { eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const [setup, long, after] = [0, 1, 2];
const variables = async ({ workbench: editor }, said) => {
  await editor.runCell(after);
  await editor.output('.output', said);
};
const busy = async (run) => {
  const { workbench: editor } = run;
  await editor.runCell(long);
  await editor.running(long).waitFor();
  await eventually('the kernel is busy', () => run.session('draft.ipynb').state === 'busy');
};

story('steer', 'a kernel is interrupted, restarted, exchanged', {
  'a cell runs': async (run) => {
    run.notebook('draft.ipynb', { setup: 'value = 6 * 7\nvalue', long: untilTold(run, 'long'), after: "print('value is', value)" });
    run.environment.JUPYTER_DATA_DIR = join(run.folder, 'jupyter');
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(setup);
    await editor.ended(setup);
    await busy(run);
    run.kernel = run.session('draft.ipynb');
  },
  'Interrupt stops the cell, and nothing else': async (run) => {
    const { workbench: editor } = run;
    await editor.tool('Interrupt');
    await editor.ended(long, 'error');
    await editor.output('.output', 'KeyboardInterrupt');
    await variables(run, 'value is 42');
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
  },
  'Restart in the toolbar asks while a cell runs, and starts anew': async (run) => {
    const { workbench: editor } = run;
    await busy(run);
    await editor.tool('Restart Kernel');
    await editor.confirm('Restart');
    await eventually('another process', () => ![run.kernel.pid, null].includes(run.session('draft.ipynb')?.pid));
    assert.equal(run.session('draft.ipynb').id, run.kernel.id);
    await editor.ended(long, 'error');
    await editor.output('.output', 'the kernel was ended while this cell was running');
    await variables(run, 'NameError');
  },
  'another kernel is chosen: it is asked first, and the kernel can go on': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(setup);
    await editor.ended(setup);
    const { pid } = run.session('draft.ipynb');
    await editor.selectKernel('Deno');
    await editor.said('It goes on until it is stopped: choose Python 3 (ipykernel) again to get back to it.');
    assert.equal(run.session('draft.ipynb').pid, pid);
    await editor.press('has been running since', 'Go On with It');
    await editor.kernelLabel(python).waitFor();
    assert.equal(run.session('draft.ipynb').pid, pid);
    await variables(run, 'value is 42');
  },
  'chosen again and started fresh, the old one is stopped': async (run) => {
    const { workbench: editor } = run;
    await editor.selectKernel('Deno');
    await editor.press('has been running since', 'Stop It, Start Fresh');
    await eventually('a Deno kernel', () => run.session('draft.ipynb')?.kernel.displayName === 'Deno');
    await editor.kernelLabel('Deno').waitFor();
    assert.equal(run.sessions().filter(({ state }) => state !== 'ended').length, 1);
  },
  'its cells are Python still, which is said; changed, they run in it': async (run) => {
    const { workbench: editor } = run;
    await editor.said(/Deno runs typescript\. \d cells of draft\.ipynb are in another language, and do not run in it\./);
    await run.shot('language');
    await editor.press('in another language', 'Change Language');
    await editor.cell(setup).locator('.cell-status-item', { hasText: 'TypeScript' }).waitFor();
    assert.equal(await editor.cell(long).locator('.codicon-notebook-state-error').count(), 0, 'this kernel never ran it');
    await editor.runCell(setup);
    await editor.cell(setup).locator('.execution-count-label', { hasText: '[1]' }).waitFor();
  },
  'stopped and refreshed, Restart in the toolbar starts its own kernel again': async (run) => {
    const { workbench: editor } = run;
    await eventually('the notebook is on it', () => {
      const { state, windows } = run.session('draft.ipynb');
      return state === 'idle' && windows.length === 1;
    });
    const { id } = run.session('draft.ipynb');
    run.cli('stop', id);
    await editor.command('Kernel Keeper: Refresh');
    await editor.tool('Restart Kernel');
    await eventually('its kernel', () => run.session('draft.ipynb')?.pid);
    assert.equal(run.session('draft.ipynb').id, id);
  },
  'a kernel that was installed meanwhile can be chosen after Refresh': async (run) => {
    const { workbench: editor } = run;
    const folder = join(run.folder, 'jupyter', 'kernels', 'later');
    mkdirSync(folder, { recursive: true });
    const argv = [process.env.KERNEL_KEEPER_TEST_PYTHON, '-m', 'ipykernel_launcher', '-f', '{connection_file}'];
    writeFileSync(join(folder, 'kernel.json'), JSON.stringify({ argv, display_name: 'Installed Later', language: 'python' }));
    await editor.command('Kernel Keeper: Refresh');
    await editor.selectKernel('Installed Later');
  },
});
