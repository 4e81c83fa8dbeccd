import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Session, SessionVariablesResult, Variable } from '../src/protocol/types';
import { shapeText, variableRow, variablesPage } from '../src/views/variables-page';
import { filtered, nextSort, sorted, sortFrom } from '../webviews/rows';
import { scrollFor, sliceOf } from '../webviews/windowing';

const translate = (message: string, ...values: (string | number)[]) =>
  message.replace(/\{(\d)\}/g, (_all, index: string) => String(values[Number(index)]));

const variable = (name: string, some: Partial<Variable> = {}): Variable => ({
  name,
  type: 'int',
  shape: null,
  size: null,
  preview: '',
  ...some,
});

test('shapes as Python writes them, lengths as people do', () => {
  const cases: [string, Variable['shape'], string][] = [
    ['DataFrame', [1000, 3], '(1000, 3)'],
    ['DataFrame', [null, 3], '(?, 3)'],
    ['ndarray', [1000], '(1000,)'],
    ['ndarray', [], '()'],
    ['RangeIndex', [4], '(4,)'],
    ['list', [5], '5'],
    ['MyList', [5], '5'],
    ['int', null, ''],
  ];
  for (const [type, shape, expected] of cases) assert.equal(shapeText(type, shape), expected);
});

test('variables are sorted by name as people do, by size and shape as numbers, and what has none comes last', () => {
  const rows = [
    variable('x10', { size: 900, shape: [2, 2] }),
    variable('x2', { size: 1024 ** 2, shape: [3] }),
    variable('none'),
    variable('Xa', { size: 10, shape: [100, 0] }),
  ].map(variableRow);
  const names = (column: Parameters<typeof nextSort>[1], isDescending = false) =>
    sorted(rows, { column, isDescending }).map((row) => row.name);
  assert.deepEqual(names('name'), ['none', 'x2', 'x10', 'Xa']);
  assert.deepEqual(names('name', true), ['Xa', 'x10', 'x2', 'none']);
  assert.deepEqual(names('size'), ['Xa', 'x10', 'x2', 'none']);
  assert.deepEqual(names('size', true), ['x2', 'x10', 'Xa', 'none']);
  assert.deepEqual(names('shape'), ['Xa', 'x2', 'x10', 'none']);
  assert.equal(sorted(rows, undefined), rows);
});

test('a header sorts up, down, and as they were made', () => {
  const up = nextSort(undefined, 'size');
  const down = nextSort(up, 'size');
  assert.deepEqual([up?.isDescending, down?.isDescending, nextSort(down, 'size')], [false, true, undefined]);
  assert.deepEqual(nextSort(down, 'name'), { column: 'name', isDescending: false });
  assert.deepEqual(sortFrom({ column: 'size', isDescending: true }), down);
  for (const stored of [undefined, null, 'size', {}, { column: 'other', isDescending: true }]) assert.equal(sortFrom(stored), undefined);
});

test('the filter looks at names and types', () => {
  const rows = [variable('frame', { type: 'DataFrame', preview: 'x' }), variable('text', { type: 'str', preview: 'frame' })].map(
    variableRow,
  );
  const found = (words: string) => filtered(rows, words).map((row) => row.name);
  assert.deepEqual([found(' FRAME '), found('t'), found('str'), found('')], [['frame'], ['frame', 'text'], ['text'], ['frame', 'text']]);
  assert.deepEqual(found('nothing'), []);
});

test('of ten thousand rows those in view are drawn, and a few more', () => {
  assert.deepEqual(sliceOf(10_000, 0, 220, 22), { first: 0, end: 22, above: 0, below: 9_978 * 22 });
  const middle = sliceOf(10_000, 110_000, 220, 22);
  assert.deepEqual([middle.first, middle.end], [4_988, 5_022]);
  for (const top of [0, 7, 5_000, 219_780, 999_999]) {
    const { first, end, above, below } = sliceOf(10_000, top, 220, 22);
    assert.equal(above + (end - first) * 22 + below, 220_000);
    assert.ok(end - first <= 36, String(end - first));
  }
  // Scrolled further than there are rows by now, as after a filter.
  assert.deepEqual(sliceOf(3, 5_000, 220, 22), { first: 0, end: 3, above: 0, below: 0 });
  assert.deepEqual(sliceOf(0, 0, 220, 22), { first: 0, end: 0, above: 0, below: 0 });
});

test('a row is scrolled to no further than needed', () => {
  assert.equal(scrollFor(3, 0, 220, 22), 0);
  assert.equal(scrollFor(10, 0, 220, 22), 22);
  assert.equal(scrollFor(3, 220, 220, 22), 66);
});

test('what is known is greyed with its time while the kernel is busy or has ended', () => {
  const now = new Date(2026, 0, 26, 18, 0);
  const asOf = new Date(2026, 0, 26, 17, 35).toISOString();
  const session = (state: Session['state'], responding = true) =>
    ({ state, responding, currentExecution: null, kernel: { displayName: 'Deno' } }) as Session;
  const known = (some: Partial<SessionVariablesResult> = {}): SessionVariablesResult => ({
    variables: [variable('x')],
    supported: true,
    stale: false,
    asOf,
    ...some,
  });
  const page = (one: Session, what?: SessionVariablesResult) => variablesPage(one, what, now, translate);
  assert.deepEqual(page(session('idle'), known()), { nothing: '', asOf: '' });
  assert.deepEqual(page(session('busy'), known()), { nothing: '', asOf: 'as of 17:35 · busy' });
  assert.equal(page(session('idle'), known({ stale: true })).asOf, 'as of 17:35');
  assert.equal(page(session('idle', false), known()).asOf, 'as of 17:35 · not responding');
  assert.equal(page(session('ended'), known({ stale: true })).asOf, 'as of 17:35 · ended');
  assert.equal(page(session('idle'), known({ variables: [] })).nothing, 'No variables yet.');
  assert.match(page(session('busy'), known({ variables: [], stale: true, asOf: null })).nothing, /it is busy/);
  assert.match(page(session('ended'), known({ variables: [], stale: true, asOf: null })).nothing, /not known/);
  assert.match(page(session('restarting'), known()).nothing, /starting/);
  assert.match(page(session('idle'), known({ variables: [], supported: false, asOf: null })).nothing, /not supported for Deno/);
  assert.match(page(session('idle')).nothing, /Looking/);
});
