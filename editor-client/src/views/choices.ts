/** A session as a line of a list to choose from; the same in all of them. */
import * as vscode from 'vscode';
import { choiceText, isGone } from '../describe';
import type { Session } from '../protocol/types';
import { iconOf } from './session-item';

export interface SessionChoice extends vscode.QuickPickItem {
  readonly session: Session;
}

export function sessionChoice(session: Session, now: Date): SessionChoice {
  const pinned = session.pinned ? ` · ${vscode.l10n.t('pinned')}` : '';
  return {
    label: session.label,
    // Turning icons are drawn beside their place in such lists.
    iconPath: new vscode.ThemeIcon(iconOf(session).id.replace('~spin', '')),
    description: `${choiceText(session, now, vscode.l10n.t)}${pinned}`,
    detail: whatAndWhere(session),
    session,
  };
}

/** Tells those of the same name apart. */
function whatAndWhere(session: Session): string {
  const paths = session.notebooks.map(({ notebookPath, notebookUri }) =>
    notebookPath === null ? vscode.l10n.t('not saved yet') : vscode.workspace.asRelativePath(vscode.Uri.parse(notebookUri)),
  );
  const another = session.replaced ? [vscode.l10n.t('its notebook has another kernel')] : [];
  const gone = another.length === 0 && isGone(session) ? [vscode.l10n.t('notebook is gone')] : another;
  return [...gone, paths.join(', '), session.kernel.displayName].join(' · ');
}
