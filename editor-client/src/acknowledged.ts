/**
 * Which deaths of kernels this person has seen: what was looked at needs attention no more.
 * Kept by the editor for all windows; one that is open already learns it at its next start. Of many the last are kept.
 */
import * as vscode from 'vscode';
import type { Session } from './protocol/types';

const KEY = 'acknowledged';
const KEPT = 100;

export class Acknowledged implements vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<void>();

  readonly onDidChange = this.changeEmitter.event;

  constructor(private readonly memento: vscode.Memento) {}

  has(session: Session): boolean {
    return this.all().includes(nameOf(session));
  }

  add(session: Session): void {
    if (session.state !== 'ended' || this.has(session)) return;
    void this.memento.update(KEY, [...this.all(), nameOf(session)].slice(-KEPT));
    this.changeEmitter.fire();
  }

  dispose(): void {
    this.changeEmitter.dispose();
  }

  private all(): readonly string[] {
    return this.memento.get<readonly string[]>(KEY, []);
  }
}

/** A session that was restarted can die again. */
const nameOf = ({ id, endedAt }: Session): string => `${id} ${endedAt ?? ''}`;
