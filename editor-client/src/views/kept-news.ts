/**
 * "2 kernels kept running", for the status item's first moments.
 * Guarantees: said once a window, in the first seconds or not at all; it goes after a while, or once the person looks.
 */
import * as vscode from 'vscode';
import { keptRunning } from '../kept';
import type { Session } from '../protocol/types';
import type { Sessions } from '../sessions';

const SHOWN_MS = 20_000;
/** Windows of an editor that crashed are known to be gone only after a moment. */
const LOOKED_FOR_MS = 5_000;

export class KeptNews implements vscode.Disposable {
  private readonly listening: vscode.Disposable;
  private timer: NodeJS.Timeout | undefined;

  /** Empty where there is nothing to say, or it was said. */
  kept: readonly Session[] = [];

  constructor(
    sessions: Sessions,
    private readonly changed: () => void,
  ) {
    const begin = new Date();
    this.listening = sessions.onDidChange(() => {
      if (!sessions.isListed || this.kept.length > 0) return;
      this.kept = keptRunning(sessions.live(), begin);
      if (this.kept.length > 0) this.endIn(SHOWN_MS);
      else if (!this.timer) this.endIn(LOOKED_FOR_MS);
    });
  }

  end(): void {
    const wasShown = this.kept.length > 0;
    this.dispose();
    this.kept = [];
    if (wasShown) this.changed();
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.listening.dispose();
  }

  private endIn(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.end();
    }, milliseconds);
  }
}
