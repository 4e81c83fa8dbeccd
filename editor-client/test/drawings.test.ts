import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Drawings } from '../renderers/drawings';

test('what is drawn is let go once: as it is drawn anew, as its output goes, as all go', () => {
  const drawings = new Drawings();
  const ended: string[] = [];
  const begin = (id: string, name: string) => {
    drawings.begin(id, () => ended.push(name));
  };
  begin('a', 'a1');
  begin('b', 'b1');
  begin('a', 'a2');
  assert.deepEqual(ended, ['a1']);
  drawings.end('a');
  drawings.end('a');
  drawings.end('unknown');
  assert.deepEqual(ended, ['a1', 'a2']);
  begin('c', 'c1');
  drawings.end();
  drawings.end();
  assert.deepEqual(ended, ['a1', 'a2', 'b1', 'c1']);
});
