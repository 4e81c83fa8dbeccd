/**
 * A notebook that another window saved: its cells are taken in where this window has no edits of its own.
 * Guarantees: what a person wrote or cleared is never reverted, nor an output that neither the file had nor the kernel's journal has; what
 * came from the kernel comes again from there. So a window that only followed has nothing to save, and is not led to overwrite what the
 * other one saved.
 * VS Code's command for it acts on what is in front, or is marked in a list: it waits until the notebook is there, and alone is not saved.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import { sameItems } from '../outputs/mime';
import { sourcesOf, writtenIn } from '../sources';
import type { Sessions } from '../sessions';
import type { Attachment } from './attachment';
import type { Attachments } from './attachments';
import { NOTEBOOK_TYPE } from './controllers';
import { isInFront, shownNotebook } from './documents';
import { showsItsRuns } from './resume';
import { pause, tabsOf } from './selection';

/** How often, and how far apart, it is looked whether VS Code has read what changed, or shows what came. */
const ATTEMPTS = 20;
const AGAIN_MS = 100;

/** A notebook when nothing in it was to be saved. */
interface Clean {
  readonly written: unknown;
  readonly outputs: readonly (readonly vscode.NotebookCellOutputItem[])[][];
}

export class SavedElsewhere implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  private readonly clean = new WeakMap<vscode.NotebookDocument, Clean>();
  /** What each file was when it was last looked at, as a hash. */
  private readonly files = new WeakMap<vscode.NotebookDocument, string>();
  private readonly waiting = new Set<vscode.NotebookDocument>();
  /** Of notebooks in no folder of the workspace. */
  private readonly watchers = new Map<vscode.NotebookDocument, vscode.Disposable>();
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
  ) {
    this.subscriptions = [
      this.watch('**/*.ipynb'),
      vscode.workspace.onDidOpenNotebookDocument((notebook) => {
        this.opened(notebook);
      }),
      vscode.workspace.onDidCloseNotebookDocument((notebook) => {
        this.waiting.delete(notebook);
        this.watchers.get(notebook)?.dispose();
        this.watchers.delete(notebook);
      }),
      vscode.workspace.onDidSaveNotebookDocument((notebook) => {
        this.saved(notebook);
      }),
      vscode.window.onDidChangeActiveNotebookEditor(() => {
        this.lookAgain();
      }),
      vscode.window.tabGroups.onDidChangeTabs(() => {
        this.lookAgain();
      }),
    ];
    for (const notebook of vscode.workspace.notebookDocuments) this.opened(notebook);
  }

  dispose(): void {
    for (const subscription of [...this.subscriptions, ...this.watchers.values()]) subscription.dispose();
  }

  private watch(pattern: vscode.GlobPattern): vscode.Disposable {
    const watcher = vscode.workspace.createFileSystemWatcher(pattern, true, false, true);
    const changed = watcher.onDidChange((uri) => {
      const notebook = shownNotebook(uri);
      if (notebook) this.inOrder(() => this.look(notebook));
    });
    return vscode.Disposable.from(watcher, changed);
  }

  private opened(notebook: vscode.NotebookDocument): void {
    if (notebook.notebookType !== NOTEBOOK_TYPE || notebook.isUntitled) return;
    if (!vscode.workspace.getWorkspaceFolder(notebook.uri)) {
      // The folder, for a name may have what a pattern takes for its own.
      const folder = vscode.Uri.joinPath(notebook.uri, '..');
      this.watchers.set(notebook, this.watch(new vscode.RelativePattern(folder, '*.ipynb')));
    }
    this.saved(notebook);
  }

  private saved(notebook: vscode.NotebookDocument): void {
    if (notebook.notebookType !== NOTEBOOK_TYPE || notebook.isUntitled) return;
    const clean = cleanOf(notebook);
    if (!notebook.isDirty) this.clean.set(notebook, clean);
    // A cell that runs made it dirty again. Whether a person wrote since is not known.
    else if (!isDeepStrictEqual(this.clean.get(notebook)?.written, clean.written)) this.clean.delete(notebook);
    this.inOrder(async () => {
      this.files.set(notebook, hashOf(await vscode.workspace.fs.readFile(notebook.uri)));
    });
  }

  private lookAgain(): void {
    for (const notebook of this.waiting) {
      if (!isReady(notebook)) continue;
      this.waiting.delete(notebook);
      this.inOrder(() => this.look(notebook));
    }
  }

  private inOrder(task: () => Promise<void>): void {
    this.last = this.last.then(task).catch((error: unknown) => {
      this.sidecar.log.warn(`A notebook that was saved elsewhere is not taken in: ${messageOf(error)}`);
    });
  }

  private async look(notebook: vscode.NotebookDocument): Promise<void> {
    if (notebook.isClosed) return;
    const content = await vscode.workspace.fs.readFile(notebook.uri);
    const sources = sourcesOf(Buffer.from(content).toString('utf8'));
    const hash = hashOf(content);
    if (!sources || hash === this.files.get(notebook)) return;
    if (!notebook.isDirty) {
      this.files.set(notebook, hash);
      await this.read(notebook, sources);
      return;
    }
    const clean = this.clean.get(notebook);
    const attachment = this.attachments.of(notebook);
    // Where there is none, what it shows came from elsewhere than a kernel.
    if (!clean || !attachment || !isDeepStrictEqual(clean.written, writtenIn(notebook))) return;
    if ((await this.showsItsRuns(attachment, clean)) && (await this.takeIn(notebook, attachment, clean))) this.files.set(notebook, hash);
    else this.waiting.add(notebook);
  }

  /** What a kernel gave just now is in the journal before it is shown. */
  private async showsItsRuns(attachment: Attachment, clean: Clean): Promise<boolean> {
    const isUnchanged = (cell: vscode.NotebookCell) => isSame(clean.outputs[cell.index], cell.outputs);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await showsItsRuns(this.sidecar, attachment, isUnchanged)) return true;
      await pause(AGAIN_MS);
    }
    return false;
  }

  /** VS Code reads what changed by itself where nothing is to be saved. */
  private async read(notebook: vscode.NotebookDocument, sources: readonly string[]): Promise<void> {
    this.clean.delete(notebook);
    for (let attempt = 0; attempt < ATTEMPTS && !notebook.isDirty; attempt++) {
      const clean = cleanOf(notebook);
      const texts = notebook.getCells().map(({ document }) => document.getText().replaceAll('\r\n', '\n'));
      if (isDeepStrictEqual(texts, sources)) {
        this.clean.set(notebook, clean);
        return;
      }
      await pause(AGAIN_MS);
    }
  }

  /** False where it is still to be done. */
  private async takeIn(notebook: vscode.NotebookDocument, attachment: Attachment, clean: Clean): Promise<boolean> {
    const session = this.sessions.get(attachment.sessionId);
    if (!session || !isReady(notebook) || attachment.isDetached) return false;
    this.attachments.drop(notebook);
    try {
      if (!isReady(notebook) || !isDeepStrictEqual(clean.written, writtenIn(notebook))) return false;
      await vscode.commands.executeCommand('workbench.action.files.revert');
      if (notebook.isDirty) return false;
      this.clean.set(notebook, cleanOf(notebook));
      return true;
    } finally {
      await this.attachments.attach(notebook, session, { quietly: true });
    }
  }
}

/** Whether VS Code's command would revert this notebook, and can lose nothing of another file. */
function isReady(notebook: vscode.NotebookDocument): boolean {
  const own = tabsOf(notebook.uri);
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return isInFront(notebook) && tabs.every((tab) => !tab.isDirty || own.includes(tab));
}

const hashOf = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

function cleanOf(notebook: vscode.NotebookDocument): Clean {
  // VS Code puts what comes into the same lists.
  const outputs = notebook.getCells().map((cell) => cell.outputs.map(({ items }) => [...items]));
  return { written: writtenIn(notebook), outputs };
}

function isSame(before: Clean['outputs'][number] | undefined, outputs: readonly vscode.NotebookCellOutput[]): boolean {
  return before?.length === outputs.length && outputs.every(({ items }, index) => sameItems(items, before[index] ?? []));
}
