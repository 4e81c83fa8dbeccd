/**
 * *Active Kernels*: a line a session, and under it the notebooks where several share it.
 * Guarantees: pushed by the sidecar; asks every 5 s only while visible and nothing came; a single click does nothing. What needs
 * attention stands in the line, in its tooltip and in the view's badge.
 */
import * as vscode from 'vscode';
import { moment, sessionDescription, size, stateText } from '../describe';
import type { NotebookRef, Session } from '../protocol/types';
import type { Sessions } from '../sessions';
import type { Visibility } from '../visibility';

const POLL_MS = 5_000;
export const VIEW = 'kernelKeeper.sessions';

/** One of the notebooks that share a kernel. */
export interface SharedNotebook extends NotebookRef {
  readonly session: Session;
}

type Line = Session | SharedNotebook;

export class SessionTree implements vscode.TreeDataProvider<Line>, vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<undefined>();
  private readonly view: vscode.TreeView<Line>;
  private readonly subscriptions: vscode.Disposable[];
  private timer: NodeJS.Timeout | undefined;

  readonly onDidChangeTreeData = this.changeEmitter.event;

  constructor(
    private readonly sessions: Sessions,
    private readonly visibility: Visibility,
  ) {
    this.view = vscode.window.createTreeView<Line>(VIEW, { treeDataProvider: this });
    this.subscriptions = [
      this.view,
      this.changeEmitter,
      sessions.onDidChange(() => {
        this.changeEmitter.fire(undefined);
        this.showBadge();
      }),
      this.view.onDidChangeVisibility(({ visible }) => {
        this.poll(visible);
      }),
    ];
    this.poll(this.view.visible);
  }

  getChildren(parent?: Line): Line[] {
    if (!parent) return this.sessions.all();
    if (isShared(parent)) return [];
    const session = this.sessions.get(parent.id) ?? parent;
    return session.notebooks.length < 2 ? [] : session.notebooks.map((notebook) => ({ ...notebook, session }));
  }

  getTreeItem(line: Line): vscode.TreeItem {
    return isShared(line) ? this.notebookItem(line) : this.sessionItem(line);
  }

  private notebookItem({ session, notebookUri, notebookPath, notebookExists }: SharedNotebook): vscode.TreeItem {
    const uri = vscode.Uri.parse(notebookUri);
    const item = new vscode.TreeItem(uri.path.split('/').at(-1) ?? notebookUri);
    item.id = `${session.id} ${notebookUri}`;
    item.iconPath = new vscode.ThemeIcon('notebook');
    // Where it is, as the explorer shows it; nothing at the top of the workspace.
    const folder = notebookPath === null ? '' : vscode.workspace.asRelativePath(uri).split('/').slice(0, -1).join('/');
    const gone = notebookExists ? '' : vscode.l10n.t('notebook is gone');
    item.description = [gone, folder].filter((part) => part !== '').join(' · ');
    item.tooltip = notebookPath ?? vscode.l10n.t('not saved yet');
    item.contextValue = session.state === 'ended' ? 'notebook' : 'notebook shared';
    const label = typeof item.label === 'string' ? item.label : '';
    const words = vscode.l10n.t('{0}, shares the kernel {1}', label, session.label);
    item.accessibilityInformation = { label: gone === '' ? words : `${words}, ${gone}` };
    return item;
  }

  private sessionItem(session: Session): vscode.TreeItem {
    const now = new Date();
    const isSeveral = session.notebooks.length > 1;
    const state = isSeveral ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.None;
    const item = new vscode.TreeItem(session.label, state);
    // VS Code keeps a line closed that it drew before there was anything below it.
    item.id = isSeveral ? `${session.id} shared` : session.id;
    item.description = sessionDescription(session, now, vscode.l10n.t);
    item.iconPath = iconOf(session);
    item.contextValue = contextOf(session);
    item.accessibilityInformation = {
      label: `${session.label}, ${stateText(session, vscode.l10n.t)}, ${sessionDescription(session, now, vscode.l10n.t)}`,
    };
    return item;
  }

  resolveTreeItem(item: vscode.TreeItem, session: Line): vscode.TreeItem {
    if (!isShared(session)) item.tooltip = tooltipOf(this.sessions.get(session.id) ?? session);
    return item;
  }

  dispose(): void {
    this.poll(false);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private showBadge(): void {
    const count = this.sessions.all().filter(needsAttention).length;
    this.view.badge = count > 0 ? { value: count, tooltip: vscode.l10n.t('{0} kernels need attention', count) } : undefined;
  }

  private poll(isVisible: boolean): void {
    this.visibility.set(VIEW, isVisible);
    clearInterval(this.timer);
    this.timer = undefined;
    if (!isVisible) return;
    void this.sessions.refresh();
    this.timer = setInterval(() => {
      if (Date.now() - this.sessions.heardAt >= POLL_MS) void this.sessions.refresh();
    }, POLL_MS);
  }
}

const isShared = (line: Line): line is SharedNotebook => 'session' in line;

function needsAttention(session: Session): boolean {
  const isUnwell = session.warnings.length > 0 || !session.responding || session.currentExecution?.input != null;
  return session.state === 'ended' ? session.endReason === 'crashed' || session.endReason === 'lost' : isUnwell;
}

function iconOf(session: Session): vscode.ThemeIcon {
  const icon = (id: string, color?: string) => new vscode.ThemeIcon(id, color === undefined ? undefined : new vscode.ThemeColor(color));
  if (session.state === 'ended') return session.endReason === 'stopped' ? icon('circle-slash') : icon('error', 'charts.red');
  if (!session.responding || session.warnings.length > 0) return icon('warning', 'charts.yellow');
  switch (session.state) {
    case 'busy':
      return session.currentExecution?.input ? icon('question', 'charts.yellow') : icon('sync~spin', 'charts.blue');
    case 'idle':
      return icon('circle-filled', 'charts.green');
    default:
      return icon('loading~spin');
  }
}

/** Words that `package.json` looks for in its `when` clauses. */
function contextOf(session: Session): string {
  const words = ['session', session.state];
  if (session.state !== 'ended') words.push('live');
  words.push('ours', session.pinned ? 'pinned' : 'unpinned');
  if (session.notebookPath !== null && session.notebookExists) words.push('file');
  return words.join(' ');
}

function tooltipOf(session: Session): vscode.MarkdownString {
  const now = new Date();
  const text = new vscode.MarkdownString(undefined, true);
  const line = (name: string, value: string) => {
    text.appendMarkdown(`\n- ${name}: `);
    text.appendText(value);
  };
  text.appendMarkdown('**');
  text.appendText(session.label);
  text.appendMarkdown(`** — ${stateText(session, vscode.l10n.t)}\n`);
  for (const warning of session.warnings) {
    text.appendMarkdown('\n$(warning) ');
    text.appendText(warning);
    text.appendMarkdown('\n');
  }
  for (const notebook of session.notebooks) line(vscode.l10n.t('Notebook'), notebook.notebookPath ?? vscode.l10n.t('not saved yet'));
  line(vscode.l10n.t('Kernel'), `${session.kernel.displayName} (${session.kernel.name})`);
  if (session.pid !== null) line('PID', String(session.pid));
  line(vscode.l10n.t('Running since'), moment(session.startedAt, now));
  line(vscode.l10n.t('Last activity'), moment(session.lastActivityAt, now));
  line(vscode.l10n.t('Time spent executing'), vscode.l10n.t('{0} s', Math.round(session.busySeconds)));
  if (session.memoryBytes !== null) line(vscode.l10n.t('Memory'), size(session.memoryBytes));
  if (session.cpuPercent !== null) line(vscode.l10n.t('Processor'), `${session.cpuPercent.toFixed(0)} %`);
  if (session.queued > 0) line(vscode.l10n.t('Cells waiting'), String(session.queued));
  if (session.runs !== null) line(vscode.l10n.t('Runs'), session.runs);
  line(vscode.l10n.t('Windows'), session.windows.length === 0 ? vscode.l10n.t('none') : String(session.windows.length));
  line(vscode.l10n.t('Session'), session.id);
  return text;
}
