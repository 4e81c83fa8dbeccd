/** Which session a command is about: the line of the tree it was called on, the notebook in front, or the one that is picked. */
import * as vscode from 'vscode';
import { sessionDescription } from '../describe';
import type { Attachments } from '../kernels/attachments';
import type { Session } from '../protocol/types';
import type { Sessions } from '../sessions';

export class Targets {
  constructor(
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
  ) {}

  /** `argument` is what VS Code passes: a line of the tree, or from the notebook's toolbar its editor. */
  async of(argument: unknown, placeHolder: string): Promise<Session | undefined> {
    if (isSession(argument)) return this.sessions.get(argument.id) ?? argument;
    if (isOfSession(argument)) return this.sessions.get(argument.session.id) ?? argument.session;
    const notebook = vscode.window.activeNotebookEditor?.notebook;
    const attachment = notebook && this.attachments.of(notebook);
    // Never another notebook's kernel in place of this one's.
    if (attachment) return this.sessions.find(attachment.sessionId);
    return (notebook && this.sessions.of(notebook.uri)) ?? (await this.pick(placeHolder));
  }

  async pick(placeHolder: string): Promise<Session | undefined> {
    const now = new Date();
    const items = this.sessions
      .live()
      .map((session) => ({ label: session.label, description: sessionDescription(session, now, vscode.l10n.t), session }));
    if (items.length === 0) {
      void vscode.window.showInformationMessage(vscode.l10n.t('Kernel Keeper: no kernels are running.'));
      return undefined;
    }
    return (await vscode.window.showQuickPick(items, { placeHolder }))?.session;
  }
}

/** One of several notebooks of a session, in the tree. */
function isOfSession(value: unknown): value is { session: Session } {
  return typeof value === 'object' && value !== null && 'session' in value && isSession(value.session);
}

function isSession(value: unknown): value is Session {
  return typeof value === 'object' && value !== null && 'id' in value && 'notebooks' in value;
}
