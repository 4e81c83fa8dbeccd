/**
 * One execution of one cell, as VS Code shows it: waiting, running with its outputs, ended.
 * Guarantees: ended once; nothing is written after that, nor to a cell that was deleted.
 */
import * as vscode from 'vscode';
import type { ExecutionStatus, Output } from '../protocol/types';
import { CellOutputWriter, type DisplayEvents } from './outputs';
import { hasTab } from './selection';

/** What VS Code marks a cell with that has begun: one that was cut off has not succeeded. */
export function successOf(status: ExecutionStatus): boolean | undefined {
  return status === 'running' || status === 'pending' ? undefined : status === 'ok';
}

/** What is said below the outputs of a cell that was cut off. */
export function noteOf(status: ExecutionStatus): string | undefined {
  if (status === 'aborted') return vscode.l10n.t('[the kernel was ended while this cell was running]\n');
  if (status === 'lost') return vscode.l10n.t('[the kernel ended while this cell was running; how far it came is not known]\n');
  return undefined;
}

export class CellRun {
  readonly writer: CellOutputWriter;
  /** Undefined until the sidecar has told it. */
  executionId: string | undefined;
  /** The code that this window sent; undefined for what runs from elsewhere. */
  sent: string | undefined;
  /** Events up to here are in what the cell shows already. */
  fromSeq = 0;
  private hasStarted = false;
  private hasEnded = false;

  constructor(
    readonly cell: vscode.NotebookCell,
    readonly execution: vscode.NotebookCellExecution,
    displays: DisplayEvents,
  ) {
    this.writer = new CellOutputWriter(execution, displays);
  }

  get isRunning(): boolean {
    return this.hasStarted && !this.hasEnded;
  }

  get isEnded(): boolean {
    return this.hasEnded;
  }

  start(startedAt: string | null, executionCount: number | null): void {
    if (this.hasStarted || this.hasEnded) return;
    this.hasStarted = true;
    this.execution.start(startedAt === null ? undefined : Date.parse(startedAt));
    this.order(executionCount);
  }

  order(executionCount: number | null): void {
    if (executionCount !== null && !this.hasEnded) this.execution.executionOrder = executionCount;
  }

  /**
   * Puts what the kernel has for the next input into the notebook of the window that ran the cell, where a tab shows it. What was edited
   * since stays, and where VS Code refuses the edit, as of a cell that is edited just then, it comes below.
   */
  async putNext(text: string, replace: boolean): Promise<void> {
    if (this.sent === undefined || !this.isShown()) return;
    if (replace && this.cell.document.getText() === this.sent && (await this.replaceCode(text))) return;
    if (this.isShown() && !(await this.insertBelow(text))) throw new Error('VS Code refused the edit');
  }

  private isShown(): boolean {
    return this.cell.index >= 0 && hasTab(this.cell.notebook.uri);
  }

  private replaceCode(text: string): Thenable<boolean> {
    const { document } = this.cell;
    const edit = new vscode.WorkspaceEdit();
    edit.replace(document.uri, document.validateRange(new vscode.Range(0, 0, document.lineCount, 0)), text);
    return vscode.workspace.applyEdit(edit);
  }

  private insertBelow(text: string): Thenable<boolean> {
    const { notebook, index, document } = this.cell;
    const below = new vscode.NotebookCellData(vscode.NotebookCellKind.Code, text, document.languageId);
    const edit = new vscode.WorkspaceEdit();
    edit.set(notebook.uri, [vscode.NotebookEdit.insertCells(index + 1, [below])]);
    return vscode.workspace.applyEdit(edit);
  }

  /** A new run's outputs replace those of the one before. */
  clearOld(): void {
    if (this.cell.outputs.length > 0) this.writer.clear(false);
  }

  output(output: Output): void {
    if (this.hasEnded) return;
    if (output.output_type === 'execute_result') this.order(output.execution_count);
    this.writer.output(output);
  }

  /** Text of our own, where something is to be said about the outputs. */
  say(text: string): void {
    this.output({ output_type: 'stream', name: 'stderr', text });
  }

  end(status: ExecutionStatus, completedAt: string | null): void {
    if (this.hasEnded) return;
    if (this.hasStarted) this.writer.flush(true);
    this.finish(this.hasStarted ? successOf(status) : undefined, completedAt);
  }

  /** Ends it in the display only: it may go on in the kernel, but nobody looks here any more. */
  abandon(): void {
    if (!this.hasEnded) this.finish(undefined, null);
  }

  /** It could not be run: the reason stands where the output would. */
  fail(message: string): void {
    if (this.hasEnded) return;
    this.start(null, null);
    this.clearOld();
    this.writer.flush();
    const item = vscode.NotebookCellOutputItem.error({ name: 'Kernel Keeper', message });
    void this.execution.appendOutput(new vscode.NotebookCellOutput([item], { outputType: 'error' }));
    this.finish(false, null);
  }

  private finish(success: boolean | undefined, completedAt: string | null): void {
    this.hasEnded = true;
    this.writer.dispose();
    try {
      this.execution.end(success, completedAt === null ? undefined : Date.parse(completedAt));
    } catch {
      // The cell or its notebook is gone, and the execution with it.
    }
  }
}
