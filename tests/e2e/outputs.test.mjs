// Outputs that are hard: very long ones, ones that change after their cell has finished, and cells without ids.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { click } from './harness/workbench.mjs';

const count = 200_000;
const python = 'Python 3 (ipykernel)';
const cells = (run) => ({
  shown: "handle = display('first words', display_id='shown')",
  update: "handle.update('changed words')",
  thread: [
    'import os, threading, time',
    "later = display('waits', display_id='later')",
    'def wait():',
    `    while not os.path.exists('${join(run.folder, 'ended')}'): time.sleep(0.05)`,
    "    later.update('came later')",
    'threading.Thread(target=wait).start()',
  ].join('\n'),
  flood: `for index in range(${count}):\n    print('line', index)`,
});
const index = Object.fromEntries(Object.keys(cells({ folder: '' })).map((id, position) => [id, position]));

story('outputs', 'long and late outputs, and cells without ids', {
  'a display is updated after its cell has finished': async (run) => {
    run.notebook('draft.ipynb', cells(run));
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(index.shown);
    await editor.ended(index.shown);
    await editor.output('.output', 'first words');
    await editor.runCell(index.update);
    await editor.output('.output', 'changed words');
  },
  'also while nothing runs': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(index.thread);
    await editor.ended(index.thread);
    writeFileSync(join(run.folder, 'ended'), '');
    await editor.output('.output', 'came later');
    const saved = await editor.save(run.path('draft.ipynb'));
    assert.deepEqual(
      [saved.shown, saved.thread].map((cell) => cell.data('text/plain')),
      [["'changed words'"], ["'came later'"]],
    );
  },
  'of 200,000 lines the cell shows head, tail and a link': async (run) => {
    const { workbench: editor } = run;
    await editor.runCell(index.flood);
    await editor.ended(index.flood);
    await editor.link(index.flood, 'Open all').waitFor();
    const { stdout } = (await editor.save(run.path('draft.ipynb'))).flood;
    assert.match(stdout, /^line 0\nline 1\n/);
    assert.match(stdout, /left out/);
    assert.match(stdout, /\nline 199999\n$/);
    assert.ok(stdout.length < 2 * 1024 * 1024, `${stdout.length}`);
  },
  'the link opens all of it, to be read': async (run) => {
    const { workbench: editor } = run;
    await click(editor.link(index.flood, 'Open all'));
    const line = (number) => editor.page.locator('.editor-instance .view-line', { hasText: new RegExp(`^line.${number}$`) }).first();
    await click(line(0));
    await editor.page.keyboard.press('Control+End');
    await line(count - 1).waitFor();
    await editor.page.keyboard.type('x');
    await editor.page.locator('.monaco-editor-overlaymessage', { hasText: 'read-only' }).waitFor();
  },
  'a notebook without cell ids: closed and opened again, outputs are in their cells': async (run) => {
    const source = ["word = 'old format'\n", 'print(word)'];
    const cell = (text) => ({ cell_type: 'code', metadata: {}, execution_count: null, outputs: [], source: text });
    const old = { cells: [cell(source), cell(["print('again', word)"])], metadata: {}, nbformat: 4, nbformat_minor: 4 };
    writeFileSync(run.path('old.ipynb'), JSON.stringify(old));
    let { workbench: editor } = run;
    await editor.openFile('old.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.output('.output', 'old format');
    await editor.ended(0);
    await run.quit();
    editor = await run.open();
    await editor.openFile('old.ipynb');
    await editor.press('has been running since', 'Resume Session');
    await editor.output('.output', 'old format');
    await editor.runCell(1);
    await editor.output('.output', 'again old format');
    await editor.ended(1);
    await editor.save(run.path('old.ipynb'));
    const saved = JSON.parse(readFileSync(run.path('old.ipynb'), 'utf8'));
    assert.deepEqual(
      saved.cells.slice(0, 2).map(({ outputs }) => outputs.flatMap(({ text }) => text)),
      [['old format\n'], ['again old format\n']],
    );
  },
});
