/**
 * Opens notebooks, and exchanges the tab of one that moved on disk for a tab of its new file.
 * Guarantees: no prompt, and no unsaved edit is lost: an edited notebook's cells are carried over, and that is said; its tab is closed
 * only after that. Unsaved edits of the new file's tab are not written over. The old file is not written again.
 */
import * as vscode from 'vscode';
import { showInformation, showWarning } from '../say';
import { cellId } from './runs';
import { hasTab, nextEvent, pause, tabsOf } from './selection';

const SHOW_ATTEMPTS = 4;
const SHOW_AGAIN_MS = 250;
/** How long VS Code may take to tell that a tab is closed. */
const CLOSED_MS = 500;

/** The open notebook with that URI that a tab shows. */
export function shownNotebook(uri: vscode.Uri): vscode.NotebookDocument | undefined {
  if (!hasTab(uri)) return undefined;
  return vscode.workspace.notebookDocuments.find((notebook) => !notebook.isClosed && notebook.uri.toString() === uri.toString());
}

export async function openNotebook(uri: vscode.Uri, options: vscode.NotebookDocumentShowOptions = {}): Promise<vscode.NotebookDocument> {
  const notebook = await vscode.workspace.openNotebookDocument(uri);
  await showNotebook(notebook, options);
  return notebook;
}

/** VS Code gives up on an editor in whose place another one is opened just then, as after a tab was closed: it is asked again. */
async function showNotebook(
  notebook: vscode.NotebookDocument,
  options: vscode.NotebookDocumentShowOptions,
): Promise<vscode.NotebookEditor> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await vscode.window.showNotebookDocument(notebook, { preview: false, ...options });
    } catch (error) {
      if (attempt >= SHOW_ATTEMPTS || notebook.isClosed) throw error;
      await pause(SHOW_AGAIN_MS);
    }
  }
}

/** Shows the notebook where a tab has it already, else in a new tab. */
export async function revealNotebook(uri: vscode.Uri): Promise<vscode.NotebookDocument> {
  const [tab] = tabsOf(uri);
  return openNotebook(uri, tab ? { viewColumn: tab.group.viewColumn } : {});
}

/** Whether `notebook` is what became of `old`: the old file is gone, and they have a cell in common. */
export async function isSuccessor(notebook: vscode.NotebookDocument, old: vscode.NotebookDocument): Promise<boolean> {
  if (old.isUntitled || !(await isGone(old.uri))) return false;
  const ids = idsOf(notebook);
  const oldIds = idsOf(old);
  return ids.size === 0 || oldIds.size === 0 || [...oldIds].some((id) => ids.has(id));
}

/** Shows `notebook` in the place of `old`, whose file is there no more. The old tab stays where its edits could not be carried over. */
export async function takePlace(notebook: vscode.NotebookDocument, old: vscode.NotebookDocument): Promise<void> {
  const [tab] = tabsOf(old.uri);
  const place = tab && {
    viewColumn: tab.group.viewColumn,
    position: tab.group.tabs.indexOf(tab) + 1,
    isActive: tab.group.isActive && tab.isActive,
  };
  const options = place ? { viewColumn: place.viewColumn, preserveFocus: !place.isActive } : {};
  await showNotebook(notebook, options);
  if (place && isInFront(notebook)) {
    await vscode.commands.executeCommand('moveActiveEditor', { to: 'position', by: 'tab', value: place.position });
  }
  // VS Code leaves one open that is written to meanwhile.
  if (!old.isDirty && (await vscode.window.tabGroups.close(tabsOf(old.uri)))) return;
  // Outputs come from the journal: only what the person typed is carried over.
  const cells = old.getCells().map(copyOf);
  if (sameSources(notebook, cells) || (!notebook.isDirty && (await carryOver(notebook, cells)))) {
    await revertAndClose(old);
    return;
  }
  const [from, to] = [fileOf(old), fileOf(notebook)];
  void showWarning(vscode.l10n.t('Your unsaved edits stay in {0}: they could not be carried over to {1}.', from, to));
}

async function isGone(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return false;
  } catch (error) {
    return error instanceof vscode.FileSystemError && error.code === 'FileNotFound';
  }
}

function idsOf(notebook: vscode.NotebookDocument): Set<string> {
  return new Set(notebook.getCells().flatMap((cell) => cellId(cell) ?? []));
}

/** Whether it is the tab that has the focus, or had it last. */
export function isInFront(notebook: vscode.NotebookDocument): boolean {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputNotebook && input.uri.toString() === notebook.uri.toString();
}

/**
 * Asks nothing, unlike closing. VS Code's command acts on the editor in front, and a person may bring another one there just then: that one
 * is opened again, with what was typed in it.
 */
async function revertAndClose(notebook: vscode.NotebookDocument): Promise<void> {
  for (let attempt = 1; attempt <= SHOW_ATTEMPTS; attempt++) {
    const [tab] = tabsOf(notebook.uri);
    if (!tab) return;
    await showNotebook(notebook, { viewColumn: tab.group.viewColumn });
    if (!isInFront(notebook)) continue;
    const others = shownTabs().filter(({ input }) => input.uri.toString() !== notebook.uri.toString());
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    if (hasTab(notebook.uri) && others.every(isShown)) await nextEvent(vscode.window.tabGroups.onDidChangeTabs, CLOSED_MS);
    for (const other of others) if (!isShown(other)) await showAgain(other);
  }
}

/** A tab of a notebook or a text, with what is not saved of it. */
interface Shown {
  readonly input: vscode.TabInputNotebook | vscode.TabInputText;
  readonly viewColumn: vscode.ViewColumn;
  readonly cells?: vscode.NotebookCellData[] | undefined;
  readonly text?: string | undefined;
}

function shownTabs(): Shown[] {
  return vscode.window.tabGroups.all.flatMap(({ tabs, viewColumn }) =>
    tabs.flatMap(({ input, isDirty }): Shown[] => {
      if (input instanceof vscode.TabInputNotebook) {
        return [{ input, viewColumn, cells: isDirty ? shownNotebook(input.uri)?.getCells().map(copyOf) : undefined }];
      }
      if (!(input instanceof vscode.TabInputText)) return [];
      const document = vscode.workspace.textDocuments.find((one) => one.uri.toString() === input.uri.toString());
      return [{ input, viewColumn, text: isDirty ? document?.getText() : undefined }];
    }),
  );
}

function isShown({ input: { uri } }: Shown): boolean {
  const inputs = vscode.window.tabGroups.all.flatMap((group) => group.tabs.map((tab) => tab.input));
  const shown = inputs.filter((input) => input instanceof vscode.TabInputNotebook || input instanceof vscode.TabInputText);
  return shown.some((input) => input.uri.toString() === uri.toString());
}

async function showAgain({ input, viewColumn, cells, text }: Shown): Promise<void> {
  const { uri } = input;
  const edit = new vscode.WorkspaceEdit();
  if (input instanceof vscode.TabInputNotebook) {
    const notebook = await openNotebook(uri, { viewColumn });
    if (cells) edit.set(uri, [allCells(notebook, cells)]);
  } else {
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.window.showTextDocument(document, { viewColumn, preview: false });
    if (text !== undefined) edit.replace(uri, new vscode.Range(0, 0, document.lineCount, 0), text);
  }
  if (edit.size > 0) await vscode.workspace.applyEdit(edit);
}

async function carryOver(notebook: vscode.NotebookDocument, cells: vscode.NotebookCellData[]): Promise<boolean> {
  const edit = new vscode.WorkspaceEdit();
  edit.set(notebook.uri, [allCells(notebook, cells)]);
  if (!(await vscode.workspace.applyEdit(edit))) return false;
  // The cells are new objects; let the editor settle before outputs are written.
  await pause(50);
  const text = vscode.l10n.t('Your unsaved edits were kept in {0}; they are still to be saved.', fileOf(notebook));
  void showInformation(text);
  return true;
}

const allCells = (notebook: vscode.NotebookDocument, cells: vscode.NotebookCellData[]): vscode.NotebookEdit =>
  vscode.NotebookEdit.replaceCells(new vscode.NotebookRange(0, notebook.cellCount), cells);

const fileOf = (notebook: vscode.NotebookDocument): string => notebook.uri.path.split('/').at(-1) ?? '';

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
