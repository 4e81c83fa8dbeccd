import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  activityText,
  choiceText,
  elsewhereIn,
  factsText,
  goneText,
  hasState,
  isLeft,
  leftOutText,
  lineText,
  namesFor,
  questionText,
  span,
  spokenText,
  stakes,
} from '../src/describe';
import { executionLine } from '../src/executions';
import { groupsOf } from '../src/groups';
import { keptRunning } from '../src/kept';
import type { Execution, Offer, Session } from '../src/protocol/types';

const translate = (message: string, ...values: (string | number)[]) =>
  message.replace(/\{(\d)\}/g, (_all, index: string) => String(values[Number(index)]));

const now = new Date(2026, 0, 26, 18, 0);
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000).toISOString();

function session(some: Partial<Session> = {}, name = 'draft.ipynb'): Session {
  const notebook = { notebookUri: `file:///${name}`, notebookPath: `/${name}`, notebookExists: true };
  return {
    id: name,
    label: name,
    ...notebook,
    notebooks: [notebook],
    kernel: { name: 'python3', displayName: 'Python 3', language: 'python' },
    pid: 4711,
    keeperPid: 4710,
    host: 'here',
    startedAt: ago(60),
    lastActivityAt: ago(5),
    busySeconds: 0,
    state: 'idle',
    responding: true,
    pinned: false,
    warnings: [],
    currentExecution: null,
    queued: 0,
    runs: null,
    windows: [],
    memoryBytes: 812 * 1024 ** 2,
    cpuPercent: 2.6,
    gpuMemoryBytes: null,
    adopted: false,
    replaced: false,
    agent: false,
    stopsAt: null,
    endedAt: null,
    endReason: null,
    ...some,
  };
}

const window = (thisWindow: boolean) => ({ windowId: 'w', folder: '/work', thisWindow });
const agent = { windowId: 'mcp', folder: null, thisWindow: false };
const running = (cellIndex: number | null) => ({
  executionId: 'e',
  notebookUri: 'file:///draft.ipynb',
  cellId: null,
  cellIndex,
  startedAt: ago(1),
  input: null,
});
const ended = (endReason: Session['endReason'], minutes: number): Partial<Session> => ({
  state: 'ended',
  endReason,
  endedAt: ago(minutes),
  pid: null,
  memoryBytes: null,
  cpuPercent: null,
});

test('how long something has lasted', () => {
  const minute = 60_000;
  const cases: [number, string][] = [
    [minute - 1, ''],
    [minute, '1 m'],
    [59 * minute, '59 m'],
    [60 * minute, '1 h'],
    [23.9 * 60 * minute, '23 h'],
    [24 * 60 * minute, '1 d'],
    [-minute, ''],
  ];
  for (const [milliseconds, expected] of cases) assert.equal(span(milliseconds), expected);
});

test('what a kernel is at', () => {
  const cases: [Partial<Session>, string][] = [
    [{}, 'idle 5 m'],
    [{ lastActivityAt: ago(0) }, 'idle'],
    [{ runs: 'node' }, 'idle 5 m (node)'],
    [{ state: 'busy', currentExecution: running(2) }, 'running cell 3 · 1 min 0 s'],
    [{ state: 'busy', currentExecution: { ...running(2), startedAt: ago(1 / 3) } }, 'running cell 3 · 20 s'],
    [{ state: 'busy', currentExecution: { ...running(2), startedAt: ago(1 / 18) } }, 'running cell 3 · 3 s'],
    [{ state: 'busy', currentExecution: { ...running(2), startedAt: ago(-1) } }, 'running cell 3 · 0 s'],
    [{ state: 'busy', currentExecution: { ...running(2), startedAt: null }, runs: 'git' }, 'running cell 3 (git)'],
    [{ state: 'busy', currentExecution: running(null), runs: 'git' }, 'running git · 1 min 0 s'],
    [{ state: 'busy', currentExecution: running(null) }, 'busy · 1 min 0 s'],
    [{ state: 'busy' }, 'busy'],
    [{ state: 'busy', currentExecution: { ...running(2), input: { prompt: '', password: false } } }, 'waiting for input'],
    [{ state: 'starting' }, 'starting'],
    [{ responding: false }, 'not responding'],
  ];
  for (const [some, expected] of cases) assert.equal(activityText(session(some), now, translate), expected);
});

test('a line of the tree', () => {
  const gone = { notebookUri: 'file:///b', notebookPath: '/b', notebookExists: false };
  const cases: [Partial<Session>, string, string][] = [
    [{}, 'idle 5 m · draft.ipynb', 'since 17:00 · 812 MB · 3 %'],
    [{ pinned: true, memoryBytes: null, cpuPercent: null }, 'idle 5 m · draft.ipynb', 'since 17:00 · pinned'],
    [{ pid: null, state: 'starting', memoryBytes: null, cpuPercent: null }, 'starting · draft.ipynb', 'since 17:00'],
    [{ notebooks: [gone], cpuPercent: 0 }, 'idle 5 m · draft.ipynb', 'notebook is gone · since 17:00 · 812 MB · 0 %'],
    [ended('crashed', 10), 'crashed at 17:50 · draft.ipynb', ''],
  ];
  for (const [some, line, facts] of cases) {
    const one = session(some);
    assert.deepEqual([lineText(one, one.label, now, translate), factsText(one, now, translate)], [line, facts]);
  }
});

test('sessions of one name are told apart by folders, as few as that takes', () => {
  const at = (notebookPath: string | null, label = notebookPath?.split('/').at(-1) ?? 'Untitled-1') =>
    session({ label, notebookPath, notebookUri: `file://${notebookPath ?? '/untitled'}` }, notebookPath ?? 'untitled');
  const cases: [Session[], string[]][] = [
    [
      [at('/w/a.ipynb'), at('/w/b.ipynb')],
      ['a.ipynb', 'b.ipynb'],
    ],
    [
      [at('/w/x/a.ipynb'), at('/w/y/a.ipynb')],
      ['x/a.ipynb', 'y/a.ipynb'],
    ],
    [
      [at('/w/a.ipynb'), at('/w/y/a.ipynb')],
      ['w/a.ipynb', 'y/a.ipynb'],
    ],
    [
      [at('/w/1/x/a.ipynb'), at('/w/2/x/a.ipynb'), at('/w/a.ipynb')],
      ['1/x/a.ipynb', '2/x/a.ipynb', 'w/a.ipynb'],
    ],
    [
      [at('/a.ipynb'), at('/w/a.ipynb')],
      ['/a.ipynb', 'w/a.ipynb'],
    ],
    // One notebook's kernels, before and after a replay: its folder tells nothing.
    [
      [at('/w/a.ipynb'), at('/w/a.ipynb')],
      ['a.ipynb', 'a.ipynb'],
    ],
    [
      [at('/w/x/a.ipynb', 'job'), at('/w/y/b.ipynb', 'job')],
      ['x/job', 'y/job'],
    ],
    [
      [at(null), at(null)],
      ['Untitled-1', 'Untitled-1'],
    ],
  ];
  for (const [all, names] of cases) assert.deepEqual(all.map(namesFor(all)), names);
});

test('lines keep their places while something runs, and what needs attention comes first', () => {
  const asking = session({ state: 'busy', currentExecution: { ...running(0), input: { prompt: '', password: false } } }, 'z.ipynb');
  const lines = (all: Session[]) => groupsOf(all, now, () => false).map(({ id, sessions }) => [id, ...sessions.map((one) => one.id)]);
  const three = ['draft 10.ipynb', 'draft 9.ipynb', 'Anna.ipynb'].map((name, index) => session({ lastActivityAt: ago(index) }, name));
  const expected = [
    ['attention', 'z.ipynb'],
    ['detached', 'Anna.ipynb', 'draft 9.ipynb', 'draft 10.ipynb'],
  ];
  assert.deepEqual(lines([...three, asking]), expected);
  assert.deepEqual(lines([asking, ...three.map((one, index) => ({ ...one, lastActivityAt: ago(9 - index) })).reverse()]), expected);
});

test('a line to choose from', () => {
  assert.equal(choiceText(session({ windows: [window(false)] }), now, translate), '1 h old · idle 5 m · 812 MB · (open)');
  assert.equal(choiceText(session({ startedAt: ago(0), lastActivityAt: ago(0) }), now, translate), 'just started · idle · 812 MB');
});

test('what a snapshot left out is named, and why', () => {
  const skipped = (...names: string[]) => names.map((name) => ({ name, reason: `cannot pickle ${name}.` }));
  const cases: [ReturnType<typeof skipped>, string][] = [
    [skipped('a'), '1 variable was left out: a (cannot pickle a).'],
    [skipped('a', 'b'), '2 variables were left out: a (cannot pickle a), b (cannot pickle b).'],
    [skipped('a', 'b', 'c', 'd', 'e'), '5 variables were left out: a (cannot pickle a), b (cannot pickle b), c (cannot pickle c), 2 more.'],
    [[{ name: 'a', reason: `${'x'.repeat(80)}\nmore` }], `1 variable was left out: a (${'x'.repeat(60)}…).`],
    [[{ name: 'a', reason: '' }], '1 variable was left out: a.'],
  ];
  for (const [some, expected] of cases) assert.equal(leftOutText(some, translate), expected);
});

test('a line that is read aloud has all that it shows', () => {
  const of = (some: Partial<Session>) => spokenText(session(some), 'draft.ipynb', now, translate);
  assert.equal(of({}), 'idle 5 m · draft.ipynb, since 17:00 · 812 MB · 3 %');
  assert.equal(of(ended('crashed', 30)), 'crashed at 17:30 · draft.ipynb');
});

test('what is at stake', () => {
  assert.ok(hasState(session()));
  assert.ok(!hasState(session({ lastActivityAt: ago(60) })));
  assert.ok(!hasState(session(ended('stopped', 1))));
  const busy = session({ state: 'busy' }, 'busy.ipynb');
  const elsewhere = session({ windows: [window(false)] }, 'there.ipynb');
  const here = session({ windows: [window(true)] }, 'here.ipynb');
  assert.equal(stakes([busy, elsewhere, here], translate), 'Busy: busy.ipynb\nOpen in another window: there.ipynb');
  assert.equal(stakes([here], translate), '');
});

test('what is busy is also said to be open elsewhere, used by an agent, or of another program', () => {
  const busy = session({ state: 'busy', windows: [window(false), agent], adopted: true }, 'busy.ipynb');
  assert.deepEqual(stakes([busy], translate).split('\n'), [
    'Busy: busy.ipynb',
    'Open in another window: busy.ipynb',
    'Used by an agent: busy.ipynb',
    'Started by another program: busy.ipynb',
  ]);
});

test('each session has one heading', () => {
  const seen = session(ended('lost', 30), 'seen.ipynb');
  const groupOf = (some: Partial<Session>, name?: string) =>
    groupsOf([session(some, name)], now, (one) => one.id === seen.id).map(({ id }) => id);
  assert.deepEqual(groupOf({ windows: [window(true), window(false)] }), ['thisWindow']);
  assert.deepEqual(groupOf({ windows: [window(false)] }), ['otherWindows']);
  assert.deepEqual(groupOf({}), ['detached']);
  assert.deepEqual(groupOf({ windows: [window(true)], warnings: ['The keeper was killed.'] }), ['attention']);
  assert.deepEqual(groupOf({ responding: false }), ['attention']);
  assert.deepEqual(groupOf({ notebooks: [{ notebookUri: 'file:///b', notebookPath: '/b', notebookExists: false }] }), ['attention']);
  assert.deepEqual(groupOf(ended('stopped', 30)), ['ended']);
  assert.deepEqual(groupOf(ended('stopped', 25 * 60)), []);
  assert.deepEqual(groupOf(ended('lost', 30)), ['attention']);
  assert.deepEqual(groupOf(ended('crashed', 50 * 60)), ['attention']);
  assert.deepEqual(groupOf(ended('crashed', 8 * 24 * 60)), []);
  assert.deepEqual(groupOf(ended('lost', 30), 'seen.ipynb'), ['ended']);
});

test('a notebook with a new kernel needs nobody to look after its old one; of what ended the last are shown', () => {
  const old = { ...session(ended('crashed', 30)), id: 'old' };
  const groups = groupsOf([old, session()], now, () => false);
  assert.deepEqual(
    groups.map(({ id, sessions }) => [id, sessions.map((one) => one.id)]),
    [
      ['detached', ['draft.ipynb']],
      ['ended', ['old']],
    ],
  );
  const there = { notebookUri: 'file:///draft.ipynb', notebookPath: '/draft.ipynb', notebookExists: true };
  const before = { ...session({ notebooks: [there], replaced: true }), id: 'before the replay' };
  assert.deepEqual(
    groupsOf([before, session({ windows: [window(true)] })], now, () => false).map(({ id }) => id),
    ['thisWindow', 'detached'],
  );
  assert.deepEqual(
    groupsOf([before], now, () => false).map(({ id }) => id),
    ['detached'],
  );
  const died = { ...session(ended('crashed', 1)), id: 'died' };
  assert.deepEqual(
    groupsOf([before, died], now, () => false).map(({ sessions }) => sessions.map(({ id }) => id)),
    [['died'], ['before the replay']],
  );
  assert.match(factsText(before, now, translate, true), /^its notebook has another kernel · since/);
  const many = Array.from({ length: 30 }, (_none, index) => session(ended('stopped', 40 - index), `${index}.ipynb`));
  const [group] = groupsOf(many, now, () => false);
  assert.equal(group?.sessions.length, 20);
  assert.equal(group.sessions[0]?.id, '29.ipynb');
});

test('an agent is no window', () => {
  const used = session({ agent: true, windows: [agent] }, 'used.ipynb');
  const left = session({ agent: true }, 'left.ipynb');
  const taken = session({ windows: [window(true), agent] }, 'taken.ipynb');
  assert.deepEqual([used, left, taken, session(), session({ ...ended('stopped', 1), agent: true })].map(isLeft), [
    false,
    true,
    false,
    false,
    false,
  ]);
  assert.equal(factsText(left, now, translate), 'left by an agent · since 17:00 · 812 MB · 3 %');
  assert.equal(choiceText(used, now, translate), '1 h old · idle 5 m · 812 MB · used by an agent');
  assert.equal(choiceText(taken, now, translate), '1 h old · idle 5 m · 812 MB · used by an agent · (open)');
  assert.equal(stakes([used, left, taken], translate), 'Used by an agent: used.ipynb, taken.ipynb');
  const headings = groupsOf([used, left, taken], now, () => false).map(({ id, sessions }) => [id, sessions.length]);
  assert.deepEqual(headings, [
    ['thisWindow', 1],
    ['detached', 2],
  ]);
  assert.equal(keptRunning([used], now).length, 1);
});

test('what was kept running is told where no other window shows a kernel', () => {
  const [here, there, nowhere] = [session({ windows: [window(true)] }), session({ windows: [window(false)] }), session()];
  assert.equal(keptRunning([here, nowhere], now).length, 1);
  assert.equal(keptRunning([here], now).length, 0);
  assert.equal(keptRunning([there, nowhere], now).length, 0);
  assert.equal(keptRunning([session({ startedAt: ago(-1) })], now).length, 0);
  assert.equal(keptRunning([], now).length, 0);
});

test('a line of the history', () => {
  const execution: Execution = {
    executionId: 'e',
    sessionId: 's',
    notebookUri: 'file:///draft.ipynb',
    cellId: 'a',
    cellIndex: 2,
    code: '1',
    executionCount: 1,
    origin: 'w',
    status: 'ok',
    queuedAt: ago(55),
    startedAt: ago(55),
    completedAt: new Date(now.getTime() - 55 * 60_000 + 2_100).toISOString(),
    error: null,
  };
  assert.equal(executionLine(execution, now, translate), 'Cell 3, succeeded, 17:05, 2.1 s');
  assert.equal(executionLine({ ...execution, origin: 'mcp' }, now, translate), 'Cell 3, succeeded, 17:05, 2.1 s, by an agent');
  const failed = { ...execution, status: 'error' as const, error: { ename: 'NameError', evalue: '', traceback: [] } };
  assert.equal(executionLine(failed, now, translate), 'Cell 3, failed: NameError, 17:05, 2.1 s');
  const waiting = { ...execution, cellIndex: null, origin: 'cli', status: 'pending' as const, startedAt: null, completedAt: null };
  assert.equal(executionLine(waiting, now, translate), 'Code (command line), waiting, 17:05');
});

test('the status bar says what a question is about', () => {
  const check = (kind: Offer['kind'], expect: string, some: Partial<Session> = {}) => {
    assert.equal(questionText({ kind, sessions: [session(some)] } as unknown as Offer, translate), expect);
  };
  check('resume', 'Resume?');
  check('recover', 'Kernel crashed', { state: 'ended', endReason: 'crashed' });
  check('recover', 'Kernel lost', { state: 'ended', endReason: 'lost' });
  check('migrate', 'Moved');
});

test('what became of the kernel that a notebook had is said where it had anything', () => {
  const check = (some: Partial<Session>, isStillItsOwn: boolean, expect: string | undefined) => {
    assert.equal(goneText(session(some), isStillItsOwn, now, translate), expect);
  };
  check({ state: 'ended', endedAt: ago(5), endReason: 'stopped' }, true, 'the one before ended at 17:55');
  check({ state: 'ended', endedAt: ago(5), lastActivityAt: ago(60) }, true, undefined);
  check({}, true, undefined);
  check({}, false, 'the one before is its own no more, and goes on as draft.ipynb');
});

test('kernels that other programs started are named before all are stopped', () => {
  assert.equal(stakes([session({ adopted: true })], translate), 'Started by another program: draft.ipynb');
});

test('what another window ran is told from what this one ran, also before it was reloaded', () => {
  const ran = (origin: string, status: Execution['status']) => ({ executionId: `${origin} ${status}`, origin, status });
  const both = ['this', 'other', 'gone', 'cli'].flatMap((origin) => [ran(origin, 'ok'), ran(origin, 'running')]);
  const windows = [
    { ...window(true), windowId: 'this' },
    { ...window(false), windowId: 'other' },
  ];
  assert.deepEqual([...elsewhereIn(session({ windows }), both)], ['other ok', 'other running', 'gone ok', 'cli ok']);
  assert.equal(elsewhereIn(session({ windows: windows.slice(0, 1) }), both).size, 0);
});
