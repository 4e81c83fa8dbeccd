// Two windows show the same notebook; and a window that is not trusted.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { story } from './harness/story.mjs';
import { click, clickNow, eventually, moment } from './harness/workbench.mjs';

const cells = {
  first: "word = 'from the first window'\nprint(word)",
  second: "print('seen:', word)",
  third: "print('both see', len(word))",
};
const python = 'Python 3 (ipykernel)';

story('windows', 'two windows show the same notebook', {
  'a cell runs in the first': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.ended(0);
    await editor.save(run.path('draft.ipynb'));
    run.kernel = run.session('draft.ipynb');
  },
  "the second is offered the first's kernel, and sees its variables": async (run) => {
    run.first = run.workbench;
    const editor = await run.window();
    if (!(await editor.tab('draft.ipynb').count())) await editor.openFile('draft.ipynb');
    await editor.press('has been running since', 'Resume Session');
    await editor.kernelLabel(python).waitFor();
    await eventually('both windows have it', () => run.session('draft.ipynb').windows.length === 2);
    await editor.runCell(1);
    await editor.output('.output', 'seen: from the first window');
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
  },
  'outputs show in both': async (run) => {
    await run.first.output('.output', 'seen: from the first window');
    await run.first.runCell(2);
    await run.first.output('.output', 'both see 21');
    await run.workbench.output('.output', 'both see 21');
  },
  'opened at the same moment in two others, one is asked, and the other follows the answer': async (run) => {
    const others = await Promise.all([run.window(), run.window()]);
    // A window opens what was open when the last one was closed.
    await Promise.all(
      others.map(async (editor) => {
        if (!(await editor.tab('draft.ipynb').count())) await editor.openFile('draft.ipynb');
      }),
    );
    const asking = await eventually('one is asked', async () => {
      for (const editor of others) if (await editor.says('has been running since')) return editor;
      return null;
    });
    const [follower] = others.filter((editor) => editor !== asking);
    // On a busy machine the other one's extension starts later than the first one is asked.
    await follower.status('1 kernel').waitFor();
    await follower.neverSaid('has been running since');
    await asking.page.bringToFront();
    await asking.press('has been running since', 'Resume Session');
    for (const editor of others) await editor.kernelLabel(python).waitFor();
    await eventually('all windows have it', () => run.session('draft.ipynb').windows.length === 4);
    await follower.runCell(2);
    for (const editor of others) await editor.ran(2, 4);
    await follower.neverSaid('has been running since');
    for (const editor of others) await editor.page.close();
    run.page = run.first.page;
    await eventually('two windows have it', () => run.session('draft.ipynb').windows.length === 2);
  },
  'one closed, the other goes on': async (run) => {
    await run.page.close();
    await eventually('one window has it', () => run.session('draft.ipynb').windows.length === 1);
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
  },
});

story('restricted', 'a workspace is not trusted', {
  'its kernels are listed': async (run) => {
    run.notebook('draft.ipynb', cells);
    run.cli('run', run.path('draft.ipynb'), '--kernel', 'python3');
    const settings = { ...run.settings(), 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' };
    writeFileSync(run.settingsFile, JSON.stringify(settings));
    const editor = await run.open({ trusted: false });
    await editor.page.locator('.statusbar-item', { hasText: 'Restricted Mode' }).waitFor();
    await editor.showView('Kernel Keeper');
    await editor.row('draft.ipynb').waitFor();
  },
  'nothing runs: no kernel is offered, and a run has none': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Explorer');
    await editor.openFile('draft.ipynb');
    const before = run.cli('history', run.path('draft.ipynb'), '--json');
    await editor.focusCell(0);
    await editor.page.keyboard.press('Shift+Enter');
    await editor.page.keyboard.press('Escape');
    assert.equal(await editor.toast('has been running since').count(), 0);
    assert.equal(run.cli('history', run.path('draft.ipynb'), '--json'), before);
  },
  'nor can a kernel be restarted': async (run) => {
    const { workbench: editor } = run;
    await editor.showView('Kernel Keeper');
    const item = (label) => editor.page.locator('.monaco-menu .action-item', { hasText: label });
    await eventually('its menu', async () => {
      await clickNow(editor.row('draft.ipynb'), { button: 'right' });
      return item('Stop Kernel')
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    assert.equal(await item('Restart Kernel').count(), 0);
    await editor.page.keyboard.press('Escape');
  },
  'trusted as VS Code asks for a run, that runs, and the picker has our kernels': async (run) => {
    const { workbench: editor } = run;
    run.notebook('other.ipynb', { only: "print('other is', 6 * 7)" });
    await editor.showView('Explorer');
    await editor.openFile('other.ipynb');
    // The file names it.
    await editor.kernelLabel(python).waitFor();
    await editor.runCell(0);
    const dialog = editor.page.locator('.monaco-dialog-box', { hasText: 'trust' });
    await dialog.waitFor();
    await run.shot('trust-to-run');
    await click(dialog.getByRole('button', { name: /^Trust/ }).first());
    await editor.output('.output', 'other is 42');
    await editor.ended(0);
    await editor.selectKernel(python);
  },
  'the kernel that ran before is offered, and resumed': async (run) => {
    const { workbench: editor } = run;
    await editor.show('draft.ipynb');
    await editor.press('has been running since', 'Resume Session');
    await editor.kernelLabel(python).waitFor();
    await editor.runCell(1);
    await editor.output('.output', 'seen: from the first window');
  },
});
