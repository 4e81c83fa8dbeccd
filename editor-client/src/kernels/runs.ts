/**
 * The executions of one notebook that VS Code shows, by cell and by the sidecar's id.
 * Guarantees: one VS Code execution a cell at a time (a second one is refused by VS Code); what waits behind it is shown after it.
 * Leaves out: where events come from.
 */
import * as vscode from 'vscode';
import type { CellRef } from '../protocol/types';
import type { Kernel } from './controllers';
import { Displays } from './displays';
import { type CellFacts, matchCell, positionId } from './matching';
import { CellRun } from './run';

/** VS Code says that it deleted a cell only after it did: until then what ends is thought to be shown, and is not. */
const DELETED_MS = 2_000;

/** Executions that VS Code shows as waiting already, while it is not yet known which session will run them. */
export type HeldExecutions = Map<vscode.NotebookCell, vscode.NotebookCellExecution>;

export class Runs {
  readonly displays: Displays;
  private readonly byCell = new Map<vscode.NotebookCell, CellRun>();
  private readonly byExecution = new Map<string, CellRun>();
  /** Executions of a cell that wait behind the one that is shown. */
  private readonly behind = new Map<vscode.NotebookCell, string[]>();
  /** Executions whose cell was deleted, by the cell's id: an undone deletion brings the cell back as a new object. */
  private readonly orphans = new Map<string, string>();
  /** The execution that an event said has ended last in a cell, and when that was, by `performance.now()`. */
  private readonly ended = new WeakMap<vscode.NotebookCell, { readonly executionId: string; readonly at: number }>();

  constructor(
    readonly notebook: vscode.NotebookDocument,
    readonly kernel: Kernel,
    private readonly held: HeldExecutions,
  ) {
    this.displays = new Displays(
      () => this.all().find((run) => run.isRunning)?.execution,
      (cell) => this.createExecution(cell),
    );
  }

  all(): CellRun[] {
    return [...this.byCell.values()];
  }

  of(executionId: string): CellRun | undefined {
    return this.byExecution.get(executionId);
  }

  ofCell(cell: vscode.NotebookCell): CellRun | undefined {
    return this.byCell.get(cell);
  }

  /** Shows the cell as waiting. Undefined where it cannot be: it is gone, or VS Code has another execution of it. */
  wait(cell: vscode.NotebookCell): CellRun | undefined {
    const present = this.byCell.get(cell);
    if (present) return present;
    const execution = this.held.get(cell) ?? this.createExecution(cell);
    if (!execution) return undefined;
    this.held.delete(cell);
    const run = new CellRun(cell, execution, {
      shown: (displayId, slot) => {
        this.displays.add(displayId, cell, slot);
      },
      cleared: () => {
        this.displays.forget(cell);
      },
    });
    this.byCell.set(cell, run);
    return run;
  }

  /** Takes over executions that were made while it was not known who would run them. */
  take(held: HeldExecutions): void {
    for (const [cell, execution] of [...held]) {
      held.delete(cell);
      if (this.byCell.has(cell)) execution.end(undefined);
      else this.held.set(cell, execution);
      this.wait(cell);
    }
  }

  /** Makes `executionId` that of the cell's run; one that has another waits behind it. */
  bind(executionId: string, cell: vscode.NotebookCell): CellRun | undefined {
    const present = this.byExecution.get(executionId);
    if (present) return present;
    const run = this.wait(cell);
    if (!run) return undefined;
    if (run.executionId !== undefined) {
      const waiting = this.behind.get(cell) ?? [];
      if (!waiting.includes(executionId)) this.behind.set(cell, [...waiting, executionId]);
      return undefined;
    }
    run.executionId = executionId;
    this.byExecution.set(executionId, run);
    return run;
  }

  /** An event said that it has ended. */
  finished(run: CellRun, executionId: string): void {
    this.ended.set(run.cell, { executionId, at: performance.now() });
    this.remove(run);
  }

  /** The run is over, or is not to be shown any more; what waits behind it comes up. */
  remove(run: CellRun): void {
    if (this.byCell.get(run.cell) === run) this.byCell.delete(run.cell);
    if (run.executionId !== undefined) this.byExecution.delete(run.executionId);
    const [next, ...others] = this.behind.get(run.cell) ?? [];
    if (next === undefined) return;
    if (others.length > 0) this.behind.set(run.cell, others);
    else this.behind.delete(run.cell);
    if (run.cell.index >= 0) this.bind(next, run.cell);
  }

  /** An execution that waited behind another one ended without having run. */
  forgetWaiting(executionId: string): void {
    for (const [cell, waiting] of this.behind) {
      this.behind.set(
        cell,
        waiting.filter((id) => id !== executionId),
      );
    }
  }

  cellOf(reference: CellRef | null, code?: string): vscode.NotebookCell | undefined {
    if (reference === null) return undefined;
    return findCell(this.notebook, reference.id, reference.index, code);
  }

  /** Stops feeding the executions of deleted cells; one that ended just now may be one of them. The jobs go on. */
  dropDeleted(removed: readonly vscode.NotebookCell[]): void {
    for (const cell of removed) {
      const [id, ended] = [cellId(cell), this.ended.get(cell)];
      if (cell.index < 0 && id !== undefined && ended && performance.now() - ended.at < DELETED_MS) {
        this.orphans.set(id, ended.executionId);
      }
    }
    for (const run of this.all()) {
      if (run.cell.index >= 0) continue;
      const id = cellId(run.cell);
      if (id !== undefined && run.executionId !== undefined) this.orphans.set(id, run.executionId);
      run.abandon();
      this.behind.delete(run.cell);
      this.remove(run);
    }
  }

  /** The execution that a cell brought back by undo had when it was deleted; it may have ended since. */
  orphanOf(cell: vscode.NotebookCell): string | undefined {
    const id = cellId(cell);
    return id === undefined ? undefined : this.orphans.get(id);
  }

  /** The cell shows its execution again. */
  forgetOrphan(cell: vscode.NotebookCell): void {
    const id = cellId(cell);
    if (id !== undefined) this.orphans.delete(id);
  }

  /** Writes nothing more of what came until now. Ends when VS Code has what was written before. */
  async stopWriting(): Promise<void> {
    await Promise.all([this.displays.stop(), ...this.all().map((run) => run.writer.stop())]);
  }

  /** Nobody looks any more: ends all in the display only. */
  abandonAll(): void {
    this.displays.dispose();
    this.behind.clear();
    this.orphans.clear();
    for (const run of this.all()) run.abandon();
    this.byCell.clear();
    this.byExecution.clear();
  }

  private createExecution(cell: vscode.NotebookCell): vscode.NotebookCellExecution | undefined {
    if (cell.index < 0 || this.notebook.isClosed) return undefined;
    try {
      return this.kernel.controller.createNotebookCellExecution(cell);
    } catch {
      // Another kernel was selected meanwhile, or another extension runs the cell.
      return undefined;
    }
  }
}

/** nbformat's id of a cell, where the notebook has them. */
export function cellId(cell: vscode.NotebookCell): string | undefined {
  const id = (cell.metadata as { id?: unknown }).id;
  return typeof id === 'string' && id !== '' ? id : undefined;
}

/** How requests name a cell. One without an id, or with that of one before it, is called by its position. */
export function cellRef(cell: vscode.NotebookCell): CellRef {
  const id = cellId(cell);
  const isFirst = id !== undefined && cell.notebook.getCells().find((one) => cellId(one) === id) === cell;
  return { id: isFirst ? id : positionId(cell.index), index: cell.index };
}

export function factsOf(notebook: vscode.NotebookDocument): (CellFacts & { cell: vscode.NotebookCell })[] {
  return notebook.getCells().map((cell) => ({ cell, id: cellId(cell), index: cell.index, source: cell.document.getText() }));
}

export function findCell(
  notebook: vscode.NotebookDocument,
  id: string,
  index: number | null,
  code?: string,
): vscode.NotebookCell | undefined {
  // By id it is the usual case, and needs no source to be read.
  const byId = notebook.getCells().filter((cell) => cellId(cell) === id);
  const cell = byId.length === 1 ? byId[0] : matchCell(factsOf(notebook), id, index, code)?.cell;
  return cell?.kind === vscode.NotebookCellKind.Code ? cell : undefined;
}
