// What the stories of leaving and coming back share: a cell that prints for half a minute, and what must hold of it.
// Guarantees: "no line is missing or doubled" is read from the saved file, not from the screen. Leaves out: how the editor goes.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { wrongLines } from './notebook.mjs';

export const count = 380; // 38 s
export const cells = {
  setup: "value = 6 * 7\nprint('ready')",
  long: `import time\nfor index in range(${count}):\n    print('line', index)\n    time.sleep(0.1)`,
  after: "print('value is', value)",
  ask: "name = input('Who are you? ')\nprint('Hello', name)",
};
export const offer = 'has been running since';

export const begin = async (run) => {
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

export const goesOn = async (run) => {
  await sleep(3_000);
  const [session] = run.sessions();
  assert.equal(session.pid, run.kernel.pid);
  assert.equal(session.id, run.kernel.id);
  assert.equal(session.state, 'busy');
};

export const resume = async ({ workbench: editor }) => {
  await editor.toast(offer).waitFor();
  await editor.press(offer, 'Resume Session');
};

export const runsOn = async (run) => {
  const { workbench: editor } = run;
  await editor.running(1).waitFor();
  await editor.ended(1, 'success', 60_000);
  const saved = await editor.save(run.path('draft.ipynb'));
  assert.equal(saved.setup.stdout, 'ready\n');
  assert.deepEqual(wrongLines(saved.long.stdout, count), []);
  assert.deepEqual([saved.setup.count, saved.long.count], [1, 2]);
};

export const variables = async ({ workbench: editor }) => {
  await editor.runCell(2);
  await editor.output('.output', 'value is 42');
};
