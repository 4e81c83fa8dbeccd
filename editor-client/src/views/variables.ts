/**
 * *Variables*: those of the notebook in front, a table that can be sorted and filtered.
 * Guarantees: a busy kernel is not asked: what is known of it stays, greyed, with its time; neither is anybody while the view is hidden.
 * Of a kernel that has ended the last known are shown. Leaves out: drawing (`webviews/variables.ts`), changing a variable.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import { NOTEBOOK_TYPE } from '../kernels/controllers';
import type { Session, SessionVariablesResult } from '../protocol/types';
import { movedTo, sameUri, type Sessions } from '../sessions';
import { type ShowVariables, type VariableRow, variableRow, type VariablesPage, variablesPage, variablesWords } from './variables-page';
import { pageOf, WEBVIEW_OPTIONS } from './webview';

export const VARIABLES_VIEW = 'kernelKeeper.variables';
/** Many short cells are one change. */
const TOGETHER_MS = 150;

interface Known {
  readonly sessionId: string;
  readonly result: SessionVariablesResult;
  readonly rows: readonly VariableRow[];
}

export class VariablesView implements vscode.WebviewViewProvider, vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[];
  private readonly none: readonly VariableRow[] = [];
  private view: vscode.WebviewView | undefined;
  private notebook: vscode.Uri | undefined;
  private known: Known | undefined;
  /** What decides whether to look again. */
  private seen = '';
  private turn = 0;
  private timer: NodeJS.Timeout | undefined;
  private page: VariablesPage = { nothing: '', asOf: '' };
  private rows = this.none;
  private postedRows: readonly VariableRow[] | undefined;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly extension: vscode.Uri,
  ) {
    this.subscriptions = [
      vscode.window.registerWebviewViewProvider(VARIABLES_VIEW, this),
      sidecar.onState(() => {
        this.changed();
      }),
      sessions.onDidChange(() => {
        if (this.state() !== this.seen) this.changed();
      }),
      sessions.onDidUpdate(({ session, before }) => {
        const moved = this.notebook && movedTo(this.notebook, session, before);
        if (moved) this.follow(moved);
      }),
      vscode.window.onDidChangeActiveNotebookEditor((editor) => {
        if (editor?.notebook.notebookType === NOTEBOOK_TYPE) this.follow(editor.notebook.uri);
      }),
    ];
    const present = vscode.window.activeNotebookEditor?.notebook;
    if (present?.notebookType === NOTEBOOK_TYPE) this.follow(present.uri);
  }

  async resolveWebviewView(view: vscode.WebviewView): Promise<void> {
    this.view = view;
    view.webview.options = WEBVIEW_OPTIONS;
    view.onDidChangeVisibility(() => {
      if (view.visible) void this.refresh();
    });
    view.onDidDispose(() => {
      if (this.view === view) this.view = undefined;
    });
    view.webview.onDidReceiveMessage((message: unknown) => {
      if (message !== 'ready') return;
      this.postedRows = undefined;
      this.post();
    });
    view.webview.html = await pageOf(this.extension, 'variables', vscode.l10n.t('Variables'));
    await this.refresh();
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private follow(notebook: vscode.Uri): void {
    if (this.notebook?.toString() === notebook.toString()) return;
    this.notebook = notebook;
    void this.refresh();
  }

  private changed(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.refresh();
    }, TOGETHER_MS);
  }

  private state(): string {
    const session = this.notebook && this.sessions.of(this.notebook);
    if (!session) return '';
    const { id, state, responding, queued, lastActivityAt } = session;
    return JSON.stringify([id, state, responding, queued > 0, state === 'idle' && lastActivityAt]);
  }

  private async refresh(): Promise<void> {
    if (!this.view?.visible) return;
    this.turn += 1;
    const { turn, notebook } = this;
    this.seen = this.state();
    if (notebook) this.view.description = notebook.path.split('/').at(-1) ?? '';
    const { state } = this.sidecar;
    if (!notebook || state !== 'running') {
      const why = state === 'failed' ? vscode.l10n.t('The kernel-keeper program does not run.') : vscode.l10n.t('Looking for kernels…');
      this.say(notebook ? why : vscode.l10n.t('Open a notebook to see its variables.'));
      return;
    }
    try {
      const session = this.sessions.of(notebook) ?? (await this.ended(notebook));
      if (turn !== this.turn) return;
      if (!session) {
        this.say(vscode.l10n.t('Nothing that Kernel Keeper kept ran in this notebook yet. Its variables appear here.'));
        return;
      }
      if (this.known?.sessionId !== session.id) this.known = undefined;
      this.show(session);
      if (!this.isToAsk(session)) return;
      const result = await this.sidecar.request('keeper/sessionVariables', { sessionId: session.id });
      if (turn !== this.turn) return;
      this.known = { sessionId: session.id, result, rows: result.variables.map(variableRow) };
      this.show(this.sessions.get(session.id) ?? session);
    } catch (error) {
      this.sidecar.log.warn(`The variables could not be listed: ${messageOf(error)}`);
      if (turn === this.turn && !this.known) this.say(messageOf(error));
    }
  }

  /** While the kernel is busy its keeper knows what there was, if nobody here does; it does not pass the question on. */
  private isToAsk({ state, queued }: Session): boolean {
    if (state === 'idle') return queued === 0;
    return state === 'ended' || (state === 'busy' && !this.known);
  }

  /** The kernel that ran this notebook last, unless it went on to another. */
  private async ended(notebook: vscode.Uri): Promise<Session | undefined> {
    const { executions } = await this.sidecar.request('keeper/executionHistory', { notebookUri: notebook.toString(), limit: 1 });
    const [last] = executions;
    if (!last) return undefined;
    // Not put among the sessions: it would be listed as news.
    const { sessions } = await this.sidecar.request('keeper/listSessions', { includeEnded: true });
    return sessions.find(
      ({ id, state, notebooks }) =>
        id === last.sessionId && (state === 'ended' || notebooks.some((ref) => sameUri(ref.notebookUri, notebook))),
    );
  }

  private show(session: Session): void {
    this.page = variablesPage(session, this.known?.result, new Date(), vscode.l10n.t);
    this.rows = this.page.nothing === '' ? (this.known?.rows ?? this.none) : this.none;
    this.post();
  }

  private say(nothing: string): void {
    this.page = { nothing, asOf: '' };
    this.rows = this.none;
    this.post();
  }

  private post(): void {
    const isNew = this.rows !== this.postedRows;
    this.postedRows = this.rows;
    const message: ShowVariables = { page: this.page, words: variablesWords(vscode.l10n.t), ...(isNew ? { rows: this.rows } : {}) };
    void this.view?.webview.postMessage(message);
  }
}
