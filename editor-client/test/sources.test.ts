import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcesOf, writtenIn } from '../src/sources';

test('the sources of a file are read as the editor has them, and of no notebook none', () => {
  const cells = [{ source: ['a\r\n', 'b'] }, { source: 'c' }, {}];
  assert.deepEqual(sourcesOf(JSON.stringify({ cells })), ['a\nb', 'c', '']);
  for (const text of ['', '{', '{}', '{"cells": 1}', 'null']) assert.equal(sourcesOf(text), undefined);
});

test('what is written in a notebook is all but what its runs gave', () => {
  const cell = {
    kind: 2,
    languageId: 'python',
    text: 'a\nb',
    metadata: { id: 'x', execution_count: 1 as number | null, metadata: {} as object },
  };
  const written = (changed: Partial<typeof cell>, metadata: Record<string, unknown> = { nbformat: 4 }) => {
    const { kind, languageId, text, metadata: ofCell } = { ...cell, ...changed };
    return writtenIn({ metadata, getCells: () => [{ kind, document: { languageId, getText: () => text }, metadata: ofCell }] });
  };
  assert.deepEqual(written({ metadata: { ...cell.metadata, execution_count: null } }), written({}));
  assert.deepEqual(written({ text: 'a\r\nb' }), written({}));
  for (const changed of [
    { kind: 1 },
    { languageId: 'sql' },
    { text: 'a' },
    { metadata: { ...cell.metadata, metadata: { tags: ['raises-exception'] } } },
  ]) {
    assert.notDeepEqual(written(changed), written({}), JSON.stringify(changed));
  }
  assert.notDeepEqual(written({}, { nbformat: 4, metadata: { title: 'A' } }), written({}));
});
