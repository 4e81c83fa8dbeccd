/**
 * The token by which this window is taken up again after a reload: it keeps its kernels then, without a question.
 * Guarantees: in VS Code's secret storage under a key of this window's own, since all windows share the storage; renewed every five
 * minutes, as it is good for fifteen. Presented only under the editor's process that it was stored under: an editor that was quit and
 * started again is asked, however soon. Where there is no storage the window is a new one after a reload, and is asked.
 * Leaves out: whether a token is good, which the sidecar decides.
 */
import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Sidecar } from './client';
import { messageOf } from './errors';

const RENEW_MS = 5 * 60_000;
const WINDOW = 'kernelKeeper.window';

/** Where the token is kept, before there is a sidecar that it is for. */
export class TokenStore {
  constructor(
    private readonly secrets: vscode.SecretStorage,
    private readonly workspace: vscode.Memento,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  async get(): Promise<string | undefined> {
    try {
      const [editor, token] = (await this.secrets.get(await this.key()))?.split(' ') ?? [];
      return editor === String(process.ppid) ? token : undefined;
    } catch (error) {
      this.log.warn(`The secret storage cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }

  async put(token: string): Promise<void> {
    try {
      await this.secrets.store(await this.key(), `${process.ppid} ${token}`);
    } catch (error) {
      this.log.warn(`The secret storage cannot be written: ${messageOf(error)}`);
    }
  }

  /** What VS Code remembers of a workspace it remembers of a window: it opens a folder once. */
  private async key(): Promise<string> {
    let window = this.workspace.get<string>(WINDOW);
    if (window === undefined) {
      window = randomUUID();
      await this.workspace.update(WINDOW, window);
    }
    return `${WINDOW}.${window}`;
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
  const stop = new vscode.Disposable(() => {
    clearInterval(timer);
  });
  return vscode.Disposable.from(ready, stop);
}
