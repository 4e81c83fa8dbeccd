/**
 * The one status item: "2 kernels · 1.1 GB". A product that keeps kernels must never hide what it keeps; with none it is not there.
 * It also names an open question about the notebook in front, whose notification may have left the screen: then a click asks it again.
 * After a start it says what was kept while the editor was closed. Else a click opens the list of sessions.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { factsText, lineText, questionText, statusText } from '../describe';
import type { Offers } from '../offers';
import type { Session } from '../protocol/types';
import type { Sessions } from '../sessions';
import { KeptNews } from './kept-news';

/** Memory alone is not pushed. */
const POLL_MS = 15_000;
const SESSIONS = 'kernelKeeper.sessions';

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('kernelKeeper.status', vscode.StatusBarAlignment.Right, 90);
  private readonly subscriptions: vscode.Disposable[];
  private readonly timer: NodeJS.Timeout;
  private readonly news: KeptNews;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly offers: Offers,
  ) {
    this.item.name = 'Kernel Keeper';
    const render = () => {
      this.render();
    };
    // Before what draws: it is to know first.
    this.news = new KeptNews(sessions, render);
    this.subscriptions = [
      this.item,
      this.news,
      sidecar.onState(render),
      sessions.onDidChange(render),
      offers.onDidChange(render),
      vscode.window.onDidChangeActiveNotebookEditor(render),
    ];
    this.timer = setInterval(() => {
      if (vscode.window.state.focused && sessions.live().length > 0) void sessions.refresh();
    }, POLL_MS);
    this.render();
  }

  /** The person looks at what runs: there is nothing to be told any more. */
  looked(): void {
    this.news.end();
  }

  dispose(): void {
    clearInterval(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private render(): void {
    if (this.sidecar.state === 'failed') {
      this.set('$(error) Kernel Keeper', this.sidecar.failure ?? '', 'kernelKeeper.showSidecarLog');
      return;
    }
    const notebook = vscode.window.activeNotebookEditor?.notebook;
    const live = this.sessions.live();
    const text = statusText(live, vscode.l10n.t);
    const offer = notebook && this.offers.of(notebook.uri);
    if (offer) {
      const what = questionText(offer, vscode.l10n.t);
      const tooltip = `${offer.message}\n${vscode.l10n.t('Click to be asked again.')}`;
      this.set(`$(question) ${live.length > 0 ? `${what} · ${text}` : what}`, tooltip, 'kernelKeeper.resume');
      return;
    }
    const { kept } = this.news;
    if (kept.length > 0) {
      const keptText = kept.length === 1 ? vscode.l10n.t('1 kernel kept running') : vscode.l10n.t('{0} kernels kept running', kept.length);
      const tooltip = vscode.l10n.t('They went on while the editor was closed. Click to see them.');
      this.set(`$(vm-active) ${keptText}`, `${tooltip}\n${this.lines(kept)}`, SESSIONS);
      return;
    }
    if (live.length === 0) {
      this.item.hide();
      return;
    }
    const own = notebook && this.sessions.of(notebook.uri);
    const icon = own?.state === 'busy' ? 'sync~spin' : 'vm-active';
    this.set(`$(${icon}) ${text}`, this.lines(live), SESSIONS);
  }

  private set(text: string, tooltip: string, command: string): void {
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.command = command;
    this.item.accessibilityInformation = { label: `Kernel Keeper: ${text.replace(/\$\([^)]*\) /, '')}. ${tooltip}` };
    this.item.show();
  }

  private lines(sessions: readonly Session[]): string {
    const now = new Date();
    const line = (session: Session) =>
      `${lineText(session, session.label, now, vscode.l10n.t)} · ${factsText(session, now, vscode.l10n.t)}`;
    return sessions.map(line).join('\n');
  }
}
