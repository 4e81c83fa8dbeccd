/**
 * A notebook that changes its name in the editor: F2 and drag (a new document takes the old one's place), and the first save of an
 * untitled one.
 * Guarantees: nothing is written to the old document once the rename is announced; the kernel follows without a question, since it is
 * the same person's act; outputs are replayed into the new document.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { isKind, messageOf } from '../errors';
import { showError, showStatus } from '../say';
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
const OPENED_MS = 2_000;
/** How long unsaved changes may take to come over. */
const REPLAY_MS = 2_000;
/** How long a file may take to be written. */
const SAVED_MS = 5_000;
const LOOK_MS = 100;

/** A notebook that the editor is about to give another name. */
interface Moving {
  readonly attachment: Attachment;
  readonly target: vscode.Uri;
  readonly isEdited: boolean;
  /** What is renamed: it, or a folder above it. */
  readonly from: string;
}

export class Renames implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  /** Renames under way, by the notebook's old URI. */
  private readonly underWay = new Map<string, Moving>();
  /** Untitled notebooks that are being saved, with what they become. */
  private readonly saving = new Map<vscode.NotebookDocument, vscode.NotebookDocument>();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
  ) {
    this.subscriptions = [
      vscode.workspace.onWillRenameFiles((event) => {
        event.waitUntil(this.announced(event.files));
      }),
      vscode.workspace.onDidRenameFiles(({ files }) => {
        for (const { oldUri } of files) void this.renamed(oldUri);
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
      [...this.underWay.values()].some(({ target }) => target.toString() === key) ||
      [...this.saving.values()].some((one) => one.uri.toString() === key)
    );
  }

  isSaving(notebook: vscode.NotebookDocument): boolean {
    return this.saving.has(notebook);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  /** VS Code asks whether to save a document that is written to while its tab is closed: so the rename waits for what is on its way. */
  private async announced(files: readonly { oldUri: vscode.Uri; newUri: vscode.Uri }[]): Promise<void> {
    const written: Promise<void>[] = [];
    for (const { oldUri, newUri } of files) {
      for (const attachment of this.attachments.all()) {
        const { notebook } = attachment;
        const target = movedUri(notebook.uri, oldUri, newUri);
        if (!target) continue;
        written.push(attachment.suspend());
        const key = notebook.uri.toString();
        const moving = { attachment, target, isEdited: notebook.isDirty, from: oldUri.toString() };
        this.underWay.set(key, moving);
        setTimeout(() => {
          if (this.underWay.get(key) === moving && this.underWay.delete(key)) void this.givenUp(attachment);
        }, RENAME_MS);
      }
    }
    await Promise.all(written);
  }

  /** What was announced counts: by now VS Code may have closed the tabs. */
  private async renamed(oldUri: vscode.Uri): Promise<void> {
    const moved = [...this.underWay].filter(([, { from }]) => from === oldUri.toString());
    await Promise.all(
      moved.map(async ([key, moving]) => {
        const { attachment, target, isEdited } = moving;
        try {
          this.attachments.drop(attachment.notebook);
          await this.follow(attachment.sessionId, target, isEdited);
        } catch (error) {
          this.sidecar.log.error(`The kernel of ${key} did not follow to ${target.toString()}: ${messageOf(error)}`);
          await this.letGo(attachment.sessionId);
        } finally {
          if (this.underWay.get(key) === moving) this.underWay.delete(key);
        }
      }),
    );
  }

  /** No notebook here shows it any more. */
  private async letGo(sessionId: string): Promise<void> {
    if (this.attachments.ofSession(sessionId).length > 0) return;
    await this.sidecar.request('keeper/detachSession', { sessionId }).catch((error: unknown) => {
      this.sidecar.log.warn(messageOf(error));
    });
  }

  /** The new document opens a little later than the rename is told. */
  private async follow(sessionId: string, target: vscode.Uri, isEdited: boolean): Promise<void> {
    const notebookUri = target.toString();
    // Of a folder with several open notebooks VS Code closes the tabs and opens none; what was typed in them it keeps.
    const notebook = (await eventually(() => shownNotebook(target), OPENED_MS)) ?? (await openNotebook(target, { preserveFocus: true }));
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
    showStatus(vscode.l10n.t('The kernel follows to {0}', file), 5_000);
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
      void attachment.suspend();
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
      void showError(`Kernel Keeper: ${messageOf(error)}`);
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
