// The totals of `npm test` are what the runners printed, and nothing that went wrong can look like success.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Failure } from '../../scripts/lib/run.mjs';
import { Steps, totals } from '../../scripts/lib/steps.mjs';
import { once } from '../../scripts/lib/stamp.mjs';

const logs = [
  ['', 0, 0],
  ['test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s', 12, 0],
  ['test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out', 3, 3],
  ['test result: ok. 1 passed; 0 failed; 0 ignored\ntest result: ok. 2 passed; 0 failed; 0 ignored', 3, 0],
  ['ℹ tests 5\nℹ suites 1\nℹ pass 4\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0', 4, 1],
  ['# pass 1\n# fail 0\n# cancelled 1\n# skipped 1\n# todo 0', 1, 2],
  ['a test printed: pass 4', 0, 0],
];
for (const [text, passed, failed] of logs) {
  test(`totals of ${JSON.stringify(text.slice(0, 40))}`, () => assert.deepEqual(totals(text), { passed, failed }));
}

const runs = [
  ['a step that works', {}, true, '0 passed, 0 failed'],
  ['a step that fails', { first: () => fail('broken') }, false, '0 passed, 1 failed'],
  ['what needs a failed step', { first: () => fail('broken'), needs: ['first'] }, false, '0 passed, 2 failed'],
  ['what only waits for a failed step', { first: () => fail('broken'), needs: ['first:done'] }, false, '0 passed, 1 failed'],
  ['a runner without a test', { tests: true }, false, '0 passed, 1 failed'],
];
for (const [title, { first = () => {}, needs = [], tests = false }, good, lastLine] of runs) {
  test(`a run with ${title}`, async (t) => {
    const printed = [];
    t.mock.method(console, 'log', (line) => printed.push(line));
    const steps = new Steps();
    steps.add('first', [], first);
    steps.add('second', needs, () => {}, { tests });
    const ended = await steps.end();
    t.mock.restoreAll();
    assert.equal(printed.join('\n').split('\n').at(-1), lastLine);
    assert.equal(ended, good);
  });
}

function fail(message) {
  throw new Failure(message);
}

test('a stamped step is done again when its inputs change, its result is gone, or it failed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kk-stamp-'));
  const result = join(folder, 'result');
  let times = 0;
  const work = () => writeFileSync(result, String((times += 1)));
  const step = (print) => once('step', print, [result], work, folder);
  assert.deepEqual([await step('a'), await step('a'), await step('b')], [true, false, true]);
  rmSync(result);
  assert.equal(await step('b'), true);
  await assert.rejects(once('step', 'c', [result], () => fail('broken'), folder));
  assert.equal(await step('c'), true);
  assert.equal(readFileSync(result, 'utf8'), '4');
  rmSync(folder, { recursive: true });
});
