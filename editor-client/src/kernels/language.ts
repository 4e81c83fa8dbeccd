/**
 * Cells that a chosen kernel cannot run, since they are in another language: VS Code runs none of them, and says nothing.
 * Guarantees: no cell is changed before the person says so; what is no code at all, as the file says (`raw`), is left alone.
 */
import * as vscode from 'vscode';
import { showInformation } from '../say';
import { type Kernel, languageId, runsIn } from './controllers';

/** VS Code shows a raw cell of the file as code of this language. */
const RAW = 'raw';

/**
 * Says it where it is so, and offers to change the cells. `isAnew`: the person chose it just now, in place of another one. Else it may be
 * what VS Code remembers, and a notebook of several languages that opens is as it should be.
 */
export async function offerLanguage(notebook: vscode.NotebookDocument, kernel: Kernel, isAnew: boolean): Promise<void> {
  const language = languageId(kernel.language);
  const isCode = ({ kind, document }: vscode.NotebookCell) => kind === vscode.NotebookCellKind.Code && document.languageId !== RAW;
  const isOther = (cell: vscode.NotebookCell) => isCode(cell) && !runsIn(cell, kernel);
  const written = notebook.getCells().filter((cell) => isCode(cell) && cell.document.getText().trim() !== '');
  const count = written.filter(isOther).length;
  if (count === 0 || (count < written.length && !isAnew)) return;
  if (!(await vscode.languages.getLanguages()).includes(language)) return;
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
  if ((await showInformation(question, change)) !== change) return;
  for (const cell of notebook.getCells().filter(isOther)) {
    // Any of them may be deleted while the one before is changed.
    if (!notebook.isClosed && cell.index >= 0) await vscode.languages.setTextDocumentLanguage(cell.document, language);
  }
}
