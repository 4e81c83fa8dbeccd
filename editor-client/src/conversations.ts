/**
 * The conversations that the sidecar keeps, as they were when it was last asked.
 * Guarantees: asked again when the sidecar says that they changed, and when somebody looks; the answer to an older question never
 * overwrites that to a newer one.
 */
import * as vscode from 'vscode';
import type { Sidecar } from './client';
import { messageOf } from './errors';
import type { Conversation, Session } from './protocol/types';

/** Many turns are one change. */
const TOGETHER_MS = 200;

export class Conversations implements vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  private readonly subscriptions: vscode.Disposable[];
  private known: readonly Conversation[] = [];
  private timer: NodeJS.Timeout | undefined;
  private asked = 0;

  readonly onDidChange = this.changeEmitter.event;

  constructor(private readonly sidecar: Sidecar) {
    this.subscriptions = [
      this.changeEmitter,
      sidecar.onReady(() => void this.refresh()),
      sidecar.onConversations(() => {
        this.timer ??= setTimeout(() => {
          this.timer = undefined;
          void this.refresh();
        }, TOGETHER_MS);
      }),
    ];
  }

  /** The latest first. */
  all(): readonly Conversation[] {
    return this.known;
  }

  get(conversationId: string): Conversation | undefined {
    return this.known.find((one) => one.conversationId === conversationId);
  }

  /** Those of a session, and those of its notebooks that have none. */
  of({ id, notebooks }: Session): Conversation[] {
    const isOf = (one: Conversation) =>
      one.sessionId === null ? notebooks.some((ref) => ref.notebookUri === one.notebookUri) : one.sessionId === id;
    return this.known.filter(isOf);
  }

  async refresh(): Promise<void> {
    if (this.sidecar.state !== 'running') return;
    const asked = ++this.asked;
    try {
      const { conversations } = await this.sidecar.request('keeper/conversation/list', {});
      if (asked !== this.asked || isSame(conversations, this.known)) return;
      this.known = conversations;
      this.changeEmitter.fire();
    } catch (error) {
      this.sidecar.log.warn(`The conversations could not be listed: ${messageOf(error)}`);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }
}

const isSame = (some: readonly Conversation[], others: readonly Conversation[]): boolean => JSON.stringify(some) === JSON.stringify(others);
