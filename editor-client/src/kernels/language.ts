/**
 * Cells that a chosen kernel cannot run, since they are in another language: VS Code runs none of them, and says nothing.
 * Guarantees: no cell is changed before the person says so.
 */
import * as vscode from 'vscode';
import { showInformation } from '../say';
import { type Kernel, languageId } from './controllers';

/** Says it where it is so, and offers to change the cells. */
export async function offerLanguage(notebook: vscode.NotebookDocument, kernel: Kernel): Promise<void> {
  const language = languageId(kernel.language);
  const isOther = (cell: vscode.NotebookCell) => cell.kind === vscode.NotebookCellKind.Code && cell.document.languageId !== language;
  const count = notebook.getCells().filter((cell) => isOther(cell) && cell.document.getText().trim() !== '').length;
  if (count === 0 || !(await vscode.languages.getLanguages()).includes(language)) return;
  const file = notebook.uri.path.split('/').at(-1) ?? '';
  const change = vscode.l10n.t('Change Language');
  const question =
    count === 1
      ? vscode.l10n.t(
          '{0} runs {1}. 1 cell of {2} is in another language, and does not run in it.',
          kernel.displayName,
          kernel.language,
          file,
        )
      : vscode.l10n.t(
          '{0} runs {1}. {2} cells of {3} are in another language, and do not run in it.',
          kernel.displayName,
          kernel.language,
          count,
          file,
        );
  if ((await showInformation(question, change)) !== change || notebook.isClosed) return;
  for (const cell of notebook.getCells().filter(isOther)) await vscode.languages.setTextDocumentLanguage(cell.document, language);
}
