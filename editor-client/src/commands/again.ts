/**
 * *Restart and Run All*, *Restart and Run to Selected Cell*: the kernel of the notebook in front begins anew, and cells run in it.
 * Guarantees: asks as *Restart* does, and runs nothing where that is not wanted or fails; the cells of that notebook alone run, as by VS
 * Code's own *Run All*, and in the kernel that was restarted.
 */
import * as vscode from 'vscode';
import { NOTEBOOK_TYPE, runsIn } from '../kernels/controllers';
import { hasTab } from '../kernels/selection';
import { withoutSkipped } from '../kernels/tags';
import { registerLineCommand } from '../line-command';
import type { Session } from '../protocol/types';
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
  const id = sessionIdOf(notebook, parts);
  const session = id === undefined ? undefined : await parts.sessions.find(id);
  if (!session) {
    void showInformation(vscode.l10n.t('Kernel Keeper: this notebook has no kernel yet that could be restarted. Run its cells.'));
    return;
  }
  // While it is asked, another cell may be clicked, and cells may come and go: what was selected before is meant.
  const last = notebook.getCells(new vscode.NotebookRange(0, end(editor))).at(-1);
  if ((await restartAsked(session, parts)) && last) await runTo(last, session, parts);
}

/** By itself, not by VS Code's command: that runs the cells of whichever notebook is in front, where this one is shown no more. */
async function runTo(last: vscode.NotebookCell, session: Session, parts: Parts): Promise<void> {
  const { notebook } = last;
  const kernel = parts.controllers.of(session.kernel);
  const editor = vscode.window.visibleNotebookEditors.find((one) => one.notebook === notebook);
  if (editor && !parts.selection.of(notebook)) await parts.selection.propose(editor, kernel);
  if (notebook.isClosed || !hasTab(notebook.uri) || last.index < 0) return;
  if (parts.selection.of(notebook) !== kernel || sessionIdOf(notebook, parts) !== session.id) return;
  const cells = notebook.getCells(new vscode.NotebookRange(0, last.index + 1)).filter((cell) => runsIn(cell, kernel));
  await parts.runner.run(
    withoutSkipped(cells, () => false),
    notebook,
    kernel,
  );
}

const sessionIdOf = (notebook: vscode.NotebookDocument, { attachments, sessions }: Parts): string | undefined =>
  attachments.of(notebook)?.sessionId ?? sessions.of(notebook.uri)?.id;
