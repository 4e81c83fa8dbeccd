/**
 * A notebook that another window saved: its cells are taken in where this window has no edits of its own.
 * Guarantees: what a person typed is never reverted; only outputs that came from the kernel are, and these come again from its journal. So a
 * window that only followed has nothing to save, and is not led to overwrite what the other one saved.
 * Reverting works for the editor in front alone: of another one it waits until that is there.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import { sourcesOf } from '../sources';
import type { Sessions } from '../sessions';
import type { Attachments } from './attachments';
import { NOTEBOOK_TYPE } from './controllers';
import { shownNotebook } from './documents';

export class SavedElsewhere implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  /** The code of each notebook's cells, as its file had it last. */
  private readonly inFile = new WeakMap<vscode.NotebookDocument, readonly string[]>();
  private readonly waiting = new Set<vscode.NotebookDocument>();
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
  ) {
    const watcher = vscode.workspace.createFileSystemWatcher('**/*.ipynb', true, false, true);
    const look = (notebook: vscode.NotebookDocument) => {
      this.inOrder(() => this.look(notebook));
    };
    this.subscriptions = [
      watcher,
      watcher.onDidChange((uri) => {
        const notebook = shownNotebook(uri);
        if (notebook) look(notebook);
      }),
      vscode.workspace.onDidOpenNotebookDocument(look),
      vscode.window.onDidChangeActiveNotebookEditor((editor) => {
        if (editor && this.waiting.has(editor.notebook)) look(editor.notebook);
      }),
    ];
    vscode.workspace.notebookDocuments.forEach(look);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private inOrder(task: () => Promise<void>): void {
    this.last = this.last.then(task).catch((error: unknown) => {
      this.sidecar.log.warn(`A notebook that was saved elsewhere is not taken in: ${messageOf(error)}`);
    });
  }

  private async look(notebook: vscode.NotebookDocument): Promise<void> {
    if (notebook.notebookType !== NOTEBOOK_TYPE || notebook.isUntitled || notebook.isClosed) return;
    const before = this.inFile.get(notebook);
    const now = sourcesOf(Buffer.from(await vscode.workspace.fs.readFile(notebook.uri)).toString('utf8'));
    if (!now) return;
    if (before === undefined || !notebook.isDirty || !isSame(before, typed(notebook))) {
      this.waiting.delete(notebook);
      this.inFile.set(notebook, now);
      return;
    }
    if (vscode.window.activeNotebookEditor?.notebook !== notebook) {
      this.waiting.add(notebook);
      return;
    }
    this.waiting.delete(notebook);
    this.inFile.set(notebook, now);
    await this.takeIn(notebook);
  }

  private async takeIn(notebook: vscode.NotebookDocument): Promise<void> {
    const attachment = this.attachments.of(notebook);
    const session = attachment && this.sessions.get(attachment.sessionId);
    // What it shows came from elsewhere than a kernel.
    if (!session) return;
    this.attachments.drop(notebook);
    try {
      await vscode.commands.executeCommand('workbench.action.files.revert');
    } finally {
      await this.attachments.attach(notebook, session, { quietly: true });
    }
  }
}

const typed = (notebook: vscode.NotebookDocument): string[] => notebook.getCells().map((cell) => cell.document.getText());

const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((one, index) => one === others[index]?.replaceAll('\r\n', '\n'));
