/** Which session a command is about: the line of the tree it was called on, the notebook in front, or the one that is picked. */
import * as vscode from 'vscode';
import type { Attachments } from '../kernels/attachments';
import type { Session } from '../protocol/types';
import { pickOne, showInformation } from '../say';
import type { Sessions } from '../sessions';
import { sessionChoice } from '../views/choices';
import type { SharedNotebook } from '../views/session-item';
import type { SessionTree } from '../views/tree';

/** What the keys of the tree pass, as `package.json` says: VS Code hands a key's command no line. */
const AT_KEYBOARD = 'atKeyboard';

export class Targets {
  constructor(
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
    private readonly tree: SessionTree,
  ) {}

  /** `argument` is what VS Code passes: a line of the tree, a sign that a key was pressed there, or the editor of a notebook's toolbar. */
  async of(argument: unknown, placeHolder: string): Promise<Session | undefined> {
    if (argument === AT_KEYBOARD) {
      const line = await this.tree.lineAtKeyboard(false);
      return line && this.of(line, placeHolder);
    }
    if (isSession(argument)) return this.sessions.get(argument.id) ?? argument;
    if (isOfSession(argument)) return this.sessions.get(argument.session.id) ?? argument.session;
    const notebook = vscode.window.activeNotebookEditor?.notebook;
    const attachment = notebook && this.attachments.of(notebook);
    // Never another notebook's kernel in place of this one's.
    if (attachment) return this.sessions.find(attachment.sessionId);
    return (notebook && this.sessions.of(notebook.uri)) ?? (await this.pick(placeHolder));
  }

  /** The notebook that is to be opened, and its session. */
  async notebookOf(argument: unknown, placeHolder: string): Promise<{ notebookUri: string; session: Session } | undefined> {
    const line = argument === AT_KEYBOARD ? await this.tree.lineAtKeyboard(true) : argument;
    if (line === undefined && argument === AT_KEYBOARD) return undefined;
    const session = await this.of(line, placeHolder);
    if (!session) return undefined;
    // A notebook that shares the kernel is a line of its own.
    return { notebookUri: isOfSession(line) ? line.notebookUri : session.notebookUri, session };
  }

  async pick(placeHolder: string): Promise<Session | undefined> {
    const now = new Date();
    const items = this.sessions.live().map((session) => sessionChoice(session, now));
    if (items.length === 0) {
      void showInformation(vscode.l10n.t('Kernel Keeper: no kernels are running.'));
      return undefined;
    }
    return (await pickOne(items, { placeHolder }))?.session;
  }
}

/** One of several notebooks of a session, in the tree. */
function isOfSession(value: unknown): value is SharedNotebook {
  return typeof value === 'object' && value !== null && 'session' in value && 'notebookUri' in value && isSession(value.session);
}

function isSession(value: unknown): value is Session {
  return typeof value === 'object' && value !== null && 'id' in value && 'notebooks' in value;
}
