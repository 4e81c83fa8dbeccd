/**
 * Brings this window's notebooks and the sessions together: after an answered question, when a notebook is opened or its tab closed,
 * when another kernel is chosen, and when a session moved to another file.
 * Guarantees: closing a tab only lets go, the kernel stays; a kernel of ours is selected only for a session that is taken up.
 */
import * as vscode from 'vscode';
import type { Sidecar } from './client';
import { messageOf, SidecarGone } from './errors';
import type { Attachment } from './kernels/attachment';
import type { Attachments } from './kernels/attachments';
import { NOTEBOOK_TYPE, type Kernel } from './kernels/controllers';
import { isSuccessor, openNotebook, revealNotebook, shownNotebook, takePlace } from './kernels/documents';
import { offerLanguage } from './kernels/language';
import type { Renames } from './kernels/renames';
import { type Choice, hasTab, pause, type Selection } from './kernels/selection';
import type { Answer, Offers } from './offers';
import type { Offer, Session } from './protocol/types';
import { showRebuilding } from './rebuild';
import { showError, showInformation, showStatus } from './say';
import { sameUri, type Sessions } from './sessions';
import { readSettings } from './settings';

/** A tab that is moved to another group is closed and opened. */
const MOVED_MS = 250;

export class Follow implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  /** Notebooks whose tab was closed while their document lingers: opening them again tells the sidecar nothing. */
  private readonly lingering = new Set<string>();
  /** Notebooks that are being exchanged for others, with their sessions. */
  private readonly moving = new Set<string>();
  /** The exchange of tabs that is under way. */
  private exchanging: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly offers: Offers,
    private readonly attachments: Attachments,
    private readonly renames: Renames,
    selection: Selection,
  ) {
    this.subscriptions = [
      offers.onDidAnswer((answer) => void this.guard(this.answered(answer), true)),
      selection.onDidChoose((choice) => {
        void this.guard(this.chosen(choice), true);
      }),
      sessions.onDidUpdate(({ session, before }) => void this.guard(this.updated(session, before), true)),
      sidecar.onFollowed(({ notebookUri, session }) => void this.guard(this.followed(vscode.Uri.parse(notebookUri), session))),
      vscode.window.tabGroups.onDidChangeTabs((event) => {
        if (event.closed.length > 0) void this.guard(this.tabsClosed());
        for (const tab of event.opened) if (tab.input instanceof vscode.TabInputNotebook) void this.guard(this.opened(tab.input.uri));
      }),
      vscode.workspace.onDidOpenNotebookDocument((notebook) => void this.guard(this.opened(notebook.uri))),
      sidecar.onReady(() => {
        this.lookAround();
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => {
        this.lookAround();
      }),
    ];
  }

  /** Takes up the session of a notebook, because the person asks for it. */
  async resume(notebook: vscode.NotebookDocument): Promise<void> {
    const offer = this.offers.of(notebook.uri);
    if (offer) this.offers.showAgain(offer.offerId);
    else if (!(await this.ensure(notebook))) {
      void showInformation(vscode.l10n.t('Kernel Keeper: no kernel is running for this notebook.'));
    }
  }

  /** Shows a session in its notebook, opening that where it is not shown. */
  async show(session: Session, quietly = false, preferred?: string): Promise<void> {
    this.sessions.put(session);
    const refs = session.notebooks.map((ref) => ref.notebookUri);
    const target = vscode.Uri.parse(
      refs.find((uri) => preferred !== undefined && sameUri(preferred, vscode.Uri.parse(uri))) ?? session.notebookUri,
    );
    const old = this.attachments
      .ofSession(session.id)
      .find((attachment) => !refs.some((uri) => sameUri(uri, attachment.notebook.uri)) && !attachment.isSuspended);
    if (old) {
      await this.exchange(old.notebook, target, session);
      return;
    }
    const notebook = shownNotebook(target) ?? (await openNotebook(target));
    await this.attachments.attach(notebook, session, { quietly });
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private async answered({ offer, result, isOneOfMany }: Answer): Promise<void> {
    const { outcome, session } = result;
    if (!session || outcome === 'dismissed' || outcome === 'ask') return;
    if (outcome === 'migrated') await this.migrated(session, offer, isOneOfMany);
    else await this.show(session, outcome === 'started', offer.notebookUri);
    if (result.rebuild) await showRebuilding(this.sidecar, this.sessions, session, result.rebuild.executionIds);
  }

  /**
   * The session is the new file's now. A tab of the old file is exchanged also where this window had not attached it. Of many that
   * moved together those that no tab shows are not opened.
   */
  private async migrated(session: Session, offer: Offer, isOneOfMany: boolean): Promise<void> {
    const target = vscode.Uri.parse(offer.notebookUri);
    const from = offer.fromNotebookUri ?? offer.sessions.find(({ id }) => id === session.id)?.notebookUri;
    const old = from === undefined || sameUri(from, target) ? undefined : shownNotebook(vscode.Uri.parse(from));
    const isShown = old !== undefined || hasTab(target);
    if (!isShown && isOneOfMany && this.attachments.ofSession(session.id).length === 0) {
      this.sessions.put(session);
      await this.sidecar.request('keeper/detachSession', { sessionId: session.id });
      return;
    }
    if (old) await this.exchange(old, target, session);
    else await this.show(session, false, offer.notebookUri);
  }

  /** Another window was asked about a notebook that is open here, too; its answer counts for both. */
  private async followed(uri: vscode.Uri, session: Session): Promise<void> {
    this.sidecar.log.info(`${uri.toString()} follows the answer of another window (session ${session.id})`);
    if (shownNotebook(uri)) await this.show(session, false, uri.toString());
  }

  /** Goes on in `target`, and further where the session moves again meanwhile: what is heard of that while it moves is passed over. */
  private async exchange(old: vscode.NotebookDocument, target: vscode.Uri, session: Session): Promise<void> {
    const move = keyOf(session.id, old.uri);
    if (this.moving.has(move)) return;
    this.moving.add(move);
    const place = session.notebooks.findIndex((ref) => sameUri(ref.notebookUri, target));
    this.sessions.put(session);
    try {
      let shown = old;
      for (let next: vscode.Uri | undefined = target; next;) {
        const uri: vscode.Uri = next;
        try {
          shown = await this.exchangeTab(shown, uri);
          if (!(await this.attachments.attach(shown, session, { quietly: true }))) {
            // The exchange of another tab closed it, and shows it again.
            await this.exchanging;
            shown = shownNotebook(uri) ?? shown;
            if (!shown.isClosed) await this.attachments.attach(shown, session, { quietly: true });
          }
          next = this.movedFurther(session.id, uri, place);
        } catch (error) {
          this.sidecar.log.warn(`${session.label} did not follow to ${uri.toString()}: ${messageOf(error)}`);
          // Its file may have got another name just then.
          await pause(MOVED_MS);
          next = this.movedFurther(session.id, uri, place);
          if (!next) throw error;
        }
      }
    } finally {
      this.moving.delete(move);
    }
  }

  /** One at a time: tabs are moved and closed by commands that act on the one in front. */
  private async exchangeTab(old: vscode.NotebookDocument, target: vscode.Uri): Promise<vscode.NotebookDocument> {
    const done = this.exchanging.then(() => this.exchangeTabNow(old, target));
    this.exchanging = done.catch(() => undefined);
    return done;
  }

  /** The old notebook's tab is exchanged only where its file is gone: one that is still there is just let go. */
  private async exchangeTabNow(old: vscode.NotebookDocument, target: vscode.Uri): Promise<vscode.NotebookDocument> {
    // First of all: where this fails, everything stays as it is.
    const notebook = await vscode.workspace.openNotebookDocument(target);
    const takesPlace = hasTab(old.uri) && (await isSuccessor(notebook, old));
    this.attachments.drop(old);
    if (takesPlace) await takePlace(notebook, old);
    else await revealNotebook(target);
    return notebook;
  }

  /** Its tab was closed and is open again, with another document: nothing is asked about it, and nothing started. */
  private async goOn({ notebook, sessionId }: Attachment): Promise<void> {
    const now = shownNotebook(notebook.uri);
    if (!now || now === notebook) return;
    this.attachments.drop(notebook);
    const uri = now.uri.toString();
    const params = { targetNotebookUri: uri, expectedNotebookUri: uri, sessionId };
    const { session } = await this.sidecar.request('keeper/attachSession', params);
    await this.attachments.attach(now, session, { quietly: true });
  }

  /** `place`: which of the session's notebooks it is. */
  private movedFurther(sessionId: string, from: vscode.Uri, place: number): vscode.Uri | undefined {
    const session = this.sessions.get(sessionId);
    if (!session || session.state === 'ended' || session.notebooks.some((ref) => sameUri(ref.notebookUri, from))) return undefined;
    const ref = session.notebooks[place];
    return ref && vscode.Uri.parse(ref.notebookUri);
  }

  /** A session that a notebook here follows is bound to another file by now: migrated by a setting, a shell or another window. */
  private async updated(session: Session, before: Session | undefined): Promise<void> {
    if (session.state === 'ended') return;
    for (const attachment of this.attachments.ofSession(session.id)) {
      const { notebook } = attachment;
      if (attachment.isSuspended || notebook.isUntitled || this.renames.isExpected(notebook.uri)) continue;
      if (session.notebooks.some((ref) => sameUri(ref.notebookUri, notebook.uri))) continue;
      if (before !== undefined && session.notebooks.length < before.notebooks.length) {
        this.letGo(notebook);
        continue;
      }
      const now = this.newNameOf(notebook, session, before);
      if (now) await this.exchange(notebook, vscode.Uri.parse(now), session);
    }
  }

  /** A notebook that moved keeps its place among those that share the kernel; else it is the one that nothing here shows. */
  private newNameOf(notebook: vscode.NotebookDocument, session: Session, before: Session | undefined): string | undefined {
    const place = before?.notebooks.findIndex((ref) => sameUri(ref.notebookUri, notebook.uri)) ?? -1;
    if (place >= 0) return session.notebooks[place]?.notebookUri;
    const shown = this.attachments.ofSession(session.id).map((attachment) => attachment.notebook.uri);
    const others = session.notebooks.filter((ref) => !shown.some((uri) => sameUri(ref.notebookUri, uri)));
    return others.length === 1 ? others[0]?.notebookUri : undefined;
  }

  /** It shared a kernel, and does no more. */
  private letGo(notebook: vscode.NotebookDocument): void {
    this.attachments.drop(notebook);
    const file = notebook.uri.path.split('/').at(-1) ?? '';
    showStatus(vscode.l10n.t('{0} let its kernel go; the next run starts one of its own', file), 8_000);
  }

  /** Another kernel was chosen while the notebook's own lives: the sidecar asks before it stops one. */
  private async chosen({ notebook, kernel, isAnew }: Choice): Promise<void> {
    if (await this.isTaken(notebook, kernel)) await offerLanguage(notebook, kernel, isAnew);
  }

  /** False where the notebook goes on with the kernel it had. */
  private async isTaken(notebook: vscode.NotebookDocument, kernel: Kernel): Promise<boolean> {
    const attachment = this.attachments.of(notebook);
    const session = attachment && this.sessions.get(attachment.sessionId);
    if (!session || session.state === 'ended' || session.kernel.name === kernel.name) return true;
    const notebookUri = notebook.uri.toString();
    const result = await this.sidecar.request('keeper/ensureSession', { notebookUri, kernelName: kernel.name });
    const settled = result.outcome === 'ask' && result.offer ? await this.offers.ask(result.offer) : result;
    if (settled?.session?.id !== session.id || settled.outcome === 'started') return settled?.outcome === 'started';
    // It goes on with the kernel it had, so that one is to be selected again.
    this.attachments.drop(notebook);
    await this.attachments.attach(notebook, settled.session, { quietly: true });
    return false;
  }

  private lookAround(): void {
    for (const notebook of vscode.workspace.notebookDocuments) void this.guard(this.opened(notebook.uri));
  }

  private async opened(uri: vscode.Uri): Promise<void> {
    const notebook = shownNotebook(uri);
    if (notebook?.notebookType !== NOTEBOOK_TYPE || !vscode.workspace.isTrusted || this.sidecar.state !== 'running') return;
    if (this.attachments.of(notebook) || this.moving.size > 0 || this.renames.isExpected(uri)) return;
    const isAgain = this.lingering.delete(uri.toString());
    // Another notebook here shares its kernel: nothing is to be asked.
    const isHere = this.sharesHere(uri);
    // Otherwise the sidecar has heard of it and asks by itself. After a reload the window has its kernels again, and is not asked.
    if (!isAgain && !isHere && !this.sidecar.isReconnected && readSettings().onOpen !== 'resume') return;
    const { found } = await this.sidecar.request('keeper/findActiveSession', { notebookUri: uri.toString() });
    this.sidecar.log.info(`${uri.toString()} was opened: ${found ? 'its kernel runs' : 'no kernel runs for it'}`);
    if (found && !this.attachments.of(notebook)) await this.guard(this.ensure(notebook), true);
  }

  private sharesHere(uri: vscode.Uri): boolean {
    const session = this.sessions.of(uri);
    return session !== undefined && session.notebooks.length > 1 && this.attachments.ofSession(session.id).length > 0;
  }

  /** False where it has no kernel. */
  private async ensure(notebook: vscode.NotebookDocument): Promise<boolean> {
    const notebookUri = notebook.uri.toString();
    const { found } = await this.sidecar.request('keeper/findActiveSession', { notebookUri });
    if (!found) return false;
    const result = await this.sidecar.request('keeper/ensureSession', { notebookUri });
    this.sidecar.log.info(`${notebookUri}: ${result.outcome} (session ${result.session?.id ?? 'none'})`);
    if (result.outcome === 'ask' && result.offer) await this.offers.ask(result.offer);
    else if (result.session) await this.show(result.session, result.outcome === 'started', notebookUri);
    return true;
  }

  private async tabsClosed(): Promise<void> {
    await pause(MOVED_MS);
    // What a person brings in front while tabs are exchanged is closed in the place of an old one, and shown again.
    await this.exchanging;
    for (const attachment of this.attachments.all()) {
      const { notebook, sessionId } = attachment;
      if (attachment.isSuspended || this.moving.has(keyOf(sessionId, notebook.uri))) continue;
      if (hasTab(notebook.uri)) {
        void this.guard(this.goOn(attachment));
        continue;
      }
      if (notebook.isUntitled && this.renames.isSaving(notebook)) continue;
      this.attachments.drop(notebook);
      if (!notebook.isClosed) this.lingering.add(notebook.uri.toString());
      if (this.attachments.ofSession(sessionId).length === 0) await this.sidecar.request('keeper/detachSession', { sessionId });
    }
  }

  /** `isAwaited`: a person waits for what is done, and is told where it fails. */
  private async guard(task: Promise<unknown>, isAwaited = false): Promise<void> {
    try {
      await task;
    } catch (error) {
      this.sidecar.log.error(messageOf(error));
      // What a sidecar that is gone did not do is done after its start.
      if (isAwaited && !(error instanceof SidecarGone)) void showError(`Kernel Keeper: ${messageOf(error)}`);
    }
  }
}

const keyOf = (sessionId: string, notebook: vscode.Uri): string => `${sessionId} ${notebook.toString()}`;
