/**
 * *History*: what ran in a notebook, over all its kernels and names, in the order in which it was asked for, newest first: what waits
 * stands above what runs, and nothing changes its place. It shows the notebook in front, or the one that was asked for.
 * Guarantees: read only while visible, anew when something ran; drawn anew only where it reads differently, as a menu may be open on a
 * line; a click goes to the cell, and where that is gone to the code as it ran.
 */
import * as vscode from 'vscode';
import type { Acknowledged } from '../acknowledged';
import type { Sidecar } from '../client';
import { moment } from '../describe';
import { messageOf } from '../errors';
import { byText, placeText, statusText, tookText } from '../executions';
import { openNotebook, shownNotebook } from '../kernels/documents';
import { NOTEBOOK_TYPE } from '../kernels/controllers';
import { findCell } from '../kernels/runs';
import { tabsOf } from '../kernels/selection';
import { registerLineCommand } from '../line-command';
import { plain } from '../plain';
import type { Execution, ExecutionStatus, Session } from '../protocol/types';
import { appendCode, appendPlain, guard } from '../say';
import { movedTo, sameUri, type Sessions } from '../sessions';
import type { AsItRan } from './code';

export const HISTORY_VIEW = 'kernelKeeper.history';
const PAGE = 100;
/** Many short cells are one change. */
const TOGETHER_MS = 250;

type Line = Execution | 'more';

export class HistoryView implements vscode.TreeDataProvider<Line>, vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<undefined>();
  private readonly view: vscode.TreeView<Line>;
  private readonly subscriptions: vscode.Disposable[];
  private notebook: vscode.Uri | undefined;
  private limit = PAGE;
  private timer: NodeJS.Timeout | undefined;
  /** What is drawn, and undefined where it is to be read anew. Read before VS Code forgets the lines that it has. */
  private lines: readonly Line[] | undefined;
  private asked = 0;

  readonly onDidChangeTreeData = this.changeEmitter.event;

  constructor(
    private readonly sidecar: Sidecar,
    sessions: Sessions,
    private readonly code: AsItRan,
    private readonly acknowledged: Acknowledged,
  ) {
    this.view = vscode.window.createTreeView<Line>(HISTORY_VIEW, { treeDataProvider: this });
    this.subscriptions = [
      this.view,
      this.changeEmitter,
      sidecar.onReady(() => {
        this.changed();
      }),
      sidecar.onExecution(({ notebookUri, event }) => {
        const isNews = event.kind === 'queued' || event.kind === 'started' || event.kind === 'finished';
        if (isNews && notebookUri !== null && this.notebook && sameUri(notebookUri, this.notebook)) this.changed();
      }),
      // A cell that another window ran, a kernel that ended, a notebook that has another name.
      sessions.onDidUpdate(({ session, before }) => {
        const { notebook } = this;
        if (!notebook) return;
        const isOurs = session.notebooks.some((ref) => sameUri(ref.notebookUri, notebook));
        const moved = movedTo(notebook, session, before);
        if (moved) this.follow(moved);
        const isNews = before?.lastActivityAt !== session.lastActivityAt || before.state !== session.state;
        if (isOurs && isNews) this.changed();
      }),
      vscode.window.onDidChangeActiveNotebookEditor((editor) => {
        if (editor?.notebook.notebookType === NOTEBOOK_TYPE) this.follow(editor.notebook.uri);
      }),
      registerLineCommand('showHistory', (argument) => this.showOf(argument)),
      vscode.commands.registerCommand('kernelKeeper.goToExecution', (line: Execution) => guard(this.goTo(line))),
      registerLineCommand('showCode', (line) => this.code.show(line as Execution)),
      vscode.commands.registerCommand('kernelKeeper.moreHistory', () => {
        this.limit += PAGE;
        void this.draw();
      }),
    ];
    const present = vscode.window.activeNotebookEditor?.notebook;
    if (present?.notebookType === NOTEBOOK_TYPE) this.follow(present.uri);
  }

  /** Brings the view to the front, with that notebook. */
  async show(notebookUri: string): Promise<void> {
    this.follow(vscode.Uri.parse(notebookUri));
    await vscode.commands.executeCommand(`${HISTORY_VIEW}.focus`);
  }

  async getChildren(parent?: Line): Promise<Line[]> {
    if (parent) return [];
    if (this.lines) return [...this.lines];
    const { asked } = this;
    const lines = await this.read();
    if (asked === this.asked) this.lines = lines;
    return [...lines];
  }

  getTreeItem(line: Line): vscode.TreeItem {
    if (line === 'more') {
      const item = new vscode.TreeItem(vscode.l10n.t('Show more…'));
      item.id = line;
      item.command = { command: 'kernelKeeper.moreHistory', title: vscode.l10n.t('Show more…') };
      return item;
    }
    const { now, cell, when, took } = wordsOf(line);
    const [firstLine = ''] = line.code.trimStart().split('\n', 1);
    const item = new vscode.TreeItem(cell);
    item.id = line.executionId;
    const error = line.error ? `${line.error.ename}: ${line.error.evalue}` : '';
    const facts = [moment(when, now, true), took, byText(line, vscode.l10n.t), error || firstLine];
    item.description = plain(facts.filter((part) => part !== '').join(' · '));
    const { icon, color } = ICONS[line.status];
    item.iconPath = new vscode.ThemeIcon(icon, color === undefined ? undefined : new vscode.ThemeColor(color));
    item.contextValue = line.status === 'ok' ? 'execution ok' : 'execution';
    item.command = { command: 'kernelKeeper.goToExecution', title: vscode.l10n.t('Go to Cell'), arguments: [line] };
    item.accessibilityInformation = { label: `${cell}, ${statusText(line, vscode.l10n.t)}, ${item.description}` };
    return item;
  }

  resolveTreeItem(item: vscode.TreeItem, line: Line): vscode.TreeItem {
    if (line !== 'more') item.tooltip = tooltipOf(line);
    return item;
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private follow(notebook: vscode.Uri): void {
    if (this.notebook?.toString() === notebook.toString()) return;
    this.notebook = notebook;
    this.limit = PAGE;
    this.view.description = vscode.l10n.t('{0} · newest first', notebook.path.split('/').at(-1) ?? '');
    this.asked += 1;
    this.lines = undefined;
    this.changeEmitter.fire(undefined);
  }

  private changed(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.draw();
    }, TOGETHER_MS);
  }

  private async draw(): Promise<void> {
    const asked = ++this.asked;
    const lines = this.view.visible ? await this.read() : undefined;
    if (asked !== this.asked || (lines && JSON.stringify(lines) === JSON.stringify(this.lines))) return;
    this.lines = lines;
    this.changeEmitter.fire(undefined);
  }

  private async read(): Promise<readonly Line[]> {
    if (!this.notebook || this.sidecar.state !== 'running') return [];
    const params = { notebookUri: this.notebook.toString(), limit: this.limit + 1 };
    try {
      const { executions } = await this.sidecar.request('keeper/executionHistory', params);
      return executions.length > this.limit ? [...executions.slice(0, this.limit), 'more'] : executions;
    } catch (error) {
      this.sidecar.log.warn(`The history could not be read: ${messageOf(error)}`);
      return [];
    }
  }

  /** Called on a line of the tree of kernels, or for the notebook in front. */
  private async showOf(argument: unknown): Promise<void> {
    const named = typeof argument === 'object' && argument !== null && 'notebookUri' in argument ? argument.notebookUri : undefined;
    // How a kernel died is read there.
    if (isSession(argument)) this.acknowledged.add(argument);
    const notebookUri = typeof named === 'string' ? named : vscode.window.activeNotebookEditor?.notebook.uri.toString();
    if (notebookUri !== undefined) await this.show(notebookUri);
    else await vscode.commands.executeCommand(`${HISTORY_VIEW}.focus`);
  }

  private async goTo(execution: Execution): Promise<void> {
    const cell = await cellOf(execution);
    if (!cell) {
      await this.code.show(execution);
      return;
    }
    const range = new vscode.NotebookRange(cell.index, cell.index + 1);
    const [tab] = tabsOf(cell.notebook.uri);
    const place = tab ? { viewColumn: tab.group.viewColumn } : {};
    const editor = await vscode.window.showNotebookDocument(cell.notebook, { selections: [range], preview: false, ...place });
    editor.revealRange(range, vscode.NotebookEditorRevealType.InCenterIfOutsideViewport);
  }
}

const isSession = (value: unknown): value is Session => typeof value === 'object' && value !== null && 'endedAt' in value;

/** The notebook is opened for it where it is there. */
async function cellOf(execution: Execution): Promise<vscode.NotebookCell | undefined> {
  if (execution.cellId === null) return undefined;
  const uri = vscode.Uri.parse(execution.notebookUri);
  try {
    const notebook = shownNotebook(uri) ?? (await openNotebook(uri));
    return findCell(notebook, execution.cellId, execution.cellIndex, execution.code);
  } catch {
    // It is gone, or cannot be read: the code is in the journal.
    return undefined;
  }
}

function wordsOf(execution: Execution) {
  const { startedAt, queuedAt } = execution;
  const cell = placeText(execution, vscode.l10n.t);
  return { now: new Date(), cell, when: startedAt ?? queuedAt, took: tookText(execution) };
}

function tooltipOf(execution: Execution): vscode.MarkdownString {
  const { now, cell, when, took } = wordsOf(execution);
  const text = new vscode.MarkdownString(undefined, true);
  text.appendMarkdown('**');
  appendPlain(text, cell);
  text.appendMarkdown(`** — ${statusText(execution, vscode.l10n.t)}\n\n`);
  appendPlain(text, [moment(when, now, true), took, byText(execution, vscode.l10n.t)].filter((part) => part !== '').join(' · '));
  text.appendMarkdown('\n');
  appendCode(text, execution.code.length > 2_000 ? `${execution.code.slice(0, 2_000)}…` : execution.code, 'python');
  if (execution.error) appendPlain(text, `${execution.error.ename}: ${execution.error.evalue}`);
  return text;
}

const ICONS: Readonly<Record<ExecutionStatus, { icon: string; color?: string }>> = {
  pending: { icon: 'clock' },
  running: { icon: 'sync~spin', color: 'charts.blue' },
  ok: { icon: 'pass', color: 'charts.green' },
  error: { icon: 'error', color: 'charts.red' },
  aborted: { icon: 'circle-slash' },
  lost: { icon: 'question', color: 'charts.yellow' },
};
