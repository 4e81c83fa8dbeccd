import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
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
const window = (folder: string, { host = process.pid, editor = 1, tabs = ['a'] as string[], hasFolder = true } = {}) =>
  new Tokens(folder, { editor, host, hasFolder, tabs: () => tabs });

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

test('one with other tabs takes nothing over', () =>
  within(async (folder) => {
    const first = window(folder, { tabs: ['a', 'b'] });
    await first.put('first');
    first.leave();
    assert.equal(await window(folder, { tabs: ['a'], hasFolder: false }).get(), undefined);
    const file = join(folder, readdirSync(folder)[0] ?? '');
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { at: number };
    writeFileSync(file, JSON.stringify({ ...kept, at: kept.at - 60_000 }));
    assert.equal(await window(folder, { tabs: ['a'] }).get(), undefined);
    assert.equal(await window(folder, { tabs: [] }).get(), undefined);
    assert.equal(await window(folder, { tabs: ['b', 'a'] }).get(), 'first');
  }));

test('one that a browser gives the tabs of a living one takes over what has left just now', () =>
  within(async (folder) => {
    await window(folder, { tabs: ['b'] }).put('other');
    const first = window(folder);
    await first.put('first');
    first.leave();
    assert.equal(await window(folder, { tabs: ['b'] }).get(), 'first');
  }));

test('one without tabs takes over what such a one left, where they have a folder in common', () =>
  within(async (folder) => {
    const first = window(folder, { tabs: [] });
    await first.put('first');
    first.leave();
    assert.equal(await window(folder, { tabs: [], hasFolder: false }).get(), undefined);
    assert.equal(await window(folder, { tabs: [] }).get(), 'first');
  }));

test('tabs that come a moment after the window are waited for, and those that a window has now are kept', () =>
  within(async (folder) => {
    const tabs = ['a'];
    const first = window(folder, { tabs, host: gone() });
    await first.put('first');
    tabs.push('b');
    first.changed();
    const late: string[] = [];
    const token = window(folder, { tabs: late }).get();
    setTimeout(() => late.push('a', 'b'), 100);
    assert.equal(await token, 'first');
  }));

test('beside a living window with other tabs nothing is waited for long', () =>
  within(async (folder) => {
    await window(folder, { tabs: ['b'] }).put('other');
    const begun = performance.now();
    assert.equal(await window(folder).get(), undefined);
    assert.ok(performance.now() - begun < 1_000);
  }));

test('a file that cannot be read yet stays, and an old one goes; each is written aside', () =>
  within(async (folder) => {
    mkdirSync(folder, { recursive: true });
    for (const name of ['new', 'old', '.old']) writeFileSync(join(folder, name), '');
    for (const name of ['old', '.old']) utimesSync(join(folder, name), 1, 1);
    await window(folder).get();
    assert.deepEqual(readdirSync(folder), ['new']);
    rmSync(join(folder, 'new'));
    const one = window(folder, { tabs: Array.from({ length: 9_000 }, (_, index) => `file:///a/long/name/${index}`) });
    await one.put('first');
    const [name = ''] = readdirSync(folder);
    const before = statSync(join(folder, name));
    await one.put('second');
    assert.notEqual(statSync(join(folder, name)).ino, before.ino);
    one.leave();
    assert.deepEqual(readdirSync(folder), [name]);
    assert.ok(before.size < 1_000, 'however many tabs there are');
  }));

test('what is kept is private', () =>
  within(async (folder) => {
    await window(folder).put('token');
    const [name = ''] = readdirSync(folder);
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  }));
