import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newLines } from '../src/outputs/lines';

test('lines are new where the text goes on, and all of them where it is another one', () => {
  const check = (before: string, now: string, expect: number) => {
    assert.equal(newLines(before, now), expect, JSON.stringify([before, now]));
  };
  check('', '', 0);
  check('', 'a\nb\nc\n', 3);
  check('a\n', 'a\nb\nc\n', 2);
  check('a\n', 'a\n', 0);
  check('a\n', 'a\nb', 1);
  check('a\n', 'a\n\n', 1);
  check('old\n', 'a\nb\n', 2);
});
