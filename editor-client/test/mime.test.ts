import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bundleItems, ERROR, itemsOf, sameItems, STDERR } from '../src/outputs/mime';

const text = (data: Uint8Array | undefined) => Buffer.from(data ?? []).toString('utf8');

test('the richest form stands first, and binary forms are decoded', () => {
  const items = bundleItems({ 'text/plain': 'x', 'image/png': 'aGk=', 'text/html': ['<b>', 'x</b>'], 'application/json': { a: 1 } });
  assert.deepEqual(
    items.map((item) => item.mime),
    ['text/html', 'image/png', 'application/json', 'text/plain'],
  );
  assert.deepEqual(
    items.map((item) => text(item.data)),
    ['<b>x</b>', 'hi', '{"a":1}', 'x'],
  );
});

test('what the ipynb writer does not encode again is not decoded', () => {
  for (const mime of ['application/pdf', 'audio/wav', 'video/mp4']) assert.equal(text(bundleItems({ [mime]: 'aGk=' })[0]?.data), 'aGk=');
});

test('streams and errors are what VS Code reads from a file', () => {
  assert.equal(itemsOf({ output_type: 'stream', name: 'stderr', text: 'oh' })[0]?.mime, STDERR);
  const [error] = itemsOf({ output_type: 'error', ename: 'E', evalue: 'v', traceback: ['a', 'b'] });
  assert.equal(error?.mime, ERROR);
  assert.deepEqual(JSON.parse(text(error.data)), { name: 'E', message: 'v', stack: 'a\nb' });
});

test('two outputs are the same whatever the order of items, keys and ends of lines', () => {
  const one = bundleItems({ 'text/plain': 'x', 'application/json': { a: 1, b: [2] } });
  const other = bundleItems({ 'application/json': { b: [2], a: 1 }, 'text/plain': 'x' });
  assert.ok(sameItems(one, [...other].reverse()));
  assert.ok(!sameItems(one, bundleItems({ 'text/plain': 'x', 'application/json': { a: 2 } })));
  assert.ok(!sameItems(one, one.slice(1)));
  const error = (traceback: string[]) => itemsOf({ output_type: 'error', ename: 'E', evalue: 'v', traceback });
  assert.ok(sameItems(error(['a', 'b']), error(['a\n', 'b\n'])));
  assert.ok(!sameItems(error(['a']), error(['b'])));
});
