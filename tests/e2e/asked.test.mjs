// What is asked about a kernel: what runs in it, by whom it is shown, and again once the question has left the screen.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { counted, tell, untilTold } from './harness/told.mjs';
import { click, eventually } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = (run) => ({ setup: "print('ready')", long: untilTold(run, 'long', { counts: true }), after: 'index' });

story('asked', 'a question says what runs, and is asked again', {
  'a cell runs, and the notebook is saved': async (run) => {
    run.notebook('draft.ipynb', cells(run));
    run.notebook('other.ipynb', { one: 'value = 1' });
    run.cli('run', run.path('other.ipynb'), '--kernel', 'python3');
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.ended(0);
    await editor.runCell(1);
    await editor.output('.output', 'line 20');
    await editor.save(run.path('draft.ipynb'));
    run.kernel = run.session('draft.ipynb');
  },
  'the question says for how long, and how many lines are new; its cell does not look finished': async (run) => {
    await run.quit();
    const before = counted(run, 'long');
    await eventually('more lines', () => counted(run, 'long') > before + 30);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.said(/cell 2 has been running for \d+ (s|min), \d+ lines new\. Resume\?/);
    await editor.link(1, 'Running in its kernel').waitFor();
    assert.equal(await editor.cell(1).locator('.codicon-notebook-state-success').count(), 0);
  },
  'once it has left the screen, the status item asks it again': async (run) => {
    const { workbench: editor } = run;
    await editor.page.keyboard.press('Escape');
    await editor.toast('has been running since').waitFor({ state: 'detached' });
    await click(editor.status('Resume? · 2 kernels'));
    await editor.toast('cell 2 has been running for').waitFor();
    await run.shot('again');
  },
  'one about another notebook does not stand before it': async (run) => {
    const { workbench: editor } = run;
    await editor.openFile('other.ipynb');
    await editor.toast(/other\.ipynb's kernel/).waitFor();
    await editor.status('Resume? · 2 kernels').waitFor();
    await editor.press(/other\.ipynb's kernel/, 'Resume Session');
    await editor.kernelLabel(python).waitFor();
    await editor.show('draft.ipynb');
    await editor.status('Resume? · 2 kernels').waitFor();
  },
  'a second window is told that the notebook is live in the first': async (run) => {
    const { workbench: first } = run;
    await click(first.status('Resume? · 2 kernels'));
    await first.press("draft.ipynb's kernel", 'Resume Session');
    await first.running(1).waitFor();
    await first.link(1, 'Running in its kernel').waitFor({ state: 'detached' });
    const second = await run.window();
    await second.show('draft.ipynb').catch(() => second.openFile('draft.ipynb'));
    await second.said(/draft\.ipynb's kernel.*; cell 2 has been running for .*\. It is open and live in another window\. Resume\?/);
  },
  'a kernel that crashed is named in the status item': async (run) => {
    tell(run, 'long');
    const { workbench: second } = run;
    await eventually('it is idle', () => run.session('draft.ipynb').state === 'idle');
    process.kill(run.kernel.pid, 'SIGKILL');
    const [first] = run.context.pages();
    await Promise.any([first, second.page].map((page) => page.locator('.statusbar-item', { hasText: 'Kernel crashed' }).first().waitFor()));
  },
});
