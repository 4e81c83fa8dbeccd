// What a person reads and presses of VS Code's notifications, on the screen and, once they have left it, in the list under the bell.
// Guarantees: one that was there is found, however late it is looked for. Leaves out: dialogs, and all else (workbench.mjs).
import { clickNow, eventually, moment, settled } from './wait.mjs';

export class Notices {
  constructor(page) {
    this.page = page;
  }

  /** A notification on the screen, or in the list of those that have left it, where that is open. */
  toast(text) {
    const both = ['.notifications-toasts', '.notifications-center.visible'].map((place) => `${place} .notification-list-item`);
    return this.page.locator(both.join(', ')).filter({ hasText: text }).last();
  }

  get bell() {
    return this.page.locator('.statusbar-item[id="status.notifications"]');
  }

  get notices() {
    return this.page.locator('.notifications-center.visible');
  }

  /** Does something with a notification. VS Code takes it from the screen after ten seconds; then it is in the list under the bell. */
  async onNotice(what, text, act) {
    // The bell has a dot while there is one that came since its list was open: then there is no need to wait for another.
    const dot = this.bell.locator('.codicon-bell-dot');
    const begun = Date.now();
    const isKnown = this.known === `${text}`;
    let look = begun;
    await eventually(what, async () => {
      if (await this.toast(text).isVisible()) return act();
      if (await act.isDone?.()) return true;
      if (Date.now() < look || (!isKnown && Date.now() < begun + moment && !(await dot.isVisible()))) return false;
      look = Date.now() + moment;
      await this.turnBell(true);
      if (await this.toast(text).isVisible()) return act();
      await this.turnBell(false);
      return false;
    });
    await eventually('the list of notifications is closed', () => this.turnBell(false).then(() => true));
  }

  /** Opens the list of notifications, if there are any, or closes it. */
  async turnBell(open) {
    if ((await this.notices.isVisible()) === open) return;
    const button = this.bell.locator('a').first();
    if (open) {
      await clickNow(button);
      // The bell's hover would cover the buttons above it.
      await this.page.mouse.move(0, 0);
    } else {
      // The mouse would take the focus from what a button of the list has just brought up, and close that.
      await button.dispatchEvent('click', {}, { timeout: moment });
    }
    await this.notices.waitFor({ state: open ? 'visible' : 'hidden', timeout: moment });
  }

  /** That a notification has come: it may have left the screen since. */
  async said(text) {
    await this.onNotice(`a notification: ${text}`, text, () => true);
    this.known = `${text}`;
  }

  /** Whether a notification says so now, on the screen or among those that have left it. */
  async says(text) {
    await eventually('the list of notifications', () => this.turnBell(true).then(() => true));
    const count = await this.toast(text).count();
    await eventually('the list of notifications is closed', () => this.turnBell(false).then(() => true));
    return count > 0;
  }

  /** That none says so. */
  async neverSaid(text) {
    if (await this.says(text)) throw new Error(`a notification says: ${text}`);
  }

  /** Presses a button of a notification. */
  async press(text, button) {
    const target = this.toast(text).locator('.monaco-button', { hasText: button });
    let isPressed = false;
    const act = async () => {
      // One that moves, for another came or went, takes no click: it is pressed again where it stays.
      await settled(button, () => target.boundingBox({ timeout: moment }));
      isPressed = await clickNow(target);
      await target.waitFor({ state: 'hidden', timeout: moment / 4 });
      return true;
    };
    act.isDone = () => isPressed;
    await this.onNotice(`${button} is pressed`, text, act);
  }

  /** Closes a notification without an answer. */
  async close(text) {
    let isPressed = false;
    const act = async () => {
      await this.toast(text).hover({ timeout: moment });
      isPressed = await clickNow(this.toast(text).locator('.action-label.codicon-notifications-clear'));
      await this.toast(text).waitFor({ state: 'detached', timeout: moment });
      return true;
    };
    act.isDone = () => isPressed;
    await this.onNotice(`${text} is closed`, text, act);
  }
}
