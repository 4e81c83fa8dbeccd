import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff } from '../src/backoff';
import { duration, moment, size } from '../src/describe';
import { matchCell, positionId, sameIds } from '../src/kernels/matching';
import { type Happened, summarise } from '../src/kernels/summary';

const translate = (message: string, ...values: (string | number)[]) =>
  message.replace(/\{(\d)\}/g, (_all, index: string) => String(values[Number(index)]));

test('sizes', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1023, '1.0 KB'],
    [850 * 1024 ** 2, '850 MB'],
    [1.1 * 1024 ** 3, '1.1 GB'],
    [64 * 1024 ** 3, '64 GB'],
  ];
  for (const [bytes, expected] of cases) assert.equal(size(bytes), expected);
});

test('moments name no more than is needed', () => {
  const now = new Date(2026, 0, 26, 18, 0);
  assert.equal(moment(new Date(2026, 0, 26, 17, 5), now), '17:05');
  assert.equal(moment(new Date(2026, 0, 25, 17, 5), now), 'Jan 25, 17:05');
  assert.equal(moment(new Date(2025, 0, 26, 17, 5), now), 'Jan 26, 2025, 17:05');
});

test('the summary tells what came last, in its order', () => {
  const now = new Date(2026, 0, 26, 18, 0);
  const at = (minute: number) => new Date(2026, 0, 26, 17, minute).toISOString();
  const ran = (index: number, minute: number, status: Happened['status'] = 'ok', ename?: string): Happened => ({
    index,
    status,
    startedAt: at(0),
    completedAt: status === 'running' ? null : at(minute),
    ename,
  });
  assert.equal(summarise([], now, translate), undefined);
  assert.equal(
    summarise([ran(3, 40, 'error', 'NameError'), ran(2, 35)], now, translate),
    'Cell 3 finished at 17:35, Cell 4 failed: NameError',
  );
  const many = [1, 2, 3, 4, 5, 6].map((minute) => ran(minute, minute));
  assert.match(summarise(many, now, translate) ?? '', /^2 more cells ran, Cell 4 .*, Cell 7 finished at 17:06$/);
});

test('cells are found by id, else by place and source', () => {
  const cells = ['a', 'b'].map((id, index) => ({ id, index, source: `${index}` }));
  assert.equal(matchCell(cells, 'b', 0, '0')?.index, 1);
  assert.equal(matchCell(cells, 'c', 0, '0'), undefined);
  const without = cells.map((cell) => ({ ...cell, id: undefined }));
  assert.equal(matchCell(without, positionId(1), 1, '1')?.index, 1);
  assert.equal(matchCell(without, positionId(1), 1, 'other'), undefined);
  assert.equal(matchCell(cells, positionId(1), 1, '1'), undefined);
  assert.equal(matchCell(without, positionId(0), 0, '1')?.index, 1, 'a cell was deleted above it');
  const doubled = ['a', 'a', 'a', 'b'].map((id, index) => ({ id, index, source: index === 0 ? 'first' : 'same' }));
  assert.equal(matchCell(doubled, 'a', 0, 'first')?.index, 0);
  assert.equal(matchCell(doubled, positionId(2), 2, 'same')?.index, 2);
  assert.equal(matchCell(doubled, positionId(3), 3, 'same'), undefined, 'two have the code, and neither is there');
  assert.equal(matchCell(doubled, positionId(3), 3, 'first')?.index, 0);
  assert.ok(sameIds(cells, [...cells].reverse()));
  assert.ok(!sameIds(cells, cells.slice(1)));
  assert.ok(!sameIds([], []));
  assert.ok(!sameIds(without, without));
});

test('the sidecar is started again at once, then slower, and after a good while at once again', () => {
  const backOff = new BackOff();
  const waits = Array.from({ length: 9 }, () => backOff.next(0));
  assert.deepEqual(waits.slice(0, 3), [100, 200, 400]);
  assert.equal(waits.at(-1), 10_000);
  backOff.started(0);
  assert.equal(backOff.next(60_000), 100);
});

test('how long something took', () => {
  for (const [milliseconds, words] of [
    [-5, '0.0 s'],
    [340, '0.3 s'],
    [9_949, '9.9 s'],
    [9_960, '10 s'],
    [59_400, '59 s'],
    [59_600, '1 min 0 s'],
    [303_000, '5 min 3 s'],
    [7_500_000, '2 h 5 min'],
  ] as const) {
    assert.equal(duration(milliseconds), words);
  }
});
