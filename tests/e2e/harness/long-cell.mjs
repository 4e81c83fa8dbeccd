// What the stories of leaving and coming back share: a cell that prints until it is told to end, however long leaving and coming back take.
// Guarantees: "no line is missing or doubled" is read from the saved file, not from the screen. Leaves out: how the editor goes.
import assert from 'node:assert/strict';
import { counted, tell, untilTold, whole } from './told.mjs';
import { eventually } from './wait.mjs';

const cells = (run) => ({
  setup: "value = 6 * 7\nprint('ready')",
  long: untilTold(run, 'long', { counts: true }),
  after: "print('value is', value)",
  ask: "name = input('Who are you? ')\nprint('Hello', name)",
});
export const offer = 'has been running since';

export const begin = async (run) => {
  run.notebook('draft.ipynb', cells(run));
  const editor = await run.open();
  await editor.openFile('draft.ipynb');
  await editor.selectKernel('Python 3 (ipykernel)');
  await editor.runCell(0);
  await editor.ended(0);
  await editor.runCell(1);
  await editor.output('.output', 'line 20');
  run.kernel = run.sessions()[0];
};

/** The cell prints, though nobody looks. */
export const printsOn = async (run, lines = 50) => {
  const before = counted(run, 'long');
  await eventually(`${lines} lines more`, () => counted(run, 'long') >= before + lines);
};

export const goesOn = async (run) => {
  await printsOn(run);
  const [session] = run.sessions();
  assert.equal(session.pid, run.kernel.pid);
  assert.equal(session.id, run.kernel.id);
  assert.equal(session.state, 'busy');
};

export const resume = ({ workbench: editor }) => editor.press(offer, 'Resume Session');

export const runsOn = async (run) => {
  const { workbench: editor } = run;
  await editor.running(1).waitFor();
  // It is live: what it prints from now on is seen.
  await editor.output('.output', `line ${counted(run, 'long') + 20}`);
  tell(run, 'long');
  await editor.ended(1);
  const saved = await editor.save(run.path('draft.ipynb'));
  assert.equal(saved.setup.stdout, 'ready\n');
  whole(saved.long);
  assert.deepEqual([saved.setup.count, saved.long.count], [1, 2]);
};

export const variables = async ({ workbench: editor }) => {
  await editor.runCell(2);
  await editor.output('.output', 'value is 42');
};
