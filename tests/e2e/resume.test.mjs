// The heart: the editor goes, by itself or killed; the kernel stays; what it said meanwhile is in the right cell.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNotebook, wrongLines } from './harness/notebook.mjs';
import { story } from './harness/story.mjs';
import { eventually } from './harness/workbench.mjs';

const count = 300; // 30 s
const cells = {
  setup: "value = 6 * 7\nprint('ready')",
  long: `import time\nfor index in range(${count}):\n    print('line', index)\n    time.sleep(0.1)`,
  after: "print('value is', value)",
  ask: "name = input('Who are you? ')\nprint('Hello', name)",
};
const offer = 'has been running since';

const begin = async (run) => {
  run.notebook('draft.ipynb', cells);
  const editor = await run.open();
  await editor.openFile('draft.ipynb');
  await editor.selectKernel('Python 3 (ipykernel)');
  await editor.runCell(0);
  await editor.ended(0);
  await editor.runCell(1);
  await editor.output('.output', 'line 20');
  run.kernel = run.sessions()[0];
};

const goesOn = async (run) => {
  await sleep(3_000);
  const [session] = run.sessions();
  assert.equal(session.pid, run.kernel.pid);
  assert.equal(session.id, run.kernel.id);
  assert.equal(session.state, 'busy');
};

const resume = async ({ workbench: editor }) => {
  await editor.toast(offer).waitFor();
  await editor.press(offer, 'Resume Session');
};

const runsOn = async (run) => {
  const { workbench: editor } = run;
  await editor.running(1).waitFor();
  await editor.ended(1, 'success', 60_000);
  const saved = await editor.save(run.path('draft.ipynb'));
  assert.equal(saved.setup.stdout, 'ready\n');
  assert.deepEqual(wrongLines(saved.long.stdout, count), []);
  assert.deepEqual([saved.setup.count, saved.long.count], [1, 2]);
};

const variables = async ({ workbench: editor }) => {
  await editor.runCell(2);
  await editor.output('.output', 'value is 42');
};

story('quit', 'the editor is closed in the middle of a cell', {
  'a long cell runs': begin,
  'closed, the kernel goes on': async (run) => {
    await run.quit();
    await goesOn(run);
  },
  'opened again, its session is offered and resumed': async (run) => {
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
  },
  'the cell runs on, live, to its end; no line is missing or doubled': runsOn,
  'variables are there': variables,
  'input() is asked for': async ({ workbench: editor }) => {
    await editor.runCell(3);
    await editor.asked('Who are you?').waitFor();
  },
  'closed and opened again, it is asked for again': async (run) => {
    await run.quit();
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
    await editor.answer('Grace', 'Who are you?');
    await editor.output('.output', 'Hello Grace');
  },
  'Start Fresh stops the old kernel and starts a new one': async (run) => {
    await run.quit();
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.toast(offer).waitFor();
    await editor.press(offer, 'Start Fresh');
    await eventually('another kernel', () => {
      const live = run.sessions().filter((session) => session.state !== 'ended');
      return live.length === 1 && live[0].pid && live[0].id !== run.kernel.id;
    });
    await editor.kernelLabel('Python 3 (ipykernel)').waitFor();
    await editor.runCell(2);
    await editor.output('.output', 'NameError');
  },
});

story('crash', 'the editor is killed in the middle of a cell', {
  'a long cell runs': begin,
  'killed, the kernel goes on': async (run) => {
    await run.crash();
    await goesOn(run);
  },
  'started again, its session is offered and resumed': async (run) => {
    const editor = await run.open({ again: true });
    if (!(await editor.tab('draft.ipynb').count())) await editor.openFile('draft.ipynb');
    await resume(run);
  },
  'the cell runs on, live, to its end; no line is missing or doubled': runsOn,
  'variables are there': variables,
});

story('finished', 'the cell ends while nobody looks', {
  'a long cell runs': begin,
  'killed, and the cell ends meanwhile': async (run) => {
    await run.crash();
    await eventually('the kernel is idle', () => run.sessions()[0].state === 'idle', 60_000);
  },
  'resumed, the cell has all of it, and a summary says so': async (run) => {
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await resume(run);
    await editor.toast('finished at').waitFor();
    await editor.output('.output', 'line 299');
    await variables(run);
  },
  'closed without saving, the command line saves it': async (run) => {
    await run.quit();
    run.cli('save', run.path('draft.ipynb'));
    const saved = readNotebook(run.path('draft.ipynb'));
    assert.deepEqual(wrongLines(saved.long.stdout, count), []);
    assert.equal(saved.after.stdout, 'value is 42\n');
  },
});
