import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { StreamText } from '../src/outputs/stream';

const cut = (count: number) => `<${count}>`;

function check(pieces: string[], expected: string): void {
  const stream = new StreamText(1000, cut);
  // What is shown is built from the changes alone, taken after each piece.
  let shown = '';
  for (const piece of pieces) {
    stream.push(piece);
    const change = stream.take();
    if (change.kind === 'append') shown += change.text;
    if (change.kind === 'rewrite') shown = stream.toString();
  }
  assert.equal(stream.toString(), expected, JSON.stringify(pieces));
  assert.equal(shown, expected, `shown of ${JSON.stringify(pieces)}`);
}

interface Case {
  readonly printed: string[];
  readonly stands: string;
}

/** The journal's own fold reads the same table (`server/src/journal/fold.rs`). */
const table = JSON.parse(readFileSync('tests/fixtures/streams.json', 'utf8')) as Case[];

test('what is printed stands in the cell as the table says', () => {
  assert.ok(table.length > 50);
  for (const { printed, stands } of table) {
    check(printed, stands);
    check(Array.from(printed.join('')), stands);
  }
});

// Each of these took minutes when a character cost what the line is long.
for (const update of ['\r', '\rx', 'x\b', '\b', '\rab\b\bc', 'é\r\r\r']) {
  test(`a million times ${JSON.stringify(update)} on a long line`, { timeout: 30_000 }, () => {
    const stream = new StreamText(10_000_000, cut);
    stream.push('a'.repeat(2_000_000));
    for (let index = 0; index < 1_000_000; index++) stream.push(update);
    assert.ok(stream.toString().length <= 2_000_001);
  });
}

test('a long stream keeps head and tail, and counts what is left out', () => {
  const stream = new StreamText(100, cut);
  const lines = Array.from({ length: 1000 }, (_, index) => `line ${index}\n`);
  for (const line of lines) {
    stream.push(line);
    stream.take();
  }
  const text = stream.toString();
  const whole = lines.join('');
  const left = Number(/<(\d+)>/.exec(text)?.[1]);
  assert.ok(stream.isCut);
  assert.ok(text.length < 250, `${text.length}`);
  assert.equal(text.length - `<${left}>`.length + left, whole.length);
  assert.ok(text.startsWith('line 0\n') && text.endsWith('line 999\n'));
});

test('a line without an end is bounded', () => {
  const stream = new StreamText(100, cut);
  for (let index = 0; index < 1000; index++) stream.push('xxxxxxxxxx');
  assert.ok(stream.length < 1000, `${stream.length}`);
});
