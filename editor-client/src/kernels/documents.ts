/**
 * Opens notebooks, and exchanges the tab of one that moved on disk for a tab of its new file.
 * Guarantees: no prompt, and no unsaved edit is lost: an edited notebook's cells are carried over, and that is said. The old file is not
 * written again.
 */
import * as vscode from 'vscode';
import { hasTab, pause, tabsOf } from './selection';

/** The open notebook with that URI that a tab shows. */
export function shownNotebook(uri: vscode.Uri): vscode.NotebookDocument | undefined {
  if (!hasTab(uri)) return undefined;
  return vscode.workspace.notebookDocuments.find((notebook) => !notebook.isClosed && notebook.uri.toString() === uri.toString());
}

export async function openNotebook(uri: vscode.Uri, options: vscode.NotebookDocumentShowOptions = {}): Promise<vscode.NotebookDocument> {
  const notebook = await vscode.workspace.openNotebookDocument(uri);
  await vscode.window.showNotebookDocument(notebook, { preview: false, ...options });
  return notebook;
}

/** Opens `target` in the place of `old`, whose file is there no more. */
export async function exchangeTab(old: vscode.NotebookDocument, target: vscode.Uri): Promise<vscode.NotebookDocument> {
  const [tab] = tabsOf(old.uri);
  const place = tab && {
    viewColumn: tab.group.viewColumn,
    position: tab.group.tabs.indexOf(tab) + 1,
    isActive: tab.group.isActive && tab.isActive,
  };
  const cells = old.isDirty ? old.getCells().map(copyOf) : undefined;
  if (!old.isDirty) await vscode.window.tabGroups.close(tabsOf(old.uri));
  else await revertAndClose(old);
  const options = place ? { viewColumn: place.viewColumn, preserveFocus: !place.isActive } : {};
  const notebook = await openNotebook(target, options);
  if (place) await vscode.commands.executeCommand('moveActiveEditor', { to: 'position', by: 'tab', value: place.position });
  // Outputs come from the journal: only what the person typed is carried over.
  if (cells && !sameSources(notebook, cells)) await carryOver(notebook, cells);
  return notebook;
}

/** Asks nothing, unlike closing. It acts on the active editor, so it is made sure that this is the one. */
async function revertAndClose(notebook: vscode.NotebookDocument): Promise<void> {
  for (const tab of tabsOf(notebook.uri)) {
    await vscode.window.showNotebookDocument(notebook, { viewColumn: tab.group.viewColumn });
    const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    const isActive = input instanceof vscode.TabInputNotebook && input.uri.toString() === notebook.uri.toString();
    if (isActive) await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
  }
}

async function carryOver(notebook: vscode.NotebookDocument, cells: vscode.NotebookCellData[]): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  edit.set(notebook.uri, [vscode.NotebookEdit.replaceCells(new vscode.NotebookRange(0, notebook.cellCount), cells)]);
  if (!(await vscode.workspace.applyEdit(edit))) return;
  // The cells are new objects; let the editor settle before outputs are written.
  await pause(50);
  const file = notebook.uri.path.split('/').at(-1) ?? '';
  void vscode.window.showInformationMessage(vscode.l10n.t('Your unsaved edits were kept in {0}; they are still to be saved.', file));
}

function copyOf(cell: vscode.NotebookCell): vscode.NotebookCellData {
  const copy = new vscode.NotebookCellData(cell.kind, cell.document.getText(), cell.document.languageId);
  copy.metadata = cell.metadata;
  copy.outputs = [...cell.outputs];
  if (cell.executionSummary) copy.executionSummary = cell.executionSummary;
  return copy;
}

function sameSources(notebook: vscode.NotebookDocument, cells: readonly vscode.NotebookCellData[]): boolean {
  if (notebook.cellCount !== cells.length) return false;
  return notebook.getCells().every((cell, index) => cell.kind === cells[index]?.kind && cell.document.getText() === cells[index].value);
}
