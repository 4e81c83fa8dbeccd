/** A session and its notebooks as lines of the tree: words, icon, and what menus may do with them. */
import * as vscode from 'vscode';
import { factsText, lineText, spokenText } from '../describe';
import { hasDied } from '../groups';
import { plain } from '../plain';
import type { NotebookRef, Session } from '../protocol/types';

/** One of the notebooks that share a kernel. */
export interface SharedNotebook extends NotebookRef {
  readonly session: Session;
}

export interface SessionFacts {
  /** What it is called among the others. */
  readonly name: string;
  /** Where it died, the person knows it. */
  readonly isSeen: boolean;
  /** Its notebook has another kernel. */
  readonly isReplaced: boolean;
  /** They stand below it. */
  readonly hasConversations: boolean;
}

export function sessionItem(session: Session, { name, isSeen, isReplaced, hasConversations }: SessionFacts): vscode.TreeItem {
  const isSeveral = session.notebooks.length > 1;
  const { Collapsed, Expanded, None } = vscode.TreeItemCollapsibleState;
  const state = isSeveral ? Expanded : hasConversations ? Collapsed : None;
  const now = new Date();
  const item = new vscode.TreeItem(plain(lineText(session, name, now, vscode.l10n.t)), state);
  item.id = lineIdOf(session);
  item.description = plain(factsText(session, now, vscode.l10n.t, isReplaced));
  item.iconPath = iconOf(session);
  item.contextValue = contextOf(session, isSeen);
  item.accessibilityInformation = { label: plain(spokenText(session, name, now, vscode.l10n.t, isReplaced)) };
  return item;
}

/** VS Code keeps a line closed that it drew before there were notebooks below it: then it is another line. */
export const lineIdOf = ({ id, notebooks }: Session): string => (notebooks.length > 1 ? `${id} shared` : id);

export function notebookItem({ session, notebookUri, notebookPath, notebookExists }: SharedNotebook): vscode.TreeItem {
  const uri = vscode.Uri.parse(notebookUri);
  const label = uri.path.split('/').at(-1) ?? notebookUri;
  const item = new vscode.TreeItem(plain(label));
  item.id = `${session.id} ${notebookUri}`;
  item.iconPath = new vscode.ThemeIcon('notebook');
  // Where it is, as the explorer shows it; nothing at the top of the workspace.
  const folder = notebookPath === null ? '' : vscode.workspace.asRelativePath(uri).split('/').slice(0, -1).join('/');
  const gone = notebookExists ? '' : vscode.l10n.t('notebook is gone');
  item.description = plain([gone, folder].filter((part) => part !== '').join(' · '));
  item.tooltip = notebookPath ?? vscode.l10n.t('not saved yet');
  item.contextValue = session.state === 'ended' ? 'notebook' : 'notebook shared';
  const words = vscode.l10n.t('{0}, shares the kernel {1}', label, session.label);
  item.accessibilityInformation = { label: gone === '' ? words : `${words}, ${gone}` };
  return item;
}

/** The state at a glance; its words stand beside it, for who sees no colours. */
export function iconOf(session: Session): vscode.ThemeIcon {
  const icon = (id: string, color?: string) => new vscode.ThemeIcon(id, color === undefined ? undefined : new vscode.ThemeColor(color));
  if (session.state === 'ended') return hasDied(session) ? icon('error', 'charts.red') : icon('circle-slash');
  if (!session.responding || session.warnings.length > 0) return icon('warning', 'charts.yellow');
  switch (session.state) {
    case 'busy':
      return session.currentExecution?.input ? icon('question', 'charts.yellow') : icon('sync~spin', 'charts.blue');
    case 'idle':
      return icon('circle-filled', 'charts.green');
    default:
      return icon('loading~spin');
  }
}

/** Words that `package.json` looks for in its `when` clauses. */
function contextOf(session: Session, isSeen: boolean): string {
  const words = ['session', session.state];
  if (session.state !== 'ended') words.push('live');
  words.push('ours', session.pinned ? 'pinned' : 'unpinned');
  if (session.notebookPath !== null && session.notebookExists) words.push('file');
  if (hasDied(session) && !isSeen) words.push('unseen');
  return words.join(' ');
}
