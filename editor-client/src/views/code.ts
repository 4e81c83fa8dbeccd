/** Code as it ran, as a document that can be read and copied, and neither edited nor saved. */
import * as vscode from 'vscode';
import type { OtherCode } from '../kernels/attachment';
import type { Execution } from '../protocol/types';
import { guard } from '../say';
import type { Sessions } from '../sessions';

const SCHEME = 'kernel-keeper-history';

export class AsItRan implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly registration = vscode.Disposable.from(
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
    vscode.commands.registerCommand('kernelKeeper.showOtherCode', (cell: vscode.NotebookCell, other: OtherCode) =>
      guard(this.compare(cell, other)),
    ),
  );
  private readonly codes = new Map<string, string>();

  constructor(private readonly sessions: Sessions) {}

  async show({ executionId, sessionId, code, cellIndex }: Execution): Promise<void> {
    const name = cellIndex === null ? vscode.l10n.t('Code') : vscode.l10n.t('Cell {0}', cellIndex + 1);
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${executionId}/${name}` });
    this.codes.set(uri.path, code);
    const document = await vscode.workspace.openTextDocument(uri);
    const language = (await this.sessions.find(sessionId))?.kernel.language ?? 'python';
    const known = await vscode.languages.getLanguages();
    if (known.includes(language)) await vscode.languages.setTextDocumentLanguage(document, language);
    await vscode.window.showTextDocument(document, { preview: true });
  }

  /** What ran in the place of a cell, beside what the cell has here. */
  private async compare(cell: vscode.NotebookCell, { executionId, code }: OtherCode): Promise<void> {
    const name = vscode.l10n.t('Cell {0}', cell.index + 1);
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${executionId}/${name}` });
    this.codes.set(uri.path, code);
    const title = vscode.l10n.t('{0}: as it ran ↔ as it is here', name);
    await vscode.commands.executeCommand('vscode.diff', uri, cell.document.uri, title, { preview: true });
  }

  provideTextDocumentContent({ path }: vscode.Uri): string {
    return this.codes.get(path) ?? '';
  }

  dispose(): void {
    this.registration.dispose();
  }
}
