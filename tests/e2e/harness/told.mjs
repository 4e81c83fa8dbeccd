// A cell that prints numbered lines until it is told to end, so that a story need not hurry, nor wait for it.
// Guarantees: `whole` holds only where each line is there once, in order, to the last. Leaves out: how long it runs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrongLines } from './notebook.mjs';

const sign = (run, name) => join(run.folder, `told-${name}`); // outside of the workspace: nobody sees it

/** Its code. `name` tells several apart; one that rests waits after its 40th line until it is told "<name> goes on". */
export const untilTold = (run, name, { rests = false } = {}) =>
  [
    'import os, time',
    'index = 0',
    `while not os.path.exists('${sign(run, name)}'):`,
    "    print('line', index)",
    '    index += 1',
    '    time.sleep(0.05)',
    ...(rests ? [`    while index == 40 and not os.path.exists('${sign(run, `${name} goes on`)}'):`, '        time.sleep(0.05)'] : []),
    "print('told')",
  ].join('\n');

export const tell = (run, name) => writeFileSync(sign(run, name), '');

/** That nothing of what it printed is missing or doubled, in what was saved. */
export function whole({ stdout, stderr }) {
  const lines = stdout.replace(/told\n$/, '');
  assert.notEqual(lines, stdout, `it ran to its end, not to ${JSON.stringify(stdout.slice(-60))}`);
  assert.deepEqual(wrongLines(lines, lines.split('\n').length - 1), []);
  assert.equal(stderr, '');
}

/** That this notebook's kernel is the one it was, and still at it. */
export function goesOn(run, name) {
  const { pid, state, currentExecution } = run.session(name);
  assert.deepEqual({ pid, state }, { pid: run.kernel.pid, state: 'busy' });
  assert.ok(currentExecution);
}
