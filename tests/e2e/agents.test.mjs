// An agent works on the same kernels: what it runs is seen where it is, what it leaves can be stopped, what was said can be read.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent } from './harness/agent.mjs';
import { story } from './harness/story.mjs';
import { clickNow, eventually, moment } from './harness/workbench.mjs';

const python = 'Python 3 (ipykernel)';
const cells = { setup: 'value = 6 * 7', show: "print('value is', value)" };
const talk = 'talk-1';

/** The dialog that asks for a file, with the name that it proposes. */
async function proposed(editor) {
  const box = editor.page.locator('.quick-input-widget:visible .quick-input-box input');
  await eventually('a proposed name', async () => (await box.inputValue({ timeout: moment })).endsWith('.json'));
  return box;
}

story('agents', 'an agent works on the same kernels', {
  'a person has a kernel': async (run) => {
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel(python);
    await editor.runCell(0);
    await editor.ended(0);
    run.kernel = run.session('draft.ipynb');
  },
  "what an agent runs shows in the notebook's cell, and in the history as an agent's": async (run) => {
    const { workbench: editor } = run;
    await Agent.begin(run);
    await editor.command('Kernel Keeper: Show History');
    const said = await run.agent.call('execute_code', { notebook_path: run.path('draft.ipynb'), code: cells.show, timeout_s: 180 });
    assert.match(said, /value is 42/);
    await editor.ended(1);
    await editor.output('.output', 'value is 42');
    await editor.row(/Cell 2.*by an agent/).waitFor();
    await run.agent.call('execute_code', { notebook_path: run.path('draft.ipynb'), code: 'made = value + 1', timeout_s: 180 });
    await editor.row(/Code.*by an agent.*made = value/).waitFor();
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
  },
  'what was said about the notebook stands under its kernel, and grows while it is read': async (run) => {
    const { workbench: editor } = run;
    const append = (role, content) => run.agent.call('append_turn', { conversation_id: talk, session_id: run.kernel.id, role, content });
    await append('user', 'Why is value 42?');
    await append('assistant', 'Because of this:\n\n```python\nvalue = 6 * 7\n```\n');
    // The tree is drawn anew for each of the two: a click in between does nothing.
    const closed = editor.row('draft.ipynb').locator('.monaco-tl-twistie.collapsible.collapsed');
    await eventually('the line is open', async () => {
      if (await closed.isVisible()) await clickNow(closed);
      return editor
        .row(/Why is value 42\?.*2 turns/)
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    await run.shot('conversation-in-the-tree');
    await eventually('the conversation is opened', async () => {
      await clickNow(editor.row('Why is value 42?'));
      return editor
        .inFront('Why is value 42')
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    const page = await editor.webview('body.vscode-body h1');
    await page.getByText('Because of this').waitFor();
    await append('user', 'I see.');
    await page.getByText('I see.').waitFor();
  },
  'the menu of a line is about that line while another kernel is at work': async (run) => {
    const { workbench: editor } = run;
    run.notebook('left.ipynb', { only: '1' });
    await run.agent.call('start_session', { notebook_path: run.path('left.ipynb') });
    await editor.row(/left\.ipynb.*used by an agent/).waitFor();
    await editor.row(/Why is value 42\?.*3 turns/).waitFor();
    let isOver = false;
    const work = async () => {
      while (!isOver)
        await run.agent.call('execute_code', {
          notebook_path: run.path('left.ipynb'),
          code: 'import time; time.sleep(0.25)',
          timeout_s: 180,
        });
    };
    const working = work();
    for (let time = 0; time < 15; time++) {
      await editor.rowMenu(editor.row('Why is value 42?'), 'Export Conversation');
      await proposed(editor);
      await editor.page.keyboard.press('Escape');
    }
    isOver = true;
    await working;
  },
  'it is exported, and cleared after a question': async (run) => {
    const { workbench: editor } = run;
    await editor.rowMenu(editor.row('Why is value 42?'), 'Export Conversation');
    const box = await proposed(editor);
    await box.fill(run.path('talk.md'));
    await editor.enter(box);
    await eventually('the file', () => /I see\./.test(readFileSync(run.path('talk.md'), 'utf8')));
    await editor.rowMenu(editor.row('Why is value 42?'), 'Clear Conversation');
    await run.shot('clear-question');
    await editor.confirm('Clear');
    await editor.row('Why is value 42?').waitFor({ state: 'detached' });
  },
  'a kernel that an agent started and left is marked, and stopped with the others like it': async (run) => {
    const { workbench: editor } = run;
    await run.agent.end();
    await editor.row(/left\.ipynb.*left by an agent/).waitFor();
    const list = editor.asked('Stop Kernels Left by Agents');
    const line = list.locator('.monaco-list-row', { hasText: 'left.ipynb' });
    // VS Code closes the list where the focus goes elsewhere.
    await eventually('the list is answered', async () => {
      if (!(await line.isVisible())) await editor.command('Kernel Keeper: Stop Kernels Left by Agents');
      await line.waitFor({ timeout: moment });
      await run.shot('left-by-agents');
      assert.equal(await list.locator('.monaco-list-row').count(), 1);
      return clickNow(list.getByRole('button', { name: 'OK' }));
    });
    await eventually('it was stopped', () => !run.session('left.ipynb'));
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
  },
});
