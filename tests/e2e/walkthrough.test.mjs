// The walkthrough: four steps, each with what it says and a way to do it.
import assert from 'node:assert/strict';
import { story } from './harness/story.mjs';
import { clickNow, eventually, moment } from './harness/workbench.mjs';

const title = 'Keep a Kernel with Kernel Keeper';
const steps = {
  'Run a cell': 'New Notebook',
  'Leave, and come back': 'Resume This Notebook',
  'See what is kept': 'Open Active Kernels',
  'Look back': 'Show History',
};

story('walkthrough', 'the first steps', {
  'four steps are there, each with its page': async (run) => {
    const editor = await run.open();
    await editor.choose(() => editor.command('Welcome: Open Walkthrough'), title);
    const category = editor.page.locator('.gettingStartedDetailsContent .getting-started-category', { hasText: title });
    await category.waitFor();
    const lines = editor.page.locator('.gettingStartedContainer .getting-started-step');
    assert.equal(await lines.count(), 4);
    for (const [step, button] of Object.entries(steps)) {
      const line = lines.filter({ hasText: step });
      await eventually(`${step} is open`, async () => {
        if (!(await line.locator('.button-container', { hasText: button }).isVisible()))
          await clickNow(line.locator('.step-title').first());
        return line
          .locator('.button-container', { hasText: button })
          .waitFor({ timeout: moment })
          .then(() => true);
      });
      const page = await editor.webview(`h1:text-is("${step}")`);
      assert.ok((await page.locator('li, td').count()) > 0, 'the page says more');
      await run.shot(step);
    }
  },
  'a step is done by its button': async (run) => {
    const { workbench: editor } = run;
    const line = editor.page.locator('.getting-started-step', { hasText: 'See what is kept' });
    await eventually('Active Kernels is in sight', async () => {
      if (!(await line.locator('.button-container').isVisible())) await clickNow(line.locator('.step-title').first());
      await clickNow(line.locator('.button-container .monaco-button').first());
      return editor.page
        .locator('.pane-header', { hasText: 'Active Kernels' })
        .waitFor({ timeout: moment })
        .then(() => true);
    });
    await line.locator('.codicon-getting-started-step-checked:visible').waitFor();
  },
});
