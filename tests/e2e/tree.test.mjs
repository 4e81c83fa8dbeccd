// *Active Kernels* says what each kernel is at: as VS Code opens it, in a narrow sidebar, and while lines are drawn anew.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { tell, untilTold } from './harness/told.mjs';
import { clickNow, eventually, moment } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const pane = ({ workbench: editor }, title) =>
  editor.page.locator('.pane', { has: editor.page.locator('.pane-header', { hasText: title }) });
/** The lines in the order in which they are seen, by their words. */
async function lines(run) {
  const rows = pane(run, 'Active Kernels').locator('.monaco-list-row');
  const drawn = await rows.evaluateAll((all) =>
    all.map((row) => [row.getBoundingClientRect().y, row.querySelector('.monaco-icon-label-container')?.textContent ?? '']),
  );
  return drawn.sort(([one], [other]) => one - other).map(([, text]) => text);
}
const order = async (run) => (await lines(run)).map((text) => /[\w/]+\.ipynb/.exec(text)?.[0] ?? text.replace(/\d+$/, ''));

story('tree', 'what each kernel is at', {
  'at its first size all of it is seen, and what needs attention stands first': async (run) => {
    for (const folder of ['north', 'south']) {
      mkdirSync(run.path(folder));
      run.notebook(join(folder, 'draft.ipynb'), { one: 'value = 6 * 7' });
      run.cli('run', run.path(join(folder, 'draft.ipynb')), '--kernel', 'python3');
    }
    run.notebook('long.ipynb', { none: '', long: untilTold(run, 'long') });
    run.notebook('who.ipynb', { ask: "input('name? ')" });
    const editor = await run.open();
    for (const [name, cell] of Object.entries({ 'long.ipynb': 1, 'who.ipynb': 0 })) {
      await editor.openFile(name);
      await editor.selectKernel(python);
      await editor.runCell(cell);
    }
    await editor.asked('name?').waitFor();
    await editor.page.keyboard.press('Escape');
    await editor.showView('Kernel Keeper');
    const expected = ['Needs attention', 'who.ipynb', 'This window', 'long.ipynb', 'Detached', 'north/draft.ipynb', 'south/draft.ipynb'];
    await eventually('all lines', async () => `${await order(run)}` === `${expected}`);
    const heights = {};
    for (const title of ['Active Kernels', 'History', 'Variables']) heights[title] = (await pane(run, title).boundingBox()).height;
    console.log(`heights: ${JSON.stringify(heights)}`);
    assert.ok(heights['Active Kernels'] > Math.max(heights.History, heights.Variables), 'it is the largest');
  },
  'a line says first what its kernel is at, and grows older; its process is in the tooltip alone': async (run) => {
    const { workbench: editor } = run;
    const [, asks, , runs, , rests] = await lines(run);
    assert.match(asks, /^waiting for input · who\.ipynb/);
    assert.match(runs, /^running cell 2 · \d+ s · long\.ipynb/);
    assert.match(rests, /^idle.* · north\/draft\.ipynb/);
    await eventually('it is older', async () => (await lines(run))[3].split('long')[0] !== runs.split('long')[0]);
    assert.doesNotMatch(`${await lines(run)}`, /PID/);
    const { pid } = run.session('long.ipynb');
    await eventually('its tooltip', async () => {
      await editor.page.mouse.move(0, 0);
      await editor.row('long.ipynb').hover({ timeout: moment });
      return editor.page
        .locator('.monaco-hover', { hasText: `PID: ${pid}` })
        .waitFor({ timeout: moment })
        .then(() => true);
    });
  },
  'lines keep their places while kernels work': async (run) => {
    const { workbench: editor } = run;
    await editor.page.mouse.move(0, 0);
    const before = await order(run);
    for (const name of ['south', 'north', 'south']) {
      run.cli('exec', run.path(join(name, 'draft.ipynb')), 'value += 1');
      await eventually('it is seen', async () => {
        const [newest] = run.sessions().sort((one, other) => (one.lastActivityAt < other.lastActivityAt ? 1 : -1));
        return newest !== undefined && `${await order(run)}` === `${before}`;
      });
    }
  },
  'in a sidebar of 178 pixels a line still says it': async (run) => {
    const { workbench: editor } = run;
    const sidebar = editor.page.locator('.part.sidebar');
    const box = await sidebar.boundingBox();
    await editor.page.mouse.move(box.x + box.width, box.y + 300);
    await editor.page.mouse.down();
    await editor.page.mouse.move(box.x + 178, box.y + 300, { steps: 5 });
    await editor.page.mouse.up();
    const { width } = await sidebar.boundingBox();
    assert.ok(Math.abs(width - 178) <= 8, `${width} pixels`);
    // What is cut off is no part of what is seen, nor what the dots cover that stand there then.
    const seen = await pane(run, 'Active Kernels')
      .locator('.monaco-list-row .monaco-icon-label-container')
      .evaluateAll((all) =>
        all.map((label) => {
          const name = document.createTreeWalker(label.querySelector('.label-name'), NodeFilter.SHOW_TEXT).nextNode();
          const range = document.createRange();
          const end = label.getBoundingClientRect().right - 14;
          let count = 0;
          for (range.setStart(name, 0); count < name.length; count += 1) {
            range.setEnd(name, count + 1);
            if (range.getBoundingClientRect().right > end) break;
          }
          return name.textContent.slice(0, count);
        }),
      );
    for (const start of [/^waiting for in/, /^running cell 2/, /^idle/])
      assert.ok(
        seen.some((text) => start.test(text)),
        `${start} in ${seen}`,
      );
  },
  'a menu that is open while its line is drawn anew is about that line': async (run) => {
    const { workbench: editor } = run;
    const { id } = run.session('long.ipynb');
    run.cli('conversation', 'append', 'talk', 'Why so long?', '--role', 'user', '--session', id);
    const row = editor.row('long.ipynb');
    const closed = row.locator('.monaco-tl-twistie.collapsible.collapsed');
    const talk = editor.row('Why so long?');
    await eventually('the line is open', async () => {
      if (await closed.isVisible()) await clickNow(closed);
      return talk.waitFor({ timeout: moment }).then(() => true);
    });
    const item = editor.page.locator('.monaco-menu .action-item', { hasText: 'Clear Conversation' }).first();
    const question = editor.page.locator('.monaco-dialog-box', { hasText: 'Clear “Why so long?”?' });
    for (let time = 0; time < 5; time += 1) {
      await clickNow(talk, { button: 'right' });
      await item.waitFor({ timeout: moment });
      // Another line of the conversation, and an older line of its kernel.
      const before = (await lines(run)).join();
      run.cli('conversation', 'append', 'talk', 'And now?', '--role', 'user');
      await eventually('both are drawn anew', async () => {
        const now = await lines(run);
        return now.join() !== before && now.some((text) => text.includes(`${time + 2} turns`));
      });
      await clickNow(item);
      await question.waitFor({ timeout: moment });
      await editor.confirm(time < 4 ? 'Cancel' : 'Clear');
    }
    await talk.waitFor({ state: 'detached' });
    // From the palette there is no line, so it asks.
    for (const name of ['one', 'two']) run.cli('conversation', 'append', name, `Talk ${name}`, '--role', 'user', '--session', id);
    await editor.choose(() => editor.command('Kernel Keeper: Clear Conversation'), 'Talk two');
    await run.shot('clear-from-the-palette');
    await editor.confirm('Clear');
    await eventually('it is cleared', () => JSON.parse(run.cli('conversation', 'list', '--json')).length === 1);
    run.cli('conversation', 'clear', 'one');
    assert.equal(JSON.parse(run.cli('conversation', 'list', '--json')).length, 0);
    tell(run, 'long');
  },
});
