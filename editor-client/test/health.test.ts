import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Health, RecentEvent, Session } from '../src/protocol/types';
import { healthPage, minutesFor, scaleFor } from '../src/views/health-page';
import { MemorySamples } from '../src/views/samples';
import { nearest, pathsOf } from '../webviews/chart';

const translate = (message: string, ...values: (string | number)[]) =>
  message.replace(/\{(\d)\}/g, (_all, index: string) => String(values[Number(index)]));
const now = new Date(2026, 0, 26, 18, 0);
const MB = 1024 ** 2;

test('an hour of memory is kept, a sample every ten seconds, with the most that it was', () => {
  const samples = new MemorySamples();
  for (let at = 0; at < 2 * 60 * 60_000; at += 2_000) samples.add('a', at, at % 10_000 === 4_000 ? 9 : 1);
  const kept = samples.of('a');
  assert.equal(kept.length, 360);
  assert.ok(kept.every(([, bytes]) => bytes === 9));
  assert.equal(kept.at(-1)?.[0], 2 * 60 * 60_000 - 2_000);
  samples.add('b', 0, 5);
  samples.keep(new Set(['b']));
  assert.deepEqual([samples.of('a'), samples.of('b')], [[], [[0, 5]]]);
});

test('a line is broken where nothing is known, and a single sample is a point', () => {
  const frame = { from: 0, to: 1_000_000, top: 100, width: 100, height: 50 };
  const paths = pathsOf(
    [
      [-5, 1],
      [0, 0],
      [10_000, 100],
      [500_000, 50],
    ],
    frame,
  );
  assert.deepEqual(paths, { line: 'M0 50L1 0M50 25h0', area: 'M0 50L0 50L1 0L1 50Z' });
  assert.deepEqual(pathsOf([], frame), { line: '', area: '' });
});

test('the pointer is at the closest sample', () => {
  const samples = [
    [0, 1],
    [10, 2],
    [30, 3],
  ] as const;
  assert.deepEqual([nearest(samples, 21)?.[1], nearest(samples, 4)?.[1], nearest([], 4)], [3, 1, undefined]);
});

test('scales end at round figures', () => {
  const cases: [number, number][] = [
    [0, 1],
    [1, 1],
    [58, 100],
    [150, 200],
    [999, 1000],
    [1001, 1024],
    [3 * 1024, 5 * 1024],
  ];
  for (const [megabytes, expected] of cases) assert.equal(scaleFor(megabytes * MB), expected * MB, String(megabytes));
});

test('charts show as much time as is known, up to an hour', () => {
  const cases: [number, number][] = [
    [0, 5],
    [5, 5],
    [6, 15],
    [30, 30],
    [31, 60],
    [90, 60],
  ];
  for (const [minutes, expected] of cases) assert.equal(minutesFor(minutes * 60_000), expected);
});

test('the page has figures, shares and words', () => {
  const event = (some: Partial<RecentEvent>): RecentEvent => ({
    at: new Date(2026, 0, 26, 17, 5, 9).toISOString(),
    kind: 'sessionStarted',
    sessionId: 's1',
    windowId: null,
    label: null,
    detail: null,
    ...some,
  });
  const health: Health = {
    sessions: { active: 1, disconnected: 2, ended: 3, total: 6 },
    windows: { active: 1, disconnected: 4, total: 5 },
    ages: { healthy: 1, aging: 0, stale: 3 }, // of windows
    last24h: { connects: 5, disconnects: 4, reconnects: 3, expiredTokens: 2, rejectedTokens: 1 },
    recent: [event({ label: 'draft.ipynb', detail: 'stopped', kind: 'sessionEnded' }), event({}), event({ kind: 'somethingNew' })],
    store: { registryBytes: 0, journalBytes: 3 * MB, assetBytes: MB },
  };
  const session = (id: string, label: string, memoryBytes: number | null) =>
    ({ id, label, memoryBytes, state: 'idle', responding: true }) as Session;
  const at = now.getTime();
  const samplesOf = (id: string) =>
    id === 'b'
      ? ([
          [at - 60_000, 20 * MB],
          [at, 58 * MB],
        ] as const)
      : [];
  const running = { ...session('c', 'c.ipynb', null), state: 'busy', currentExecution: null } as Session;
  const live = [session('b', 'b.ipynb', 58 * MB), session('a', 'a.ipynb', null)];
  const page = healthPage(health, live, samplesOf, now, translate);
  assert.equal(page.summary, '1 active, 2 disconnected, 3 ended');
  assert.deepEqual(
    page.counts.map(({ value }) => value),
    ['1', '2', '3', '1'],
  );
  assert.deepEqual(
    page.ages.map(({ share, value }) => [share, value]),
    [
      [0.25, '1'],
      [0, '0'],
      [0.75, '3'],
    ],
  );
  // An idle kernel is idle, however long.
  const states = (all: readonly Session[]) =>
    healthPage(health, all, samplesOf, now, translate).states.map(({ name, value, share, tone }) => [name, value, share, tone]);
  assert.deepEqual(states(live), [['idle', '2', 1, 'plain']]);
  assert.deepEqual(states([...live, running, running]), [
    ['busy', '2', 0.5, 'plain'],
    ['idle', '2', 0.5, 'plain'],
  ]);
  assert.deepEqual(states([]), []);
  assert.deepEqual(
    page.disk.map(({ share, value }) => [share, value]),
    [
      [0.75, '3.0 MB'],
      [0.25, '1.0 MB'],
      [0, '0 B'],
    ],
  );
  assert.deepEqual(
    page.memory.map(({ label, now: present, top, text }) => [label, present, top, text]),
    [
      ['a.ipynb', 'not known', MB, 'a.ipynb: not known now'],
      ['b.ipynb', '58 MB', 100 * MB, 'b.ipynb: 58 MB now; since 17:59 between 20 MB and 58 MB'],
    ],
  );
  assert.deepEqual(page.recent[0], { time: '17:05:09', what: 'kernel ended', which: 'draft.ipynb', detail: 'stopped' });
  assert.deepEqual([page.recent[1]?.which, page.recent[2]?.what], ['s1', 'somethingNew']);
});
