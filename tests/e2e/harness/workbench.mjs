// What a person does in VS Code's workbench, by the selectors that hold in it.
// Guarantees: every wait ends, with a message that names what was not seen. Leaves out: what it means to the product.
import { readNotebook } from './notebook.mjs';
import { Notices } from './notices.mjs';
import { click, clickNow, eventually, moment, patience, settled } from './wait.mjs';

export { click, clickNow, eventually, moment } from './wait.mjs';

const ofWebview = /\/webview\/browser\/pre\//;

export class Workbench extends Notices {
  async ready() {
    await this.page.locator('.monaco-workbench .part.statusbar').waitFor();
    // Until what extensions contribute is known, a notebook would open as plain text.
    await this.activity('Kernel Keeper').waitFor();
    await this.page.locator('.monaco-workbench .part.statusbar').evaluate((bar) => {
      window.stated = new Set();
      const look = () => bar.querySelectorAll('.statusbar-item').forEach(({ textContent }) => window.stated.add(textContent));
      look();
      new MutationObserver(look).observe(bar, { subtree: true, childList: true, characterData: true });
    });
  }

  /** That it stood in the status bar since the window was opened: what happened stands there for seconds only. */
  stated(text) {
    return eventually(`in the status bar: ${text}`, () =>
      this.page.evaluate((one) => [...window.stated].some((stated) => stated.includes(one)), text),
    );
  }

  get list() {
    return this.page.locator('.quick-input-widget:visible .quick-input-list .monaco-list-row');
  }

  /** Runs a command by its title. F1 works wherever the focus is, but inside an output; again where VS Code closed the list as the focus went elsewhere. */
  async command(title) {
    const input = this.page.locator('.quick-input-widget:visible .quick-input-box input');
    const label = this.page.locator('.label-name', { hasText: exactly(title) });
    await eventually(`the command ${title}`, async () => {
      // Resting on a line of the list it would bring up a hover, which covers other lines.
      await this.page.mouse.move(0, 0);
      await this.page.keyboard.press('F1');
      await input.fill(`>${title}`, { timeout: moment });
      return this.pickNow(this.list.filter({ has: label }));
    });
  }

  /** Chooses a line of the list that is open. */
  async pickNow(line) {
    await line.first().waitFor({ timeout: moment });
    await settled('the list', () => this.list.allInnerTexts());
    return clickNow(line.first());
  }

  async pick(label) {
    await eventually(`${label} in a list`, () => this.pickNow(this.list.filter({ hasText: label })));
  }

  /** Chooses lines of the lists that come one after the other; anew where VS Code closed one as the focus went elsewhere. */
  async choose(open, ...labels) {
    await eventually(`lists with ${labels.join(', ')}`, async () => {
      await open();
      for (const label of labels) await this.pickNow(this.list.filter({ hasText: label }));
      return true;
    });
  }

  /** Answers an input box, such as a cell's input(). */
  async answer(text, prompt) {
    const box = this.page.locator('.quick-input-widget:visible');
    if (prompt) await box.filter({ hasText: prompt }).waitFor();
    const input = box.locator('.quick-input-box input');
    await input.fill(text);
    await input.press('Enter');
    await box.waitFor({ state: 'hidden' });
  }

  asked(prompt) {
    return this.page.locator('.quick-input-widget:visible').filter({ hasText: prompt });
  }

  /** Leaves a list without an answer. One that stays where the focus goes elsewhere may not have the keyboard. */
  async leave(prompt) {
    const list = this.asked(prompt);
    await list.waitFor();
    await eventually(`${prompt} is left`, async () => {
      const input = list.locator('.quick-input-box input').last();
      if (await input.isVisible()) await input.press('Escape', { timeout: moment });
      return list.waitFor({ state: 'hidden', timeout: moment }).then(() => true);
    });
  }

  /** Opens a notebook. VS Code draws its cells once their webview answers; where it never does, the notebook is opened again. */
  async openFile(name) {
    const drawn = () => this.notebook.locator('.cell-list-container .monaco-list-row').first().waitFor();
    for (let attempt = 1; ; attempt += 1) {
      await eventually(`${name} is opened`, async () => {
        // A line of the explorer may move just then, and another one be clicked.
        await this.entry(name).dblclick({ timeout: moment });
        return this.inFront(name)
          .waitFor({ timeout: moment })
          .then(() => true);
      });
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
    const box = this.page.locator('.explorer-folders-view .monaco-inputbox input');
    // The click opens a notebook, too: where that takes the keyboard, the box is gone, and what was in it is the name.
    await eventually(`${name} gets another name`, async () => {
      if (await this.entry(to).isVisible()) return true;
      await clickNow(this.entry(name));
      await this.page.keyboard.press('F2');
      await box.fill(to, { timeout: moment });
      await box.press('Enter', { timeout: moment });
      return true;
    });
    await this.entry(to).waitFor();
  }

  tab(name) {
    return this.page.locator('.tab', { hasText: name }).first();
  }

  inFront(name) {
    return this.page.locator('.tab.active', { hasText: name }).first();
  }

  /** Goes to a tab; again where another one took its place just then. */
  async show(name) {
    await eventually(`${name} is in front`, async () => {
      await clickNow(this.tab(name));
      return this.inFront(name)
        .waitFor({ timeout: moment })
        .then(() => true);
    });
  }

  /** Clicks on a tab, where there is one now, and does not look what comes of it. */
  async glance(name) {
    await this.tab(name)
      .click({ timeout: 200 })
      .catch(() => {});
  }

  /** A notebook in that folder has taken the place of one of the same name: until then the old one is in front. */
  async isNowIn(folder, name) {
    const path = this.page.locator('.monaco-breadcrumb-item', { hasText: folder }).first();
    const tabs = this.page.locator('.tab', { hasText: name });
    await eventually(`one tab of ${name}, in ${folder}`, async () => {
      if ((await tabs.count()) !== 1) return false;
      // Where the old one was in front, its end may have brought another to the front.
      if (!(await this.inFront(name).isVisible())) await clickNow(tabs);
      return (await this.inFront(name).isVisible()) && (await path.isVisible());
    });
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
        return await this.tab(name).waitFor({ state: 'detached', timeout: patience / 4 });
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
      if (!(await picker.isVisible())) await clickNow(label);
      await kernel
        .or(source)
        .first()
        .waitFor({ timeout: moment })
        .catch(() => this.page.keyboard.press('Escape'));
      if (!(await kernel.isVisible())) {
        if (await source.isVisible()) await clickNow(source);
        return false;
      }
      await this.pickNow(kernel);
      // What was clicked may have been exchanged for something else just then.
      return label
        .filter({ hasText: name })
        .waitFor({ timeout: moment })
        .then(() => true);
    });
  }

  kernelLabel(name) {
    return this.notebook.locator('.kernel-label').filter({ hasText: name });
  }

  /** Clicks into a cell, and has the keyboard in it. */
  async focusCell(index) {
    const cell = this.cell(index);
    await eventually(`the keyboard is in cell ${index}`, async () => {
      if (!(await this.scrollTowards(index))) return false;
      await clickNow(cell.locator('.monaco-editor .view-lines').first());
      return cell.evaluate((row) => row.contains(row.ownerDocument.activeElement), undefined, { timeout: moment });
    });
  }

  /**
   * Whether a cell is in view; if not, one turn of the wheel brings it closer. Only what is in view, or close to it, is drawn, and the
   * keyboard does not scroll to the rest.
   */
  async scrollTowards(index) {
    const list = await this.notebook.locator('.cell-list-container').first().boundingBox({ timeout: moment });
    const lines = this.cell(index).locator('.monaco-editor .view-lines').first();
    const box = (await lines.isVisible()) ? await lines.boundingBox({ timeout: moment }) : null;
    if (box && box.y >= list.y && box.y + box.height / 2 < list.y + list.height) return true;
    const rows = this.notebook.locator('.cell-list-container .monaco-list-row[data-index]');
    const places = () => rows.evaluateAll((all) => all.map((row) => [Number(row.dataset.index), row.getBoundingClientRect().y]));
    const before = await places();
    const isAbove = box ? box.y < list.y : Math.min(...before.map(([one]) => one)) > index;
    await this.page.mouse.move(list.x + 20, list.y + 100);
    await this.page.mouse.wheel(0, isAbove ? -300 : 300);
    // Where it was at its end, nothing moves.
    await eventually('it moved', async () => `${await places()}` !== `${before}`, 1_000).catch(() => {});
    return false;
  }

  /** Deletes a cell that runs, which VS Code asks about. */
  async deleteRunning(index) {
    await this.focusCell(index);
    await this.command('Notebook: Delete Cell');
    await this.confirm('Delete');
  }

  /** Undoes what was done to the cells, not in one of them. */
  async undo() {
    await eventually('the notebook has the keyboard', () => this.notebook.evaluate((one) => one.contains(document.activeElement)));
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press('Control+Z');
  }

  /** Runs a cell by its keyboard short-cut, which moves on to the next one. */
  async runCell(index) {
    await this.focusCell(index);
    await this.page.keyboard.press('Shift+Enter');
  }

  /** Waits for the mark of a cell that has ended. */
  async ended(index, how = 'success', milliseconds = patience) {
    await this.cell(index).locator(`.codicon-notebook-state-${how}`).first().waitFor({ timeout: milliseconds });
  }

  /** Waits until a cell has ended as this execution of the kernel's. */
  async ran(index, count) {
    await this.cell(index)
      .locator('.execution-count-label', { hasText: `[${count}]` })
      .waitFor();
    await this.ended(index);
  }

  waiting(index) {
    return this.cell(index).locator('.codicon-notebook-state-pending').first();
  }

  running(index) {
    return this.cell(index).locator('.codicon-notebook-state-executing').first();
  }

  /** The frames of webviews that are in sight. Those of a notebook behind another one are there, too, and what is in them looks drawn. */
  async inSight() {
    const found = [];
    for (const frame of this.page.frames()) {
      if (!ofWebview.test(frame.url())) continue;
      let outer = frame;
      while (outer.parentFrame() !== this.page.mainFrame()) outer = outer.parentFrame();
      if (await (await outer.frameElement()).isVisible()) found.push(frame);
    }
    return found;
  }

  /** An element within the notebook's outputs, which are drawn in frames of their own. */
  output(selector, text, milliseconds = patience) {
    return eventually(
      `output ${selector} ${text ?? ''}`,
      async () => {
        for (const frame of await this.inSight()) {
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
        if (!ofWebview.test(frame.url())) continue;
        if (await frame.locator(selector).first().isVisible()) return frame;
      }
      return null;
    });
  }

  /** That several outputs have these words. */
  outputs(text, count) {
    return eventually(`${count} outputs with ${text}`, async () => {
      const counts = await Promise.all((await this.inSight()).map((frame) => frame.locator('.output', { hasText: text }).count()));
      return counts.some((one) => one >= count);
    });
  }

  /** Presses a button of a modal dialog. */
  async confirm(button) {
    await click(this.page.locator('.monaco-dialog-box').getByRole('button', { name: button, exact: true }));
  }

  /** An item in a cell's own status bar. */
  link(index, text) {
    return this.cell(index).locator('.cell-status-item', { hasText: text });
  }

  /** Presses a button of the notebook's toolbar. */
  async tool(label) {
    await click(this.notebook.locator('.notebook-toolbar-container .action-item').filter({ hasText: label }).first());
  }

  status(text) {
    return this.page.locator('.statusbar-item', { hasText: text }).first();
  }

  activity(title) {
    return this.page.locator('.activitybar .action-item').filter({ has: this.page.locator(`[aria-label^="${title}"]`) });
  }

  /** A click on what is shown already would hide it. */
  async showView(title) {
    const item = this.activity(title);
    const shown = item.and(this.page.locator('.checked'));
    await eventually(`${title} is shown`, async () => {
      if (await shown.isVisible()) return true;
      await clickNow(item);
      return shown.waitFor({ timeout: moment }).then(() => true);
    });
  }

  /** Opens a folder in the explorer; a click on one that is open would close it. */
  async openFolder(name, within) {
    await eventually(`${name} is open`, async () => {
      if (await this.entry(within).isVisible()) return true;
      await clickNow(this.entry(name));
      return this.entry(within)
        .waitFor({ timeout: moment })
        .then(() => true);
    });
  }

  /** Presses a key on a line of a tree, until what comes of it is seen: a line that is drawn anew just then takes none. */
  async keyOn(row, key, seen) {
    await eventually(`${key} on a line`, async () => {
      if (await seen.isVisible()) return true;
      await clickNow(row);
      await this.page.keyboard.press(key);
      return seen.waitFor({ timeout: moment }).then(() => true);
    });
  }

  row(text) {
    return this.page.locator('.pane-body .monaco-list-row', { hasText: text }).first();
  }

  /** Chooses from the menu of a line in a tree; VS Code closes it where the focus goes elsewhere. */
  async rowMenu(row, item) {
    const chosen = this.page.locator('.monaco-menu .action-item', { hasText: item }).first();
    let isChosen = false;
    await eventually(`${item} is chosen`, async () => {
      if (!(await chosen.isVisible())) {
        if (isChosen) return true;
        await clickNow(row, { button: 'right' });
        await chosen.waitFor({ timeout: moment }).catch(async (error) => {
          // Another line had come there just then: its menu would take all clicks.
          await this.page.keyboard.press('Escape');
          throw error;
        });
      }
      // A menu takes no click in its first moment.
      await settled('the menu', () => chosen.boundingBox({ timeout: moment }));
      isChosen = await clickNow(chosen);
      return chosen.waitFor({ state: 'hidden', timeout: moment }).then(() => true);
    });
  }

  /** Presses a button that a line shows while the mouse is on it. */
  async rowButton(row, label) {
    await eventually(`${label} is pressed`, async () => {
      await row.hover({ timeout: moment });
      return clickNow(row.locator(`.action-label[aria-label^="${label}"]`).first());
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
    await this.enter(box);
  }

  /** Accepts the path in a dialog about files: until it has looked at that, it takes no Enter. */
  async enter(box) {
    await eventually('the dialog is closed', async () => {
      await box.press('Enter', { timeout: moment }).catch(() => {});
      return box.waitFor({ state: 'hidden', timeout: 1_000 }).then(() => true);
    });
  }

  async type(index, text) {
    await this.focusCell(index);
    await this.page.keyboard.press('Control+End');
    await this.page.keyboard.type(text);
  }
}

/** A title, also where it ends in dots since it asks for more. */
const exactly = (title) => new RegExp(`^${title.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}(…|\\.\\.\\.)?$`);
