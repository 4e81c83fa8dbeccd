import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tokens } from '../src/tokens';

/** A process that was there and is no more. */
const gone = () => spawnSync(process.execPath, ['-e', '']).pid;
const within = async (work: (folder: string) => Promise<void>) => {
  const folder = mkdtempSync(join(tmpdir(), 'kk-tokens-'));
  try {
    await work(join(folder, 'windows'));
  } finally {
    rmSync(folder, { recursive: true });
  }
};
const window = (folder: string, { host = process.pid, editor = 1, tabs = [] as string[] } = {}) =>
  new Tokens(folder, { editor, host, tabs: () => tabs });

test('a window that is reloaded takes its own token, beside one that lives', () =>
  within(async (folder) => {
    const [first, second] = [window(folder), window(folder)];
    await first.put('first');
    await second.put('second');
    second.leave();
    assert.equal(await window(folder).get(), 'second');
    assert.equal(await first.get(), 'first');
    // What lives is nobody else's.
    assert.equal(await window(folder).get(), undefined);
  }));

test('one that could not say that it goes is known by its process', () =>
  within(async (folder) => {
    await window(folder, { host: gone() }).put('killed');
    assert.equal(await window(folder, { editor: 2 }).get(), undefined, 'of another editor');
    await window(folder, { host: gone() }).put('killed');
    assert.equal(await window(folder).get(), 'killed');
  }));

test('two that are reloaded at once are told apart by their tabs', () =>
  within(async (folder) => {
    for (const tabs of [['a'], ['b']]) {
      const one = window(folder, { tabs });
      await one.put(`with ${tabs[0] ?? ''}`);
      one.leave();
    }
    const both = await Promise.all([window(folder, { tabs: ['a'] }).get(), window(folder, { tabs: ['b'] }).get()]);
    assert.deepEqual(both, ['with a', 'with b']);
  }));

test('what is kept is private', () =>
  within(async (folder) => {
    await window(folder).put('token');
    const [name = ''] = readdirSync(folder);
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  }));
