import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutputText } from '../src/agents/output-text';
import {
  codeOf,
  endWords,
  historyText,
  type Input,
  limitOf,
  notebookUriOf,
  refusal,
  runWords,
  secondsOf,
  sessionsText,
  variablesText,
} from '../src/agents/words';
import type { EventBody, Execution, Output, Session, Variable } from '../src/protocol/types';

const translate = (message: string, ...values: (string | number)[]) =>
  message.replace(/\{(\d)\}/g, (_all, index: string) => String(values[Number(index)]));
const now = new Date(2026, 0, 26, 18, 0);
const notebook = { notebookUri: 'file:///notebooks/draft.ipynb', notebookPath: '/notebooks/draft.ipynb', notebookExists: true };
const window = { windowId: 'w', folder: '/work', thisWindow: false };

function session(some: Partial<Session> = {}): Session {
  const at = now.toISOString();
  return {
    ...{ id: 's', label: 'draft.ipynb', ...notebook, notebooks: [notebook], host: 'here', startedAt: at, lastActivityAt: at },
    ...{ kernel: { name: 'python3', displayName: 'Python 3', language: 'python' }, pid: 4711, keeperPid: 4710, busySeconds: 0 },
    ...{ state: 'idle', responding: true, pinned: false, warnings: [], currentExecution: null, queued: 0, runs: null, windows: [] },
    ...{ memoryBytes: 1, cpuPercent: 0, gpuMemoryBytes: null, adopted: false, replaced: false, agent: false },
    ...{ stopsAt: null, endedAt: null, endReason: null },
    ...some,
  };
}

const variable = (name: string): Variable => ({ name, type: 'int', shape: null, size: 28, preview: '1' });

test('a tool names its notebook, and says what is wrong with what it was given', () => {
  const good: [string, string][] = [
    ['/notebooks/draft.ipynb', 'file:///notebooks/draft.ipynb'],
    ['/a b/50 %/#1 é.ipynb', 'file:///a%20b/50%20%25/%231%20%C3%A9.ipynb'],
    ['file:///notebooks/draft.ipynb', 'file:///notebooks/draft.ipynb'],
    ['untitled:Untitled-1.ipynb', 'untitled:Untitled-1.ipynb'],
  ];
  for (const [notebookPath, uri] of good) assert.equal(notebookUriOf({ notebookPath }), uri);
  const bad: [Input, RegExp][] = [
    [{}, /notebookPath is missing/],
    [{ notebookPath: ' ' }, /notebookPath is missing/],
    [{ notebookPath: 7 }, /notebookPath is missing/],
    [{ notebookPath: 'draft.ipynb' }, /absolute.*"draft.ipynb"/],
    [{ notebookPath: 'https://somewhere/draft.ipynb' }, /absolute/],
  ];
  for (const [input, what] of bad) assert.throws(() => notebookUriOf(input), what);
  assert.equal(codeOf({ code: 'x\n' }), 'x\n');
  for (const code of [undefined, '', ' \n', 1]) assert.throws(() => codeOf({ code }), /code is missing/);
  assert.deepEqual([limitOf({}), limitOf({ limit: 7.9 }), limitOf({ limit: 1e9 }), secondsOf({})], [20, 7, 500, 60]);
  for (const limit of [0, -1, Number.NaN, '5']) assert.throws(() => limitOf({ limit }), /limit is to be a number from 1 to 500/);
});

test('a kernel that a window has open is left alone, unless the setting allows it', () => {
  const agent = { windowId: 'mcp', folder: null, thisWindow: false };
  assert.equal(refusal(session(), false), undefined);
  assert.equal(refusal(session({ windows: [agent] }), false), undefined);
  assert.match(refusal(session({ windows: [window] }), false) ?? '', /draft\.ipynb \(PID 4711\).*a window has it open.*mayStopOpenKernels/);
  assert.match(refusal(session({ windows: [window, { ...window, windowId: 'x' }] }), false) ?? '', /2 windows have it open/);
  assert.equal(refusal(session({ windows: [window] }), true), undefined);
});

test('a person is told which kernel it is, and what is lost', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(variable);
  const some = endWords(session({ windows: [window] }), false, names, translate);
  assert.equal(some.title, 'Stop the kernel of draft.ipynb?');
  assert.match(some.message, /^Python 3, PID 4711, idle.* Its variables are lost: a, b, c, d, e and 2 more\. A window has it open\.$/);
  const busy = endWords(session({ state: 'busy', notebooks: [notebook, notebook] }), true, [], translate);
  assert.equal(busy.title, 'Restart the kernel of draft.ipynb?');
  assert.match(busy.message, /broken off\. Its variables are lost\. 2 notebooks share it\.$/);
  assert.doesNotMatch(runWords(session(), translate).message, /busy/);
  assert.match(runWords(session({ queued: 1 }), translate).message, /PID 4711.*It is busy/);
});

test('a model is told what runs, what ran, and what there is', () => {
  assert.equal(sessionsText([], now), 'No kernels are running.');
  const [told] = JSON.parse(sessionsText([session({ agent: true })], now)) as Record<string, unknown>[];
  assert.deepEqual(
    [told?.['notebookPaths'], told?.['pid'], told?.['openIn'], told?.['note']],
    [['/notebooks/draft.ipynb'], 4711, 'no window', 'left by an agent'],
  );
  const execution: Execution = {
    ...{ executionId: 'e', sessionId: 's', notebookUri: notebook.notebookUri, cellId: null, cellIndex: null, code: 'x'.repeat(3_000) },
    ...{ executionCount: 1, origin: 'mcp', status: 'error', queuedAt: '', startedAt: null, completedAt: null },
    error: { ename: 'NameError', evalue: 'x', traceback: [] },
  };
  const [ran] = JSON.parse(historyText([execution])) as Record<string, string>[];
  assert.deepEqual([ran?.['by'], ran?.['error'], ran?.['status']], ['an agent', 'NameError: x', 'failed']);
  assert.ok((ran?.['code']?.length ?? 0) < 2_100);
  const known = { variables: [variable('a')], supported: true, stale: true, asOf: now.toISOString() };
  assert.match(variablesText(known, now), /^The kernel is busy or has ended: this was so at 18:00:00\.\n\{"name":"a"/);
  assert.match(variablesText({ ...known, supported: false }, now), /cannot be asked/);
  assert.equal(variablesText({ ...known, variables: [], stale: false }, now), 'No variables are known.');
});

test('outputs are text, with begin and end where they are long', () => {
  const output = (one: Output): EventBody => ({ kind: 'output', output: one });
  const stream = (text: string) => output({ output_type: 'stream', name: 'stdout', text });
  const result = (data: Record<string, string>) => output({ output_type: 'execute_result', data, metadata: {}, execution_count: 1 });
  const textOf = (...events: EventBody[]) => {
    const text = new OutputText();
    for (const event of events) text.apply(event);
    return text.toString();
  };
  const cases: [EventBody[], string][] = [
    [[], ''],
    [[stream('a'), stream('b\n'), result({ 'text/plain': '42' })], 'ab\n42\n'],
    [[stream('half'), result({ 'text/plain': '<Figure>', 'image/png': 'AA' })], 'half\n<Figure>\n[image/png: the notebook shows it]\n'],
    [[stream(' 10 %\r 20 %')], ' 20 %'],
    [[stream('gone'), { kind: 'clearOutput', wait: true }, stream('new')], 'new'],
    [[stream('gone'), { kind: 'clearOutput', wait: false }], ''],
    [[output({ output_type: 'error', ename: 'E', evalue: 'v', traceback: ['\u001b[31mE\u001b[0m: v'] })], 'E: v\n'],
    [[output({ output_type: 'error', ename: 'E', evalue: 'v', traceback: [] })], 'E: v\n'],
    [[{ kind: 'inputRequest', prompt: 'Who?', password: false }], '[it asks for input: Who?]\n'],
  ];
  for (const [events, expected] of cases) assert.equal(textOf(...events), expected);
  const long = textOf(stream(Array.from({ length: 100_000 }, (_none, index) => `line ${index}\n`).join('')));
  assert.ok(long.length < 45_000);
  assert.match(long, /^line 0\n[^]*characters are left out here[^]*line 99999\n$/);
});
