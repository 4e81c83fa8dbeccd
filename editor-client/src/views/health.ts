/**
 * *Kernel Health*: a panel with how it all is. One at a time; it is there again after its window was reloaded.
 * Guarantees: asks when a session was pushed, else every 10 s, while hidden every 30 s and for nothing else; memory is kept for as long as
 * the panel is open, also while it is hidden; nothing is pruned without a question. Leaves out: drawing (`webviews/health.ts`).
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { moment, size } from '../describe';
import { messageOf } from '../errors';
import type { Health } from '../protocol/types';
import { showError, showInformation, showWarning } from '../say';
import type { Sessions } from '../sessions';
import type { Visibility } from '../visibility';
import { type HealthPage, healthPage, healthWords, type ShowHealth } from './health-page';
import { MemorySamples } from './samples';
import { pageOf, WEBVIEW_OPTIONS } from './webview';

const HEALTH = 'kernelKeeper.health';
const VISIBLE_MS = 10_000;
const HIDDEN_MS = 30_000;
/** What is pushed within this time is one change. */
const TOGETHER_MS = 300;

interface Uses {
  readonly sidecar: Sidecar;
  readonly sessions: Sessions;
  readonly visibility: Visibility;
  readonly extension: vscode.Uri;
}

export class HealthCommand implements vscode.Disposable {
  private readonly registered: vscode.Disposable;
  private open: HealthPanel | undefined;

  constructor(private readonly uses: Uses) {
    const show = () => {
      if (this.open) this.open.panel.reveal();
      else this.begin(vscode.window.createWebviewPanel(HEALTH, vscode.l10n.t('Kernel Health'), vscode.ViewColumn.Active, WEBVIEW_OPTIONS));
    };
    const deserializeWebviewPanel = (panel: vscode.WebviewPanel) => {
      if (this.open) panel.dispose();
      else this.begin(panel);
      return Promise.resolve();
    };
    this.registered = vscode.Disposable.from(
      vscode.commands.registerCommand(HEALTH, show),
      vscode.window.registerWebviewPanelSerializer(HEALTH, { deserializeWebviewPanel }),
    );
  }

  /** Leaves an open panel to VS Code, which closes it, or keeps it over a reload of the window. */
  dispose(): void {
    this.registered.dispose();
    this.open?.dispose();
  }

  private begin(panel: vscode.WebviewPanel): void {
    panel.webview.options = WEBVIEW_OPTIONS;
    this.open = new HealthPanel(this.uses, panel);
    panel.onDidDispose(() => {
      this.open = undefined;
    });
  }
}

class HealthPanel {
  private readonly samples = new MemorySamples();
  private readonly subscriptions: vscode.Disposable[];
  private latest: { health: Health; at: Date } | undefined;
  private failure = '';
  private timer: NodeJS.Timeout | undefined;
  /** When the timer ends. */
  private due = Infinity;
  private isAsking = false;
  private isDisposed = false;

  constructor(
    private readonly uses: Uses,
    readonly panel: vscode.WebviewPanel,
  ) {
    const { sidecar, sessions, visibility, extension } = uses;
    this.panel.iconPath = vscode.Uri.joinPath(extension, 'media', 'icon.png');
    this.subscriptions = [
      sidecar.onState(() => void this.refresh()),
      sessions.onDidUpdate(() => {
        if (this.panel.visible) this.refreshIn(TOGETHER_MS);
      }),
      this.panel.onDidChangeViewState(() => {
        visibility.set(HEALTH, this.panel.visible);
        if (this.panel.visible) void this.refresh();
      }),
      this.panel.webview.onDidReceiveMessage((message: unknown) => {
        if (message === 'ready') this.show();
        if (message === 'prune') void this.prune();
      }),
    ];
    this.panel.onDidDispose(() => {
      visibility.set(HEALTH, false);
      this.dispose();
    });
    visibility.set(HEALTH, this.panel.visible);
    void this.begin();
  }

  dispose(): void {
    this.isDisposed = true;
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private async begin(): Promise<void> {
    try {
      this.panel.webview.html = await pageOf(this.uses.extension, 'health', this.panel.title);
    } catch (error) {
      this.uses.sidecar.log.error(`The panel cannot be drawn: ${messageOf(error)}`);
    }
    await this.refresh();
  }

  /** The sooner one counts. */
  private refreshIn(milliseconds: number): void {
    const due = Date.now() + milliseconds;
    if (due >= this.due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => void this.refresh(), milliseconds);
  }

  private async refresh(): Promise<void> {
    clearTimeout(this.timer);
    this.due = Infinity;
    if (this.isAsking) {
      this.refreshIn(TOGETHER_MS);
      return;
    }
    this.isAsking = true;
    try {
      await this.ask();
    } finally {
      this.isAsking = false;
      if (!this.isDisposed) {
        this.show();
        this.refreshIn(this.panel.visible ? VISIBLE_MS : HIDDEN_MS);
      }
    }
  }

  private async ask(): Promise<void> {
    const { sidecar, sessions } = this.uses;
    if (sidecar.state !== 'running') return;
    try {
      const [health] = await Promise.all([sidecar.request('keeper/health', {}), sessions.refresh()]);
      this.latest = { health, at: new Date() };
      this.failure = '';
    } catch (error) {
      this.failure = messageOf(error);
      sidecar.log.warn(`Kernel health is not known: ${this.failure}`);
      return;
    }
    const live = sessions.live();
    for (const { id, memoryBytes } of live) if (memoryBytes !== null) this.samples.add(id, this.latest.at.getTime(), memoryBytes);
    this.samples.keep(new Set(live.map(({ id }) => id)));
  }

  private show(): void {
    if (!this.panel.visible) return;
    const message: ShowHealth = { words: healthWords(vscode.l10n.t), notice: this.notice(), page: this.page() };
    void this.panel.webview.postMessage(message);
  }

  private page(): HealthPage | null {
    if (!this.latest) return null;
    return healthPage(this.latest.health, this.uses.sessions.live(), (id) => this.samples.of(id), new Date(), vscode.l10n.t);
  }

  private notice(): string {
    const { state, failure } = this.uses.sidecar;
    const why = state === 'failed' ? (failure ?? vscode.l10n.t('The kernel-keeper program does not run.')) : this.failure;
    if (state === 'running' && why === '') return this.latest ? '' : vscode.l10n.t('Looking for kernels…');
    const reason = why === '' ? vscode.l10n.t('The sidecar is being started.') : why;
    return this.latest ? `${reason} ${vscode.l10n.t('What follows is as of {0}.', moment(this.latest.at, new Date(), true))}` : reason;
  }

  private async prune(): Promise<void> {
    const { sidecar, sessions } = this.uses;
    const count = this.latest?.health.sessions.ended ?? 0;
    const question =
      count === 1 ? vscode.l10n.t('Remove the kernel that has ended?') : vscode.l10n.t('Remove {0} kernels that have ended?', count);
    const detail = vscode.l10n.t(
      'Their outputs and their history go from the disk; they cannot be restarted or rebuilt any more. Notebooks keep what is saved in them. Kernels that run are not touched.',
    );
    const prune = vscode.l10n.t('Prune');
    if ((await showWarning(question, { modal: true, detail }, prune)) !== prune) return;
    try {
      const { removedSessions, freedBytes } = await sidecar.request('keeper/pruneStore', {});
      // Those that have ended are there no more.
      await sessions.refresh(true);
      const freed = size(freedBytes);
      void showInformation(
        removedSessions === 1
          ? vscode.l10n.t('1 ended kernel was removed: {0} are free again.', freed)
          : vscode.l10n.t('{0} ended kernels were removed: {1} are free again.', removedSessions, freed),
      );
    } catch (error) {
      void showError(`Kernel Keeper: ${messageOf(error)}`);
    }
    await this.refresh();
  }
}
