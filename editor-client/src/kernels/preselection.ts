/**
 * Selects the kernel that a notebook's file names, where nothing is selected.
 * Guarantees: once a notebook, and never over a choice: what VS Code remembers stands. The kernels of another extension may come later
 * than ours, and until then VS Code tells nothing of a choice among them: where one is installed that has to do with Jupyter's notebooks,
 * nothing is selected. No kernel is started by it.
 */
import * as vscode from 'vscode';
import { type Controllers, NOTEBOOK_TYPE } from './controllers';
import type { Selection } from './selection';

export function preselect(controllers: Controllers, selection: Selection, ownId: string): vscode.Disposable {
  const tried = new WeakSet<vscode.NotebookDocument>();
  const look = () => {
    if (vscode.extensions.all.some((extension) => mayHaveKernels(extension, ownId))) return;
    for (const editor of vscode.window.visibleNotebookEditors) {
      const { notebook } = editor;
      const kernel = notebook.notebookType === NOTEBOOK_TYPE ? controllers.namedBy(notebook) : undefined;
      if (!kernel || tried.has(notebook)) continue;
      tried.add(notebook);
      if (!selection.of(notebook)) void selection.propose(editor, kernel);
    }
  };
  return vscode.Disposable.from(controllers.onDidUpdate(look), vscode.window.onDidChangeVisibleNotebookEditors(look));
}

function mayHaveKernels({ id, packageJSON }: vscode.Extension<unknown>, ownId: string): boolean {
  const { isBuiltin, activationEvents = [] } = packageJSON as { isBuiltin?: boolean; activationEvents?: readonly string[] };
  return id !== ownId && isBuiltin !== true && activationEvents.some((event) => event.startsWith('onNotebook'));
}
