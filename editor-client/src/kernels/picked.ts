/**
 * Whether a cell that is run is the one that the person has selected, which VS Code does not say.
 * Guarantees: also for *Run and Select Below* (Shift+Enter) and *Run and Insert Below*, which select the next cell and then run.
 */
import * as vscode from 'vscode';

/** Between the two. A selection that stands longer is the person's own. */
const MOVED_ON_MS = 1_000;

interface Selected {
  readonly cells: readonly vscode.NotebookCell[];
  readonly before: readonly vscode.NotebookCell[];
  readonly at: number;
}

export class Picked implements vscode.Disposable {
  private readonly selected = new WeakMap<vscode.NotebookDocument, Selected>();
  private readonly subscriptions = [
    vscode.window.onDidChangeNotebookEditorSelection(({ notebookEditor }) => this.look(notebookEditor)),
    vscode.window.onDidChangeVisibleNotebookEditors((editors) => {
      for (const editor of editors) this.look(editor);
    }),
  ];

  constructor() {
    for (const editor of vscode.window.visibleNotebookEditors) this.look(editor);
  }

  has(cell: vscode.NotebookCell): boolean {
    const editor = vscode.window.activeNotebookEditor;
    if (editor?.notebook !== cell.notebook) return false;
    const { cells, before, at } = this.look(editor);
    if (cells.includes(cell)) return true;
    const [next] = cells;
    return before.includes(cell) && next?.index === cell.index + 1 && Date.now() - at < MOVED_ON_MS;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private look({ notebook, selections }: vscode.NotebookEditor): Selected {
    const cells = selections.flatMap((range) => notebook.getCells(range));
    const present = this.selected.get(notebook);
    if (present?.cells.length === cells.length && cells.every((cell, index) => cell === present.cells[index])) return present;
    const selected = { cells, before: present?.cells ?? [], at: Date.now() };
    this.selected.set(notebook, selected);
    return selected;
  }
}
