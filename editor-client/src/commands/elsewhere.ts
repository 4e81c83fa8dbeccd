/**
 * A kernel that another window shows: it stays there. It can be shared, or that window be brought to the front.
 * Leaves out: taking it away from the other window.
 */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { windowsOf } from '../describe';
import type { Session } from '../protocol/types';
import { showInformation } from '../say';
import { shareWith } from './attach';
import type { Parts } from './sessions';

/** Whether another window shows it, and this one does not. */
export function isElsewhere(session: Session): boolean {
  const windows = windowsOf(session);
  return windows.length > 0 && !windows.some(({ thisWindow }) => thisWindow);
}

export async function chooseElsewhere(session: Session, notebook: vscode.NotebookDocument | undefined, parts: Parts): Promise<void> {
  const folder = windowsOf(session).find((window) => window.folder !== null)?.folder ?? undefined;
  const [share, openHere] = [vscode.l10n.t('Share with Current Notebook'), vscode.l10n.t('Open Notebook Here')];
  const openFolder = vscode.l10n.t('Open That Folder');
  const actions = [...(notebook ? [share] : [openHere]), ...(folder === undefined ? [] : [openFolder])];
  const chosen = await showInformation(sentence(session, folder), { modal: true }, ...actions);
  if (chosen === share && notebook) await shareWith(session, notebook.uri, parts);
  else if (chosen === openHere) await vscode.commands.executeCommand('kernelKeeper.openNotebook', session);
  else if (chosen === openFolder && folder !== undefined) {
    // A folder that is open in a window is not opened again: that window comes to the front.
    await vscode.commands.executeCommand('vscode.openFolder', vscode.Uri.file(folder), { forceNewWindow: true });
  }
}

function sentence({ label }: Session, folder: string | undefined): string {
  return folder === undefined
    ? vscode.l10n.t('{0} is already open in another window, which has no folder: share it, or go to that window.', label)
    : vscode.l10n.t("{0} is already open in window {1}: share it, or bring that window's folder up.", label, basename(folder));
}
