import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayRaise, withoutSkipped } from '../src/kernels/tags';

const cell = (tags: unknown) => ({ metadata: { id: 'a', metadata: { tags } } });

test('a cell may fail where its tags say so', () => {
  assert.ok(mayRaise(cell(['x', 'raises-exception'])));
  for (const none of [undefined, null, 'raises-exception', {}, 3, ['raises'], [['raises-exception']]]) assert.ok(!mayRaise(cell(none)));
  for (const metadata of [{}, { metadata: null }, { metadata: 3 }, { tags: ['raises-exception'] }]) assert.ok(!mayRaise({ metadata }));
});

test('a cell is skipped among others, and run by itself where it was picked', () => {
  const [picked, other] = [() => true, () => false];
  const [plain, skipped] = [cell([]), cell(['skip-execution'])];
  assert.deepEqual(withoutSkipped([plain, skipped, plain], picked), [plain, plain]);
  assert.deepEqual(withoutSkipped([skipped, skipped], picked), []);
  assert.deepEqual(withoutSkipped([skipped], picked), [skipped]);
  assert.deepEqual(withoutSkipped([skipped], other), []);
  assert.deepEqual(withoutSkipped([plain], other), [plain]);
});
