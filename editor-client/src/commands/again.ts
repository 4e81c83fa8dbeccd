/**
 * *Restart and Run All*, *Restart and Run to Selected Cell*: the kernel of the notebook in front begins anew, and cells run in it.
 * Guarantees: asks as *Restart* does, and runs nothing where that is not wanted or fails; the cells run as by VS Code's own *Run All*.
 */
import * as vscode from 'vscode';
import { NOTEBOOK_TYPE } from '../kernels/controllers';
import { registerLineCommand } from '../line-command';
import { showInformation } from '../say';
import { isTrusted, type Parts, restartAsked } from './sessions';

export function registerAgainCommands(parts: Parts): vscode.Disposable {
  return vscode.Disposable.from(
    registerLineCommand('restartAndRunAll', () => again(parts, ({ notebook }) => notebook.cellCount)),
    registerLineCommand('restartAndRunToSelected', () => again(parts, ({ selection }) => selection.end)),
  );
}

/** `end`: behind the last cell that runs. */
async function again(parts: Parts, end: (editor: vscode.NotebookEditor) => number): Promise<void> {
  const editor = vscode.window.activeNotebookEditor;
  if (editor?.notebook.notebookType !== NOTEBOOK_TYPE || !isTrusted()) return;
  const { notebook } = editor;
  const attachment = parts.attachments.of(notebook);
  const session = attachment ? await parts.sessions.find(attachment.sessionId) : parts.sessions.of(notebook.uri);
  if (!session) {
    void showInformation(vscode.l10n.t('Kernel Keeper: this notebook has no kernel yet that could be restarted. Run its cells.'));
    return;
  }
  // While it is asked, another cell may be clicked: what was selected before is meant.
  const range = { start: 0, end: Math.min(end(editor), notebook.cellCount) };
  if (!(await restartAsked(session, parts))) return;
  await vscode.commands.executeCommand('notebook.cell.execute', { ranges: [range], document: notebook.uri });
}
