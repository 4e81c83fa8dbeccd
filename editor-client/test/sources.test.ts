import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcesOf } from '../src/sources';

test('the sources of a file are read as the editor has them, and of no notebook none', () => {
  const cells = [{ source: ['a\r\n', 'b'] }, { source: 'c' }, {}];
  assert.deepEqual(sourcesOf(JSON.stringify({ cells })), ['a\nb', 'c', '']);
  for (const text of ['', '{', '{}', '{"cells": 1}', 'null']) assert.equal(sourcesOf(text), undefined);
});
