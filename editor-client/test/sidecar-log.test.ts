import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLine } from '../src/sidecar-log';

test("a line of the sidecar's log has its level", () => {
  const cases: [string, string, string][] = [
    ['2026-11-21T12:05:12.333462Z  INFO kernel_keeper::sessions: a rename from=a', 'info', 'kernel_keeper::sessions: a rename from=a'],
    ['2026-11-21T12:05:12.333462Z ERROR kernel_keeper: no', 'error', 'kernel_keeper: no'],
    ['2026-11-21T12:05:12.333462Z  WARN kernel_keeper: INFO', 'warn', 'kernel_keeper: INFO'],
    ["thread 'main' panicked at server/src/main.rs:1:1:", 'error', "thread 'main' panicked at server/src/main.rs:1:1:"],
    ['', 'error', ''],
  ];
  for (const [line, level, text] of cases) assert.deepEqual(parseLine(line), { level, text });
});
