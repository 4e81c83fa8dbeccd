/**
 * The sessions that the sidecar knows, kept up to date by what it pushes.
 * Guarantees: an older list never overwrites what was pushed after it was asked for; after each start of the sidecar one list tells the
 * truth anew. Ended sessions are listed then and where the person asks; later ends are pushed, so that looking again and again costs little.
 */
import * as vscode from 'vscode';
import type { Sidecar } from './client';
import { messageOf } from './errors';
import { isListable } from './groups';
import type { Session } from './protocol/types';

export class Sessions implements vscode.Disposable {
  private readonly known = new Map<string, { session: Session; change: number }>();
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  private readonly updateEmitter = new vscode.EventEmitter<{ session: Session; before: Session | undefined }>();
  private readonly subscriptions: vscode.Disposable[];
  private change = 0;

  /** Anything about any session may have changed. */
  readonly onDidChange = this.changeEmitter.event;
  /** One session was pushed. */
  readonly onDidUpdate = this.updateEmitter.event;

  /** When anything was last heard, in milliseconds. */
  heardAt = 0;
  /** Whether they were listed at all yet. */
  isListed = false;

  constructor(private readonly sidecar: Sidecar) {
    this.subscriptions = [
      sidecar.onSession((session) => {
        this.put(session);
      }),
      sidecar.onReady(() => void this.refresh(true)),
      this.changeEmitter,
      this.updateEmitter,
    ];
  }

  get(id: string): Session | undefined {
    return this.known.get(id)?.session;
  }

  /** One that may have been forgotten. */
  async find(id: string): Promise<Session | undefined> {
    if (!this.known.has(id)) {
      const { sessions } = await this.sidecar.request('keeper/listSessions', { includeEnded: true });
      const found = sessions.find((session) => session.id === id);
      if (found) this.put(found);
    }
    return this.get(id);
  }

  /** Newest activity first. */
  all(): Session[] {
    return [...this.known.values()]
      .map((entry) => entry.session)
      .sort((one, other) => Date.parse(other.lastActivityAt) - Date.parse(one.lastActivityAt));
  }

  live(): Session[] {
    return this.all().filter((session) => session.state !== 'ended');
  }

  /** The live session of a notebook. One that a replay took it from still names it. */
  of(notebookUri: vscode.Uri): Session | undefined {
    const refOf = (session: Session) => session.notebooks.find((notebook) => sameUri(notebook.notebookUri, notebookUri));
    const named = this.live().filter(refOf);
    return named.find((session) => !session.replaced && refOf(session)?.notebookExists) ?? named[0];
  }

  /** Takes in a session that an answer brought, as if it had been pushed. */
  put(session: Session): void {
    const before = this.known.get(session.id)?.session;
    this.heardAt = Date.now();
    this.known.set(session.id, { session, change: ++this.change });
    this.updateEmitter.fire({ session, before });
    this.changeEmitter.fire();
  }

  /** Asks for all of them. */
  async refresh(includeEnded = false): Promise<void> {
    const asked = this.change;
    try {
      const { sessions } = await this.sidecar.request('keeper/listSessions', { includeEnded });
      this.heardAt = Date.now();
      this.replace(sessions, asked, includeEnded);
    } catch (error) {
      this.sidecar.log.warn(`The sessions could not be listed: ${messageOf(error)}`);
    }
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private replace(listed: readonly Session[], asked: number, isAll: boolean): void {
    const now = new Date();
    const ids = new Set(listed.map((session) => session.id));
    for (const [id, entry] of this.known) {
      const isMissing = !ids.has(id) && entry.change <= asked;
      if (isMissing && (isAll || entry.session.state !== 'ended')) this.known.delete(id);
    }
    for (const session of listed) {
      const entry = this.known.get(session.id);
      // Months of ended ones are not kept in memory.
      if (entry ? entry.change <= asked : isListable(session, now)) this.known.set(session.id, { session, change: asked });
    }
    this.isListed = true;
    this.changeEmitter.fire();
  }
}

/** Whether a URI of the sidecar's and one of VS Code's name the same, whatever their encoding. */
export function sameUri(one: string, other: vscode.Uri): boolean {
  return one === other.toString() || vscode.Uri.parse(one).toString() === other.toString();
}

/** Where the notebook went, if the session came along with it. */
export function movedTo(notebook: vscode.Uri, session: Session, before: Session | undefined): vscode.Uri | undefined {
  if (before?.notebooks.length !== session.notebooks.length) return undefined;
  if (session.notebooks.some((ref) => sameUri(ref.notebookUri, notebook))) return undefined;
  const moved = session.notebooks[before.notebooks.findIndex((ref) => sameUri(ref.notebookUri, notebook))];
  return moved && vscode.Uri.parse(moved.notebookUri);
}
