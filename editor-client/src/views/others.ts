/**
 * *Kernels of Others*: kernels of this user that another program started and that are not kept. Read-only: one can be adopted.
 * Guarantees: looked for only while visible, because each look goes through all processes.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { moment } from '../describe';
import { messageOf } from '../errors';
import { plain } from '../plain';
import type { OtherKernel } from '../protocol/types';
import { appendPlain } from '../say';
import type { Sessions } from '../sessions';

const VIEW = 'kernelKeeper.others';
const POLL_MS = 10_000;

export class OtherKernels implements vscode.TreeDataProvider<OtherKernel>, vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<undefined>();
  private readonly view: vscode.TreeView<OtherKernel>;
  private readonly subscriptions: vscode.Disposable[];
  private kernels: readonly OtherKernel[] = [];
  /** How its lines looked: those that are the same are not drawn anew, as a menu may be open on one. */
  private look = '';
  private timer: NodeJS.Timeout | undefined;

  readonly onDidChangeTreeData = this.changeEmitter.event;

  constructor(
    private readonly sidecar: Sidecar,
    sessions: Sessions,
  ) {
    this.view = vscode.window.createTreeView<OtherKernel>(VIEW, { treeDataProvider: this });
    this.subscriptions = [
      this.view,
      this.changeEmitter,
      sidecar.onReady(() => {
        this.watch();
      }),
      this.view.onDidChangeVisibility(() => {
        this.watch();
      }),
      // One that was adopted is listed there from now on.
      sessions.onDidUpdate(({ session, before }) => {
        if (session.adopted && !before) this.watch();
      }),
    ];
    this.watch();
  }

  getChildren(parent?: OtherKernel): OtherKernel[] {
    return parent ? [] : [...this.kernels];
  }

  getTreeItem(kernel: OtherKernel): vscode.TreeItem {
    const file = kernel.notebookPath?.split(/[/\\]/).at(-1);
    const item = new vscode.TreeItem(plain(file ?? kernel.displayName));
    item.id = kernel.connectionFile;
    item.iconPath = new vscode.ThemeIcon('circle-outline');
    item.contextValue = 'other';
    const since = vscode.l10n.t('since {0}', moment(kernel.startedAt, new Date()));
    const by = kernel.startedBy === null ? [] : [vscode.l10n.t('started by {0}', kernel.startedBy)];
    item.description = plain([`PID ${kernel.pid}`, since, ...by].join(' · '));
    item.accessibilityInformation = { label: `${file ?? kernel.displayName}, ${item.description}` };
    const text = new vscode.MarkdownString();
    const line = (name: string, value: string) => {
      text.appendMarkdown(`\n- ${name}: `);
      appendPlain(text, value);
    };
    line(vscode.l10n.t('Kernel'), kernel.displayName);
    line('PID', String(kernel.pid));
    if (kernel.notebookPath !== null) line(vscode.l10n.t('Notebook'), kernel.notebookPath);
    line(vscode.l10n.t('Connection file'), kernel.connectionFile);
    item.tooltip = text;
    return item;
  }

  /** What is listed now; looked for anew. */
  async list(): Promise<readonly OtherKernel[]> {
    const { kernels, folder } = await this.sidecar.request('keeper/listOtherKernels', {});
    this.view.message = folder === null ? '' : plain(vscode.l10n.t('Looked in {0}', folder));
    this.kernels = kernels;
    const look = JSON.stringify(kernels.map((kernel) => this.getTreeItem(kernel)));
    if (look !== this.look) this.changeEmitter.fire(undefined);
    this.look = look;
    return kernels;
  }

  dispose(): void {
    clearInterval(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private watch(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    if (!this.view.visible || this.sidecar.state !== 'running') return;
    const look = async () => {
      try {
        await this.list();
      } catch (error) {
        this.sidecar.log.warn(`The kernels of others could not be listed: ${messageOf(error)}`);
      }
    };
    this.timer = setInterval(() => void look(), POLL_MS);
    void look();
  }
}
