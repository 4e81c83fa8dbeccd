// What may break breaks: the sidecar, the keeper, the kernel itself.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { goesOn, tell, untilTold, whole } from './harness/told.mjs';
import { eventually } from './harness/workbench.mjs';

/** The sidecar of this run, and no other: it has this run's folder in its environment. */
const sidecar = (run) =>
  readdirSync('/proc').find((pid) => {
    try {
      const isOurs = readFileSync(join('/proc', pid, 'environ'), 'utf8').includes(run.folder);
      return isOurs && /kernel-keeper\0lsp\0/.test(readFileSync(join('/proc', pid, 'cmdline'), 'utf8'));
    } catch {
      return false; // it is gone, or not ours to look at
    }
  });
const cells = (run) => ({
  setup: 'value = 6 * 7\nvalue',
  sidecar: untilTold(run, 'sidecar'),
  keeper: untilTold(run, 'keeper'),
  after: "print('value is', value)",
  crash: 'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)',
});
const index = Object.fromEntries(Object.keys(cells({ folder: '' })).map((id, position) => [id, position]));

story('breaks', 'sidecar, keeper and kernel are killed', {
  'a cell runs': async (run) => {
    run.notebook('draft.ipynb', cells(run));
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
    await editor.runCell(index.setup);
    await editor.ended(index.setup);
    await editor.runCell(index.sidecar);
    await editor.output('.output', 'line 20');
    run.kernel = run.session('draft.ipynb');
  },
  'the sidecar is killed three times: each line is there once, in order': async (run) => {
    const { workbench: editor } = run;
    for (let times = 1; times <= 3; times += 1) {
      const pid = await eventually('a sidecar', () => sidecar(run));
      process.kill(Number(pid), 'SIGKILL');
      await eventually('another sidecar', () => sidecar(run) && sidecar(run) !== pid);
      await eventually('the window is back', () => run.session('draft.ipynb').windows.length === 1);
    }
    await goesOn(run, 'draft.ipynb');
    tell(run, 'sidecar');
    await editor.ended(index.sidecar);
    whole((await editor.save(run.path('draft.ipynb'))).sidecar);
    await editor.neverSaid('has been running since');
  },
  'the keeper is killed: the kernel goes on, and the cell shows the gap': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(index.keeper);
    await editor.outputs('line 20', 2);
    const { keeperPid } = run.session('draft.ipynb');
    process.kill(keeperPid, 'SIGKILL');
    await editor.output('.output', 'some output may be missing here');
    const after = await eventually('another keeper', () => run.session('draft.ipynb'));
    assert.notEqual(after.keeperPid, keeperPid);
    await goesOn(run, 'draft.ipynb');
    tell(run, 'keeper');
    await editor.ended(index.keeper);
    const { stdout, stderr } = (await editor.save(run.path('draft.ipynb'))).keeper;
    assert.match(stderr, /^\[some output may be missing here: between .* and .*\]\n$/);
    const numbers = [...stdout.matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number));
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((one, other) => one - other),
    );
    assert.match(stdout, /told\n$/);
  },
  'variables are there': async ({ workbench: editor }) => {
    await editor.runCell(index.after);
    await editor.output('.output', 'value is 42');
  },
  'a kernel that dies says so in its cell, and a fresh start is offered': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(index.crash);
    await editor.said("draft.ipynb's kernel");
    await editor.output('.output', 'the kernel ended while this cell was running');
  },
  'started fresh, it runs, without its variables': async (run) => {
    const { workbench: editor } = run;
    await editor.press("draft.ipynb's kernel", 'Start Fresh');
    await eventually('another kernel', () => run.session('draft.ipynb')?.pid);
    await editor.runCell(index.after);
    await editor.output('.output', 'NameError');
  },
});
