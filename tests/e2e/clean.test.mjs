// A notebook that is saved and resumed is as it was saved: no dot at its tab, nothing for git.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { offer, resume } from './harness/long-cell.mjs';
import { readNotebook } from './harness/notebook.mjs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const rich = [
  'from IPython.display import display',
  `data = {'image/png': '${png}', 'text/html': '<b>bold</b>', 'application/json': {'one': [1, 2.5, 1e-07]}, 'text/latex': '$x$'}`,
  "data |= {'audio/wav': 'aGk=', 'application/pdf': 'aGk=', 'text/plain': 'plain'}",
  'display(data, raw=True)',
  "handle = display('before', display_id=True)",
  "handle.update('updated')",
].join('\n');
const cells = {
  silent: 'value = 6 * 7',
  printed: "import sys\nprint('out')\nprint('\\x1b[31mred\\x1b[0m', file=sys.stderr)\nprint('50 %\\r100 %')",
  result: 'value',
  rich,
  failed: '1 / 0',
  not_run: 'value + 1',
  last: 'pass',
};

const git = (run, ...words) => {
  const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];
  const { status, stdout, stderr } = spawnSync('git', ['-C', run.workspace, ...who, ...words], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
};

/** Not dirty, nor about to be: VS Code has drawn what came before. */
const isClean = async (run) => {
  const { workbench: editor } = run;
  await editor.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(await editor.page.locator('.tab.dirty').count(), 0, 'no dot');
  assert.equal(git(run, 'status', '--porcelain'), '');
};

story('clean', 'a saved notebook is resumed', {
  'its cells run, it is saved and committed': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
    for (const index of [0, 1, 2, 3]) {
      await editor.runCell(index);
      await editor.ended(index);
    }
    await editor.runCell(4);
    await editor.ended(4, 'error');
    await editor.save(run.path('draft.ipynb'));
    git(run, 'init', '--quiet');
    git(run, 'add', '.');
    git(run, 'commit', '--quiet', '--message', 'saved');
  },
  'resumed, it has no dot, and git has nothing to say': async (run) => {
    await run.quit();
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
    await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
    await editor.neverSaid('finished at');
    await eventually('the window has it', () => run.session('draft.ipynb').windows.length === 1);
    await isClean(run);
  },
  'saved again, the file is what it was': async (run) => {
    await run.workbench.save(run.path('draft.ipynb'));
    await isClean(run);
    const { silent, rich: displayed } = readNotebook(run.path('draft.ipynb'));
    assert.deepEqual([silent.count, displayed.data('audio/wav')], [1, ['aGk=']]);
  },
  'of a cell that ran meanwhile, that one alone is written': async (run) => {
    await run.quit();
    run.cli('exec', run.path('draft.ipynb'), 'value = 1');
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.press(offer, 'Resume Session');
    await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
    await isClean(run);
    await editor.runCell(5);
    await editor.output('.output', '2');
    const { not_run, failed } = await editor.save(run.path('draft.ipynb'));
    assert.deepEqual([not_run.data('text/plain'), failed.count], [['2'], 5]);
    const changed = git(run, 'diff', '--unified=0')
      .match(/^\+.*$/gm)
      .slice(1);
    assert.ok(changed.length < 15, changed.join('\n'));
  },
});
