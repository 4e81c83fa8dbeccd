/**
 * The notebooks of this window that follow a session, and the one subscription that each session has here.
 * Guarantees: a notebook follows one session at a time; after a restart of the sidecar each goes on after the last event it applied;
 * letting go never stops a kernel.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { windowsOf } from '../describe';
import { messageOf } from '../errors';
import type { Session } from '../protocol/types';
import { showInformation } from '../say';
import type { Seen } from '../seen';
import { sameUri, type Sessions } from '../sessions';
import { Attachment, type AttachmentEvents } from './attachment';
import type { Controllers } from './controllers';
import type { InputBoxes } from './input';
import { reload, resume, type Resumed } from './resume';
import type { CellRun } from './run';
import type { HeldExecutions } from './runs';
import { hasTab, pause, type Selection } from './selection';
import { summarise } from './summary';

/** See `bringBack`. */
const BROUGHT_BACK_MS = 500;
const BROUGHT_BACK_ATTEMPTS = 3;

export interface AttachOptions {
  /** Nothing happened meanwhile that the person does not know: a rename, a new kernel. */
  readonly quietly?: boolean;
  /** Executions that wait for the session. */
  readonly held?: HeldExecutions;
}

export class Attachments implements vscode.Disposable {
  private readonly attached = new Map<vscode.NotebookDocument, Attachment>();
  private readonly attaching = new Map<vscode.NotebookDocument, { sessionId: string; done: Promise<Attachment | undefined> }>();
  /** The session that each followed last. */
  private readonly last = new WeakMap<vscode.NotebookDocument, string>();
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  private readonly truncatedEmitter = new vscode.EventEmitter<void>();
  private readonly subscriptions: vscode.Disposable[];

  readonly onDidChange = this.changeEmitter.event;
  /** Which cells show cut outputs may have changed. */
  readonly onDidChangeTruncated = this.truncatedEmitter.event;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly controllers: Controllers,
    private readonly selection: Selection,
    private readonly inputs: InputBoxes,
    private readonly seen: Seen,
  ) {
    this.subscriptions = [
      sidecar.onReady(() => {
        for (const attachment of this.all()) void this.takeUpAgain(attachment);
      }),
      sidecar.onExecution((event) => {
        for (const attachment of this.ofSession(event.sessionId)) attachment.apply(event);
      }),
      sessions.onDidUpdate(({ session, before }) => {
        if (before?.state === 'ended' && session.state !== 'ended') void this.startedAnew(session);
      }),
      vscode.workspace.onDidChangeNotebookDocument((event) => {
        this.attached.get(event.notebook)?.changed(event);
      }),
      vscode.workspace.onWillSaveNotebookDocument(({ notebook }) => {
        for (const run of this.attached.get(notebook)?.runs.all() ?? []) run.writer.saving();
      }),
      vscode.workspace.onDidSaveNotebookDocument((notebook) => {
        for (const run of this.attached.get(notebook)?.runs.all() ?? []) run.writer.saved();
      }),
      this.changeEmitter,
      this.truncatedEmitter,
    ];
  }

  all(): Attachment[] {
    return [...this.attached.values()];
  }

  of(notebook: vscode.NotebookDocument): Attachment | undefined {
    return this.attached.get(notebook);
  }

  /** The session that the notebook follows, or followed before it was let go. */
  lastOf(notebook: vscode.NotebookDocument): Session | undefined {
    return this.sessions.get(this.last.get(notebook) ?? '');
  }

  /** Whether this window shows the session in that notebook. */
  isFollowed(notebookUri: string, sessionId: string): boolean {
    return this.ofSession(sessionId).some((attachment) => !attachment.isSuspended && sameUri(notebookUri, attachment.notebook.uri));
  }

  ofSession(sessionId: string): Attachment[] {
    return this.all().filter((attachment) => attachment.sessionId === sessionId);
  }

  /** Makes the notebook follow the session. Undefined where it closed meanwhile. */
  async attach(notebook: vscode.NotebookDocument, session: Session, options: AttachOptions = {}): Promise<Attachment | undefined> {
    // What is run before the journal was read would be taken for something that ended earlier.
    const underWay = this.attaching.get(notebook);
    if (underWay?.sessionId === session.id) return underWay.done;
    const present = this.attached.get(notebook);
    if (present?.sessionId === session.id && !present.isSuspended) return present;
    const done = this.attachAnew(notebook, session, options);
    this.attaching.set(notebook, { sessionId: session.id, done });
    try {
      return await done;
    } finally {
      this.attaching.delete(notebook);
    }
  }

  /** Stops following, in this window's display. The sidecar is told by who knows why. */
  drop(notebook: vscode.NotebookDocument): Attachment | undefined {
    const attachment = this.attached.get(notebook);
    if (!attachment) return undefined;
    this.attached.delete(notebook);
    attachment.detach();
    if (this.ofSession(attachment.sessionId).length === 0) {
      this.sidecar.request('keeper/unsubscribe', { sessionId: attachment.sessionId }).catch(() => {
        // A sidecar that is gone has no subscriptions.
      });
    }
    this.changeEmitter.fire();
    return attachment;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private async attachAnew(
    notebook: vscode.NotebookDocument,
    session: Session,
    { quietly = false, held = new Map() }: AttachOptions,
  ): Promise<Attachment | undefined> {
    this.drop(notebook);
    const kernel = this.controllers.of(session.kernel);
    if (!(await this.selection.select(notebook, kernel))) return undefined;
    const events: AttachmentEvents = {
      finished: (one, run, completedAt) => {
        this.finished(one, run, completedAt);
      },
      notPut: (error) => {
        this.sidecar.log.warn(`What the kernel has for the next input is in no cell: ${messageOf(error)}`);
      },
      ranOther: () => {
        this.truncatedEmitter.fire();
      },
      broughtBack: (one, cell, executionId) => {
        void this.bringBack(one, cell, executionId);
      },
    };
    const attachment = new Attachment(notebook, kernel, session.id, this.inputs, events, held);
    this.attached.set(notebook, attachment);
    this.last.set(notebook, session.id);
    try {
      await this.load(attachment, session, quietly);
    } catch (error) {
      this.drop(notebook);
      throw error;
    }
    this.changeEmitter.fire();
    this.sidecar.log.info(`${notebook.uri.toString()} follows session ${session.id}`);
    return attachment;
  }

  private async load(attachment: Attachment, session: Session, quietly: boolean): Promise<void> {
    const seenUntil = await this.seen.until(session.id);
    const happened = await resume(this.sidecar, this.inputs, attachment, this.sessions.get(session.id) ?? session);
    this.truncatedEmitter.fire();
    await this.subscribe(attachment.sessionId);
    // What ended after this person last looked; where that is not known, what the notebook did not show.
    const isNews = (one: Resumed) =>
      one.completedAt !== null && (seenUntil === undefined ? one.isNew : Date.parse(one.completedAt) > seenUntil);
    const text = summarise(happened.filter(isNews), new Date(), vscode.l10n.t);
    void this.seen.mark(session.id, new Date().toISOString());
    if (text !== undefined && !quietly) void showInformation(vscode.l10n.t('{0}: {1}.', session.label, text));
  }

  /** One subscription serves all notebooks of the session; each passes over what it has. */
  private async subscribe(sessionId: string): Promise<void> {
    const all = this.ofSession(sessionId);
    if (all.length === 0 || this.sessions.get(sessionId)?.state === 'ended') return;
    const afterSeq = Math.min(...all.map((attachment) => attachment.lastSeq));
    await this.sidecar.request('keeper/subscribe', { sessionId, afterSeq });
  }

  private async bringBack(attachment: Attachment, cell: vscode.NotebookCell, executionId: string): Promise<void> {
    const { runs } = attachment;
    try {
      // VS Code may still be busy with the execution that the deletion ended, and take no new one of the cell.
      for (let attempt = 0; attempt < BROUGHT_BACK_ATTEMPTS && !runs.of(executionId); attempt++) {
        // Not an undone deletion, but a tab that is closed with its changes thrown away: it would stay open if it were written to now.
        await pause(BROUGHT_BACK_MS);
        await reload(this.sidecar, attachment, executionId);
        // Deleted again meanwhile, it may be brought back once more.
        if (cell.index < 0) return;
      }
      runs.forgetOrphan(cell);
    } catch (error) {
      this.sidecar.log.warn(`The outputs of a cell were not brought back: ${messageOf(error)}`);
    }
  }

  /** A session that had ended was restarted: an ended one is not followed, so its events are to be asked for again. */
  private async startedAnew(session: Session): Promise<void> {
    try {
      await this.subscribe(session.id);
    } catch (error) {
      this.sidecar.log.warn(`${session.label} is not followed: ${messageOf(error)}`);
    }
  }

  /** After a restart of the sidecar. */
  private async takeUpAgain(attachment: Attachment): Promise<void> {
    const { notebook, sessionId } = attachment;
    const notebookUri = notebook.uri.toString();
    try {
      const { found, session } = await this.sidecar.request('keeper/findActiveSession', { notebookUri });
      if (found && session?.id === sessionId) {
        const result = await this.sidecar.request('keeper/ensureSession', { notebookUri, ask: false });
        if (result.session) this.sessions.put(result.session);
        await this.subscribe(sessionId);
      } else {
        // It ended, or moved, while nothing was heard: the journal knows how.
        this.drop(notebook);
        const { sessions } = await this.sidecar.request('keeper/listSessions', { includeEnded: true });
        const known = sessions.find((one) => one.id === sessionId);
        if (known) this.sessions.put(known);
        if (known && hasTab(notebook.uri)) await this.attach(notebook, known);
      }
    } catch (error) {
      this.sidecar.log.warn(`${notebookUri} could not be taken up again: ${messageOf(error)}`);
      if (this.sidecar.state === 'running') await this.tryAgainLater(attachment);
    }
  }

  private async tryAgainLater(attachment: Attachment): Promise<void> {
    await pause(1_000);
    if (this.attached.get(attachment.notebook) === attachment) await this.takeUpAgain(attachment);
  }

  private finished(attachment: Attachment, run: CellRun, completedAt: string): void {
    void this.seen.mark(attachment.sessionId, completedAt);
    const { executionId } = run;
    if (executionId === undefined) return;
    // The journal's form has the link to the whole of a long output.
    if (run.writer.heldBackFor !== undefined) void this.reloadLater(attachment, executionId, run.writer.heldBackFor);
    else if (run.writer.isCut || (run.writer.wasCleared && this.isElsewhere(attachment))) void this.reloadLater(attachment, executionId, 0);
  }

  /** Another window shows what this one's person has cleared while it came: at the end both show what the journal has. */
  private isElsewhere({ sessionId }: Attachment): boolean {
    const session = this.sessions.get(sessionId);
    return session !== undefined && windowsOf(session).some(({ thisWindow }) => !thisWindow);
  }

  private async reloadLater(attachment: Attachment, executionId: string, milliseconds: number): Promise<void> {
    try {
      if (milliseconds > 0) await pause(milliseconds);
      await reload(this.sidecar, attachment, executionId);
      this.truncatedEmitter.fire();
    } catch (error) {
      this.sidecar.log.warn(`The end of a cell's output is not shown: ${messageOf(error)}`);
    }
  }
}
