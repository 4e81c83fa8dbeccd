/**
 * What stands under a cell: a link to the whole of an output that is shown cut, a button that brings back the box of an `input()` that was
 * closed, and that its kernel runs it, where this window does not follow that yet.
 */
import * as vscode from 'vscode';
import { size } from '../describe';
import type { Attachments } from '../kernels/attachments';
import { NOTEBOOK_TYPE } from '../kernels/controllers';
import { isCodeOf } from '../kernels/attachment';
import type { InputBoxes } from '../kernels/input';
import { findCell } from '../kernels/runs';
import { sameUri, type Sessions } from '../sessions';

export class CellStatus implements vscode.NotebookCellStatusBarItemProvider, vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  private readonly subscriptions: vscode.Disposable[];

  readonly onDidChangeCellStatusBarItems = this.changeEmitter.event;

  constructor(
    private readonly attachments: Attachments,
    private readonly inputs: InputBoxes,
    private readonly sessions: Sessions,
  ) {
    const changed = () => {
      this.changeEmitter.fire();
    };
    this.subscriptions = [
      this.changeEmitter,
      attachments.onDidChange(changed),
      attachments.onDidChangeTruncated(changed),
      inputs.onDidChange(changed),
      sessions.onDidUpdate(({ session, before }) => {
        if (session.currentExecution?.executionId !== before?.currentExecution?.executionId) changed();
      }),
      vscode.notebooks.registerNotebookCellStatusBarItemProvider(NOTEBOOK_TYPE, this),
    ];
  }

  provideCellStatusBarItems(cell: vscode.NotebookCell): vscode.NotebookCellStatusBarItem[] {
    const items = [];
    const truncated = this.attachments.of(cell.notebook)?.truncated.get(cell);
    if (truncated) {
      const title = vscode.l10n.t('Open all {0}', size(truncated.totalBytes));
      items.push(item(`$(go-to-file) ${title}`, { command: 'kernelKeeper.openWholeOutput', title, arguments: [truncated.assetUri] }));
    }
    const executionId = this.inputs.ofCell(cell);
    if (executionId !== undefined) {
      const title = vscode.l10n.t('Waiting for input');
      items.push(item(`$(question) ${title}`, { command: 'kernelKeeper.answerInput', title, arguments: [executionId] }));
    }
    const other = this.attachments.of(cell.notebook)?.others.get(cell);
    if (other && !isCodeOf(cell, other.code)) {
      const title = vscode.l10n.t('Ran with other code');
      const tooltip = vscode.l10n.t('It was run elsewhere, with other code. Click to see the difference.');
      items.push(item(`$(diff) ${title}`, { command: 'kernelKeeper.showOtherCode', title, tooltip, arguments: [cell, other] }));
    }
    if (this.runsUnseen(cell)) {
      const title = vscode.l10n.t('Running in its kernel');
      items.push(item(`$(sync~spin) ${title}`, { command: 'kernelKeeper.resume', title, tooltip: vscode.l10n.t('Resume Session') }));
    }
    return items;
  }

  /** Before its session is resumed VS Code shows what is in the file, as if the cell had ended. */
  private runsUnseen(cell: vscode.NotebookCell): boolean {
    if (this.attachments.of(cell.notebook)) return false;
    const current = this.sessions.of(cell.notebook.uri)?.currentExecution;
    if (typeof current?.cellId !== 'string' || !sameUri(current.notebookUri, cell.notebook.uri)) return false;
    return findCell(cell.notebook, current.cellId, current.cellIndex) === cell;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }
}

function item(text: string, command: vscode.Command): vscode.NotebookCellStatusBarItem {
  const made = new vscode.NotebookCellStatusBarItem(text, vscode.NotebookCellStatusBarAlignment.Left);
  made.command = command;
  made.tooltip = command.tooltip ?? command.title;
  return made;
}
