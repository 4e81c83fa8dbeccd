/**
 * A notebook that changes its name in the editor: F2 and drag (a new document takes the old one's place), and the first save of an
 * untitled one.
 * Guarantees: nothing is written to the old document once the rename is announced; the kernel follows without a question, since it is
 * the same person's act; outputs are replayed into the new document.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { isKind, messageOf } from '../errors';
import type { Sessions } from '../sessions';
import type { Attachment } from './attachment';
import type { Attachments } from './attachments';
import { openNotebook, shownNotebook } from './documents';
import { sameIds } from './matching';
import { factsOf } from './runs';
import { pause } from './selection';

/** How long a rename that was announced may take. */
const RENAME_MS = 15_000;
/** How long the new document may take to be there. */
const OPENED_MS = 6_000;
/** How long unsaved changes may take to come over. */
const REPLAY_MS = 2_000;
/** How long a file may take to be written. */
const SAVED_MS = 5_000;
const LOOK_MS = 100;

export class Renames implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  /** Renames under way: old and new URIs. */
  private readonly underWay = new Map<string, string>();
  /** Of these, the old URIs of those with unsaved changes. */
  private readonly edited = new Set<string>();
  /** Untitled notebooks that are being saved, with what they become. */
  private readonly saving = new Map<vscode.NotebookDocument, vscode.NotebookDocument>();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
  ) {
    this.subscriptions = [
      vscode.workspace.onWillRenameFiles(({ files }) => {
        this.announced(files);
      }),
      vscode.workspace.onDidRenameFiles(({ files }) => {
        for (const { oldUri, newUri } of files) void this.renamed(oldUri, newUri);
      }),
      vscode.workspace.onWillSaveNotebookDocument(({ notebook }) => {
        this.willSave(notebook);
      }),
      vscode.workspace.onDidCloseNotebookDocument((notebook) => {
        const target = this.saving.get(notebook);
        if (target) void this.saved(notebook, target);
      }),
    ];
  }

  /** Whether a rename of this notebook is under way here, so that nothing else is to be done about it. */
  isExpected(uri: vscode.Uri): boolean {
    const key = uri.toString();
    return (
      this.underWay.has(key) ||
      [...this.underWay.values()].includes(key) ||
      [...this.saving.values()].some((one) => one.uri.toString() === key)
    );
  }

  isSaving(notebook: vscode.NotebookDocument): boolean {
    return this.saving.has(notebook);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private announced(files: readonly { oldUri: vscode.Uri; newUri: vscode.Uri }[]): void {
    for (const { oldUri, newUri } of files) {
      for (const { attachment, target } of this.within(oldUri, newUri)) {
        attachment.isSuspended = true;
        const key = attachment.notebook.uri.toString();
        this.underWay.set(key, target.toString());
        if (attachment.notebook.isDirty) this.edited.add(key);
        setTimeout(() => {
          this.edited.delete(key);
          if (this.underWay.delete(key)) void this.givenUp(attachment);
        }, RENAME_MS);
      }
    }
  }

  private async renamed(oldUri: vscode.Uri, newUri: vscode.Uri): Promise<void> {
    await Promise.all(
      this.within(oldUri, newUri).map(async ({ attachment, target }) => {
        const key = attachment.notebook.uri.toString();
        try {
          this.attachments.drop(attachment.notebook);
          await this.follow(attachment.sessionId, target, this.edited.has(key));
        } catch (error) {
          this.sidecar.log.error(`The kernel of ${key} did not follow to ${target.toString()}: ${messageOf(error)}`);
        } finally {
          this.underWay.delete(key);
          this.edited.delete(key);
        }
      }),
    );
  }

  /** The new document opens a little later than the rename is told. */
  private async follow(sessionId: string, target: vscode.Uri, isEdited: boolean): Promise<void> {
    const notebookUri = target.toString();
    let notebook = await eventually(() => shownNotebook(target), isEdited ? RENAME_MS : OPENED_MS);
    // Of a folder with several open notebooks VS Code closes the tabs, and opens none.
    if (!notebook && !isEdited) notebook = await openNotebook(target, { preserveFocus: true });
    if (!notebook) {
      if (this.attachments.ofSession(sessionId).length === 0) await this.sidecar.request('keeper/detachSession', { sessionId });
      return;
    }
    // VS Code opens the file and then puts the unsaved cells over it, which takes numbers and marks of what ran away again.
    if (isEdited) await eventually(() => notebook.isDirty || undefined, REPLAY_MS);
    let { session } = await this.sidecar.request('keeper/findActiveSession', { notebookUri });
    if (session?.id !== sessionId) {
      // Seen by the sidecar neither as a request nor on disk: it is bound by hand.
      session = (await this.sidecar.request('keeper/attachSession', { targetNotebookUri: notebookUri, sessionId })).session;
    }
    const ensured = await this.sidecar.request('keeper/ensureSession', { notebookUri, ask: false });
    await this.attachments.attach(notebook, ensured.session ?? session, { quietly: true });
    const file = target.path.split('/').at(-1) ?? '';
    vscode.window.setStatusBarMessage(vscode.l10n.t('The kernel follows to {0}', file), 5_000);
  }

  /** The rename was announced and did not come. */
  private async givenUp(attachment: Attachment): Promise<void> {
    const session = this.sessions.get(attachment.sessionId);
    if (session && shownNotebook(attachment.notebook.uri)) await this.attachments.attach(attachment.notebook, session, { quietly: true });
  }

  private willSave(notebook: vscode.NotebookDocument): void {
    if (notebook.isUntitled) return;
    const facts = factsOf(notebook);
    for (const attachment of this.attachments.all()) {
      if (!attachment.notebook.isUntitled || !sameIds(factsOf(attachment.notebook), facts)) continue;
      attachment.isSuspended = true;
      this.saving.set(attachment.notebook, notebook);
    }
  }

  /** The untitled document closed: what it was is a file now. */
  private async saved(untitled: vscode.NotebookDocument, target: vscode.NotebookDocument): Promise<void> {
    const attachment = this.attachments.drop(untitled);
    try {
      if (!attachment) return;
      const session = await this.move(attachment.sessionId, untitled.uri.toString(), target.uri.toString());
      this.sessions.put(session);
      // What is changed while the file is being written stays unsaved.
      await eventually(() => !target.isDirty || undefined, SAVED_MS);
      await this.attachments.attach(target, session, { quietly: true });
    } catch (error) {
      void vscode.window.showErrorMessage(`Kernel Keeper: ${messageOf(error)}`);
    } finally {
      this.saving.delete(untitled);
    }
  }

  private async move(sessionId: string, from: string, to: string) {
    const params = { targetNotebookUri: to, sessionId, expectedNotebookUri: from };
    for (let attempt = 0; ; attempt++) {
      try {
        return (await this.sidecar.request('keeper/attachSession', params)).session;
      } catch (error) {
        // The file may be written a moment after the untitled document closed.
        if (attempt >= 30 || !isKind(error, 'InvalidParams')) throw error;
        await pause(LOOK_MS);
      }
    }
  }

  private within(oldUri: vscode.Uri, newUri: vscode.Uri): { attachment: Attachment; target: vscode.Uri }[] {
    return this.attachments.all().flatMap((attachment) => {
      const target = movedUri(attachment.notebook.uri, oldUri, newUri);
      return target ? [{ attachment, target }] : [];
    });
  }
}

/** Where `uri` is after `oldUri`, it or a folder above it, became `newUri`. */
function movedUri(uri: vscode.Uri, oldUri: vscode.Uri, newUri: vscode.Uri): vscode.Uri | undefined {
  if (uri.scheme !== oldUri.scheme) return undefined;
  if (uri.path === oldUri.path) return newUri;
  if (!uri.path.startsWith(`${oldUri.path}/`)) return undefined;
  return newUri.with({ path: newUri.path + uri.path.slice(oldUri.path.length) });
}

async function eventually<T>(look: () => T | undefined, milliseconds = RENAME_MS): Promise<T | undefined> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = look();
    if (found !== undefined || Date.now() > deadline) return found;
    await pause(LOOK_MS);
  }
}
