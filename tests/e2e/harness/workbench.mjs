// What a person does in VS Code's workbench, by the selectors that hold in it.
// Guarantees: every wait ends, with a message that names what was not seen. Leaves out: what it means to the product.
import { setTimeout as sleep } from 'node:timers/promises';
import { readNotebook } from './notebook.mjs';

/** Tries until `look` answers something true. */
export async function eventually(what, look, milliseconds = 30_000) {
  let last;
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await sleep(100)) {
    try {
      const found = await look();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not seen within ${milliseconds / 1000} s: ${what}${last ? ` (${last.message})` : ''}`);
}

export class Workbench {
  constructor(page) {
    this.page = page;
  }

  async ready() {
    await this.page.locator('.monaco-workbench .part.statusbar').waitFor({ timeout: 60_000 });
    // Until what extensions contribute is known, a notebook would open as plain text.
    await this.activity('Kernel Keeper').waitFor({ timeout: 60_000 });
  }

  /** Runs a command by its title. F1 works wherever the focus is, but inside an output. */
  async command(title) {
    const input = this.page.locator('.quick-input-widget:visible .quick-input-box input');
    // Resting on a line of the list it would bring up a hover, which covers other lines.
    await this.page.mouse.move(0, 0);
    for (let attempt = 0; ; attempt += 1) {
      await this.page.keyboard.press('F1');
      try {
        await input.waitFor({ timeout: 3_000 });
        break;
      } catch (error) {
        if (attempt >= 3) throw error;
      }
    }
    await input.fill(`>${title}`);
    const label = this.page.locator('.label-name', { hasText: title });
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ has: label }).first().click();
  }

  async pick(label) {
    await this.page.locator('.quick-input-widget:visible .quick-input-list .monaco-list-row').filter({ hasText: label }).first().click();
  }

  /** Answers an input box, such as a cell's input(). */
  async answer(text, prompt) {
    const box = this.page.locator('.quick-input-widget:visible');
    if (prompt) await box.filter({ hasText: prompt }).waitFor();
    await box.locator('.quick-input-box input').fill(text);
    await this.page.keyboard.press('Enter');
    await box.waitFor({ state: 'hidden' });
  }

  asked(prompt) {
    return this.page.locator('.quick-input-widget:visible').filter({ hasText: prompt });
  }

  /** Opens a notebook. VS Code draws its cells once their webview answers; where it never does, the notebook is opened again. */
  async openFile(name) {
    const drawn = () => this.notebook.locator('.cell-list-container .monaco-list-row').first().waitFor({ timeout: 45_000 });
    for (let attempt = 1; ; attempt += 1) {
      await this.entry(name).dblclick();
      await this.tab(name).waitFor();
      try {
        return await drawn();
      } catch (error) {
        if (attempt === 2) throw error;
        console.log(`VS Code did not draw the cells of ${name}: it is opened again`);
        await this.closeUnchanged(name);
      }
    }
  }

  /** Closes the tab in front, which has no unsaved changes. */
  async closeUnchanged(name) {
    await this.command('View: Close Editor');
    await this.tab(name).waitFor({ state: 'detached' });
  }

  entry(name) {
    return this.page.locator(`.explorer-folders-view .monaco-list-row[aria-label^="${name}"]`).first();
  }

  /** Renames a file or a folder in the explorer, with F2. */
  async rename(name, to) {
    await this.entry(name).click();
    await this.page.keyboard.press('F2');
    const box = this.page.locator('.explorer-folders-view .monaco-inputbox input');
    await box.fill(to);
    await box.press('Enter');
    await this.entry(to).waitFor();
  }

  tab(name) {
    return this.page.locator('.tab', { hasText: name }).first();
  }

  /** A notebook in that folder has taken the place of one of the same name: until then the old one is in front. */
  async isNowIn(folder, name) {
    const inFront = this.page.locator('.monaco-breadcrumb-item', { hasText: folder }).first();
    await inFront.waitFor();
    const tabs = this.page.locator('.tab', { hasText: name });
    await eventually(`one tab of ${name}`, async () => (await tabs.count()) === 1 && (await inFront.isVisible()));
  }

  /**
   * Closes the tab in front, answering whether to save what was changed: `Save` or `Don't Save`. VS Code leaves a tab open that was written
   * to between its answer and its end, and a person closes it once more.
   */
  async closeTab(name, answer) {
    for (let attempt = 1; ; attempt += 1) {
      await this.command('View: Close Editor');
      await this.confirm(answer);
      try {
        return await this.tab(name).waitFor({ state: 'detached', timeout: 5_000 });
      } catch (error) {
        if (attempt === 2) throw error;
        console.log(`VS Code left ${name} open: it is closed once more`);
      }
    }
  }

  /** A notebook's editor is an overlay outside its group. */
  get notebook() {
    return this.page.locator('.notebookOverlay:visible');
  }

  cell(index) {
    return this.notebook.locator(`.cell-list-container .monaco-list-row[data-index="${index}"]`);
  }

  /** Chooses a kernel in VS Code's own picker. */
  async selectKernel(name) {
    const label = this.notebook.locator('.kernel-label');
    const picker = this.page.locator('.quick-input-widget:visible');
    const rows = picker.locator('.quick-input-list .monaco-list-row');
    const kernel = rows.filter({ hasText: name }).first();
    // Where several extensions offer kernels, or one offers several, the picker asks for the source first. Where it was opened before
    // the kernels were known, it closes itself or offers other things: it is opened again.
    const source = rows.filter({ hasText: /^(Kernel Keeper|Select Another Kernel)/ }).first();
    await eventually(`${name} in the picker`, async () => {
      if (!(await picker.isVisible())) await label.click({ timeout: 2_000 });
      await kernel
        .or(source)
        .first()
        .waitFor({ timeout: 2_000 })
        .catch(() => this.page.keyboard.press('Escape'));
      if (!(await kernel.isVisible())) {
        if (await source.isVisible()) await source.click({ timeout: 2_000 });
        return false;
      }
      await kernel.click({ timeout: 2_000 });
      // What was clicked may have been exchanged for something else just then.
      return label
        .filter({ hasText: name })
        .waitFor({ timeout: 3_000 })
        .then(() => true);
    });
  }

  kernelLabel(name) {
    return this.notebook.locator('.kernel-label').filter({ hasText: name });
  }

  async focusCell(index) {
    const lines = this.cell(index).locator('.monaco-editor .view-lines').first();
    // Only what is in view, or close to it, is drawn, and the keyboard does not scroll to the rest.
    const list = await eventually('the notebook', () => this.notebook.locator('.cell-list-container').first().boundingBox());
    const inView = async () => {
      const box = (await lines.isVisible()) && (await lines.boundingBox());
      return box && box.y >= list.y && box.y + box.height / 2 < list.y + list.height;
    };
    await this.page.mouse.move(list.x + 20, list.y + 100);
    for (const way of [300, 300, 300, 300, -300, -300, -300, -300, -300, -300, -300, -300]) {
      if (await eventually('the cell', inView, 300).catch(() => false)) break;
      await this.page.mouse.wheel(0, way);
    }
    await lines.click();
  }

  /** Deletes a cell that runs, which VS Code asks about. */
  async deleteRunning(index) {
    await this.focusCell(index);
    await this.command('Notebook: Delete Cell');
    await this.confirm('Delete');
  }

  /** Undoes what was done to the cells, not in one of them. */
  async undo() {
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press('Control+Z');
  }

  /** Runs a cell by its keyboard short-cut, which moves on to the next one. */
  async runCell(index) {
    await this.focusCell(index);
    await this.page.keyboard.press('Shift+Enter');
  }

  /** Waits for the mark of a cell that has ended. */
  async ended(index, how = 'success', milliseconds = 30_000) {
    await this.cell(index).locator(`.codicon-notebook-state-${how}`).first().waitFor({ timeout: milliseconds });
  }

  waiting(index) {
    return this.cell(index).locator('.codicon-notebook-state-pending').first();
  }

  running(index) {
    return this.cell(index).locator('.codicon-notebook-state-executing').first();
  }

  /** An element within the notebook's outputs, which are drawn in frames of their own. */
  output(selector, text, milliseconds = 30_000) {
    return eventually(
      `output ${selector} ${text ?? ''}`,
      async () => {
        for (const frame of this.page.frames()) {
          if (!/\/webview\/browser\/pre\//.test(frame.url())) continue;
          const found = frame.locator(selector, text ? { hasText: text } : {}).first();
          if ((await found.count()) && (await found.isVisible())) return found;
        }
        return null;
      },
      milliseconds,
    );
  }

  /** The page of a webview, by something that it alone has; each is a frame within a frame. */
  webview(selector) {
    return eventually(`a webview with ${selector}`, async () => {
      for (const frame of this.page.frames()) {
        if (!/\/webview\/browser\/pre\//.test(frame.url())) continue;
        if (await frame.locator(selector).first().isVisible()) return frame;
      }
      return null;
    });
  }

  /** That several outputs have these words. */
  outputs(text, count) {
    return eventually(`${count} outputs with ${text}`, async () => {
      const found = this.page.frames().filter((frame) => /\/webview\/browser\/pre\//.test(frame.url()));
      const counts = await Promise.all(found.map((frame) => frame.locator('.output', { hasText: text }).count()));
      return counts.some((one) => one >= count);
    });
  }

  toast(text) {
    return this.page.locator('.notifications-toasts .notification-list-item').filter({ hasText: text }).last();
  }

  /** Presses a button of a notification. */
  async press(text, button) {
    const pressed = this.toast(text).locator('.monaco-button', { hasText: button });
    await pressed.waitFor();
    // One that moves up just then, because another goes, is not hit.
    await eventually(`${button} is pressed`, async () => {
      if (await pressed.isVisible()) await pressed.click({ timeout: 1_000 });
      return pressed.waitFor({ state: 'hidden', timeout: 1_000 }).then(() => true);
    });
  }

  /** Closes a notification without an answer. */
  async close(text) {
    await this.toast(text).hover();
    await this.toast(text).locator('.action-label.codicon-notifications-clear').click();
    await this.toast(text).waitFor({ state: 'detached' });
  }

  /** Presses a button of a modal dialog. */
  async confirm(button) {
    await this.page.locator('.monaco-dialog-box').getByRole('button', { name: button, exact: true }).click();
  }

  /** An item in a cell's own status bar. */
  link(index, text) {
    return this.cell(index).locator('.cell-status-item', { hasText: text });
  }

  /** Presses a button of the notebook's toolbar. */
  async tool(label) {
    await this.notebook.locator('.notebook-toolbar-container .action-item').filter({ hasText: label }).first().click();
  }

  status(text) {
    return this.page.locator('.statusbar-item', { hasText: text }).first();
  }

  activity(title) {
    return this.page.locator('.activitybar .action-item').filter({ has: this.page.locator(`[aria-label^="${title}"]`) });
  }

  async showView(title) {
    const item = this.activity(title);
    if (!(await item.getAttribute('class')).includes('checked')) await item.click();
  }

  row(text) {
    return this.page.locator('.pane-body .monaco-list-row', { hasText: text }).first();
  }

  /** Chooses from the menu of a line in a tree. */
  async rowMenu(row, item) {
    await row.click({ button: 'right' });
    const chosen = this.page.locator('.monaco-menu .action-item', { hasText: item }).first();
    await chosen.waitFor();
    // A menu takes no click in its first moment.
    await eventually(`${item} is chosen`, async () => {
      if (await chosen.isVisible()) await chosen.click({ timeout: 1_000 });
      return chosen.waitFor({ state: 'hidden', timeout: 500 }).then(() => true);
    });
  }

  /** Saves the active editor and reads the file. */
  async save(path) {
    await this.command('File: Save');
    await eventually('the notebook is saved', async () => (await this.page.locator('.tab.active.dirty').count()) === 0);
    return readNotebook(path);
  }

  /** Saves the active editor for the first time. */
  async saveAs(path) {
    await this.command('File: Save As...');
    const box = this.page.locator('.quick-input-widget:visible .quick-input-box input');
    // The dialog fills in a name of its own, a little later.
    await eventually('a proposed name', async () => (await box.inputValue()).endsWith('.ipynb'));
    await box.fill(path);
    // Until it has looked at the path, it takes no Enter.
    await eventually('the dialog is closed', async () => {
      await box.press('Enter', { timeout: 1_000 }).catch(() => {});
      return box.waitFor({ state: 'hidden', timeout: 1_000 }).then(() => true);
    });
  }

  async type(index, text) {
    await this.focusCell(index);
    await this.page.keyboard.press('Control+End');
    await this.page.keyboard.type(text);
  }
}
