// A cell that prints numbered lines until it is told to end, so that a story need not hurry, nor wait for it.
// Guarantees: `whole` holds only where each line is there once, in order, to the last. Leaves out: how long it runs.
import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrongLines } from './notebook.mjs';
import { eventually } from './wait.mjs';

const sign = (run, name) => join(run.folder, `told-${name}`); // outside of the workspace: nobody sees it

/** Its code. `name` tells several apart; one that rests waits after its 40th line until it is told "<name> goes on"; one that counts says how far it is to `counted`. */
export const untilTold = (run, name, { rests = false, counts = false } = {}) =>
  [
    'import os, time',
    'index = 0',
    `while not os.path.exists('${sign(run, name)}'):`,
    "    print('line', index)",
    '    index += 1',
    ...(counts ? [`    open('${sign(run, `${name} counts`)}', 'a').write('.')`] : []),
    '    time.sleep(0.05)',
    ...(rests ? [`    while index == 40 and not os.path.exists('${sign(run, `${name} goes on`)}'):`, '        time.sleep(0.05)'] : []),
    "print('told')",
  ].join('\n');

export const tell = (run, name) => writeFileSync(sign(run, name), '');

/** How many lines it has printed, seen by nobody but the file system. */
export function counted(run, name) {
  const path = sign(run, `${name} counts`);
  return existsSync(path) ? statSync(path).size : 0;
}

/** That nothing of what it printed is missing or doubled, in what was saved. */
export function whole({ stdout, stderr }) {
  const lines = stdout.replace(/told\n$/, '');
  assert.notEqual(lines, stdout, `it ran to its end, not to ${JSON.stringify(stdout.slice(-60))}`);
  assert.deepEqual(wrongLines(lines, lines.split('\n').length - 1), []);
  assert.equal(stderr, '');
}

/** That this notebook's kernel is the one it was, and still at it; what it is at is said by its keeper alone, which may be late to answer. */
export const goesOn = (run, name) =>
  eventually(`${name} goes on`, () => {
    const { pid, state, currentExecution } = run.session(name);
    assert.deepEqual({ pid, state }, { pid: run.kernel.pid, state: 'busy' });
    return currentExecution;
  });
