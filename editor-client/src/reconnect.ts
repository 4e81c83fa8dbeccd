/**
 * The token by which this window is taken up again after a reload: it keeps its kernels then, without a question.
 * Guarantees: renewed every five minutes, as it is good for fifteen. Presented only under the editor's process that it was stored under:
 * an editor that was quit and started again is asked, however soon. Where it cannot be kept the window is a new one after a reload, and is
 * asked.
 * Leaves out: where it is kept (`tokens.ts`).
 */
import * as vscode from 'vscode';
import type { Sidecar } from './client';
import { messageOf } from './errors';
import { Tokens } from './tokens';

const RENEW_MS = 5 * 60_000;

/** Where the token is kept, before there is a sidecar that it is for. */
export class TokenStore implements vscode.Disposable {
  private readonly tokens: Tokens;

  constructor(
    { storageUri, globalStorageUri }: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
  ) {
    const path = vscode.Uri.joinPath(storageUri ?? globalStorageUri, 'windows').fsPath;
    this.tokens = new Tokens(path, { editor: process.ppid, host: process.pid, hasFolder: storageUri !== undefined, tabs: openTabs });
  }

  async get(): Promise<string | undefined> {
    try {
      return await this.tokens.get();
    } catch (error) {
      this.log.warn(`This window's token cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }

  async put(token: string): Promise<void> {
    try {
      await this.tokens.put(token);
    } catch (error) {
      this.log.warn(`This window's token cannot be kept: ${messageOf(error)}`);
    }
  }

  /** The window has other tabs. */
  changed(): void {
    try {
      this.tokens.changed();
    } catch (error) {
      this.log.warn(`This window's token cannot be kept: ${messageOf(error)}`);
    }
  }

  /** The window goes: it may be a reload. */
  dispose(): void {
    try {
      this.tokens.leave();
    } catch {
      // Then it is asked when it comes again.
    }
  }
}

/** Keeps a fresh token in the store. */
export function keepToken(sidecar: Sidecar, store: TokenStore): vscode.Disposable {
  const renew = async () => {
    if (sidecar.state !== 'running') return;
    try {
      const { token } = await sidecar.request('keeper/reconnectToken', {});
      await store.put(token);
    } catch (error) {
      sidecar.log.warn(`The window has no fresh token: ${messageOf(error)}`);
    }
  };
  const timer = setInterval(() => void renew(), RENEW_MS);
  const ready = sidecar.onReady(() => void renew());
  const tabs = vscode.window.tabGroups.onDidChangeTabs(({ opened, closed }) => {
    if (opened.length + closed.length > 0) store.changed();
  });
  const stop = new vscode.Disposable(() => {
    clearInterval(timer);
  });
  return vscode.Disposable.from(ready, tabs, stop, store);
}

function openTabs(): string[] {
  const inputs = vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs.map(({ input }) => input));
  const shown = inputs.filter((input) => input instanceof vscode.TabInputNotebook || input instanceof vscode.TabInputText);
  return shown.map(({ uri }) => uri.toString());
}
