// The editor's own agents: what their tools may do with a kernel, and what a person is asked before.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { story } from './harness/story.mjs';
import { click, eventually } from './harness/workbench.mjs';

const cells = { setup: 'value = 6 * 7', show: "print('value is', value)" };

/** What the tool answered; `answers`: the button that the person presses. */
async function call(run, name, input = { notebookPath: run.path('draft.ipynb') }, answers = undefined) {
  const { workbench: editor } = run;
  rmSync(run.path('answer.json'), { force: true });
  writeFileSync(run.path('call.json'), JSON.stringify({ name: `kernelKeeper_${name}`, input }));
  await editor.command('Tool Caller: Call');
  if (answers) {
    await editor.page.locator('.monaco-dialog-box').waitFor();
    await run.shot(`${name}-asks`);
    const asked = await editor.page.locator('.monaco-dialog-box').innerText();
    await click(editor.page.locator('.monaco-dialog-box').getByRole('button', { name: answers }).first());
    return { asked, ...(await answer(run)) };
  }
  return answer(run);
}

const answer = (run) =>
  eventually('an answer', () => existsSync(run.path('answer.json')) && JSON.parse(readFileSync(run.path('answer.json'), 'utf8')));

story('tools', "the editor's agents use the kernels that are there", {
  'what runs, what ran and what there is, is told without a question': async (run) => {
    await run.installOwn('tool-caller');
    run.notebook('draft.ipynb', cells);
    const editor = await run.open();
    await editor.openFile('draft.ipynb');
    await editor.selectKernel('Python 3 (ipykernel)');
    await editor.runCell(0);
    await editor.ended(0);
    run.kernel = run.session('draft.ipynb');
    const { text, tools } = await call(run, 'sessions', {});
    assert.equal(tools.length, 6);
    const [{ notebookPaths, pid, openIn }] = JSON.parse(text);
    assert.deepEqual(
      { notebookPaths, pid, openIn },
      { notebookPaths: [run.path('draft.ipynb')], pid: run.kernel.pid, openIn: 'this window' },
    );
    assert.match((await call(run, 'history')).text, /"place": "Cell 1"[^]*value = 6/);
    assert.match((await call(run, 'variables')).text, /"name":"value"/);
    assert.match((await call(run, 'history', { notebookPath: 'draft.ipynb' })).error, /absolute/);
  },
  'code is run after a question, in the cell that it is of': async (run) => {
    const { workbench: editor } = run;
    const input = { notebookPath: run.path('draft.ipynb'), code: cells.show };
    const { asked, text } = await call(run, 'run', input, /Continue|Allow|Yes|OK/);
    assert.match(asked, /Run code in the kernel of draft\.ipynb\?/);
    assert.match(text, /value is 42/);
    await editor.ended(1);
    await editor.output('.output', 'value is 42');
    assert.match((await call(run, 'history')).text, /"by": "an agent"/);
  },
  'what a window has open is not stopped': async (run) => {
    assert.match((await call(run, 'stop')).error, /a window has it open[^]*mayStopOpenKernels/);
    assert.equal(run.session('draft.ipynb').pid, run.kernel.pid);
  },
  'but where the person allows it, after a question': async (run) => {
    const { workbench: editor } = run;
    const allowed = { 'kernelKeeper.agents.mayStopOpenKernels': true };
    // A folder that is opened cannot allow it; whose machine it is can.
    mkdirSync(run.path('.vscode'));
    writeFileSync(run.path(join('.vscode', 'settings.json')), JSON.stringify(allowed));
    await editor.entry('.vscode').waitFor();
    assert.match((await call(run, 'stop')).error, /a window has it open/);
    mkdirSync(join(run.profile.data, 'Machine'), { recursive: true });
    writeFileSync(join(run.profile.data, 'Machine', 'settings.json'), JSON.stringify(allowed));
    await eventually('the setting', async () => {
      await editor.command('Kernel Keeper: Copy Diagnostics');
      return (await editor.page.evaluate(() => navigator.clipboard.readText())).includes('"mayStopOpenKernels":true');
    });
    const { asked, text } = await call(run, 'stop', undefined, /Continue|Allow|Yes|OK/);
    assert.match(asked, new RegExp(`PID ${run.kernel.pid}[^]*Its variables are lost(: value|\\.)`)); // named where the kernel says in time
    assert.match(text, /was stopped/);
    assert.equal(run.session('draft.ipynb'), undefined);
  },
  'in a folder that is not trusted there are none': async (run) => {
    await run.quit();
    const settings = { ...run.settings(), 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' };
    writeFileSync(run.settingsFile, JSON.stringify(settings));
    const editor = await run.open({ trusted: false });
    await editor.status('Restricted Mode').waitFor();
    const { error } = await call(run, 'sessions', {});
    assert.match(error, /kernelKeeper_sessions does not have an implementation/);
    await editor.page.keyboard.press('F1');
    await editor.page.locator('.quick-input-widget:visible .quick-input-box input').fill('>Kernel Keeper: ');
    const commands = editor.page.locator('.quick-input-list .monaco-list-row');
    await commands.filter({ hasText: 'Sessions…' }).waitFor();
    assert.equal(await commands.filter({ hasText: 'Snapshot' }).count(), 0);
  },
});
