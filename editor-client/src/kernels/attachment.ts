/**
 * One open notebook that follows one session: applies the session's events to its cells.
 * Guarantees: each event is applied once, in order of `seq`; nothing is written while suspended (a rename is under way), nor to a
 * notebook that no tab shows (VS Code would open one).
 * Leaves out: subscribing, which the `Attachments` do for all notebooks of a session.
 */
import * as vscode from 'vscode';
import { moment } from '../describe';
import type { EventBody, ExecutionEvent, Truncated } from '../protocol/types';
import type { Kernel } from './controllers';
import type { InputBoxes } from './input';
import { noteOf, type CellRun } from './run';
import { type HeldExecutions, Runs } from './runs';
import { hasTab } from './selection';
import { sameUri } from '../sessions';

type Event<K extends EventBody['kind']> = Extract<EventBody, { kind: K }>;

/** What an attachment tells the one that made it. */
export interface AttachmentEvents {
  /** A run ended while this window looked. */
  finished(attachment: Attachment, run: CellRun, completedAt: string): void;
  /** What the kernel has for the next input is in no cell. */
  notPut(error: unknown): void;
  /** A cell's last run was of other code, or is so no more. */
  ranOther(attachment: Attachment): void;
  /** A cell that ran when it was deleted was brought back: its outputs so far are to be shown again. */
  broughtBack(attachment: Attachment, cell: vscode.NotebookCell, executionId: string): void;
}

/** What ran in the place of a cell. */
export interface OtherCode {
  readonly executionId: string;
  readonly code: string;
}

/** Whether a cell's text is that code. */
export const isCodeOf = (cell: vscode.NotebookCell, code: string): boolean =>
  cell.document.getText().replaceAll('\r\n', '\n') === code.replaceAll('\r\n', '\n');

export class Attachment {
  readonly runs: Runs;
  /** Cells whose outputs are shown cut, and where the whole is. */
  readonly truncated = new Map<vscode.NotebookCell, Truncated>();
  /** Cells whose last run, asked for elsewhere, was of other code than they have here. */
  readonly others = new Map<vscode.NotebookCell, OtherCode>();
  /** The numbers of cells that were marked anew as they had been: VS Code takes such a number out of the cell's metadata. */
  readonly counts = new Map<vscode.NotebookCell, number>();
  /** The last event that was applied, or is in what was loaded. */
  lastSeq = 0;
  private suspended = false;
  /** Until the journal was read, events wait. */
  isLoading = true;
  isDetached = false;
  private readonly early: ExecutionEvent[] = [];

  constructor(
    readonly notebook: vscode.NotebookDocument,
    readonly kernel: Kernel,
    readonly sessionId: string,
    private readonly inputs: InputBoxes,
    private readonly events: AttachmentEvents,
    held: HeldExecutions,
  ) {
    this.runs = new Runs(notebook, kernel, held);
    for (const cell of [...held.keys()]) this.runs.wait(cell);
  }

  get isSuspended(): boolean {
    return this.suspended;
  }

  /** What was asked for earlier may come when this is so no more. */
  get isWritable(): boolean {
    return !this.isDetached && !this.suspended && hasTab(this.notebook.uri);
  }

  /** Nothing is written any more: another document takes this one's place. Ends when VS Code has what was written before. */
  suspend(): Promise<void> {
    this.suspended = true;
    return this.runs.stopWriting();
  }

  apply(event: ExecutionEvent): void {
    if (this.isDetached || this.suspended) return;
    if (this.isLoading) {
      this.early.push(event);
      return;
    }
    if (event.seq <= this.lastSeq) return;
    this.lastSeq = event.seq;
    if (event.event.kind === 'gap') {
      this.gap(event.event);
      return;
    }
    if (event.executionId === null) return;
    if (event.notebookUri !== null && !sameUri(event.notebookUri, this.notebook.uri)) return;
    this.applyTo(event.executionId, event);
  }

  /** What was loaded stands for all events up to `lastSeq`; those that came early follow. */
  loaded(lastSeq: number): void {
    this.isLoading = false;
    this.lastSeq = Math.max(this.lastSeq, lastSeq);
    for (const event of this.early.splice(0)) this.apply(event);
  }

  changed(event: vscode.NotebookDocumentChangeEvent): void {
    const removed = event.contentChanges.flatMap((change) => change.removedCells);
    this.runs.dropDeleted(removed);
    for (const change of event.cellChanges) {
      if (change.metadata) this.keepCount(change.cell);
      if (change.outputs?.length !== 0) continue;
      this.counts.delete(change.cell);
      this.runs.ofCell(change.cell)?.writer.clearedByPerson();
      this.truncated.delete(change.cell);
    }
    for (const cell of removed) {
      if (cell.index < 0) this.runs.displays.forget(cell);
    }
    for (const cell of event.contentChanges.flatMap((change) => change.addedCells)) {
      const executionId = this.runs.orphanOf(cell);
      if (executionId !== undefined) this.events.broughtBack(this, cell, executionId);
    }
  }

  /** Nothing of this notebook is written any more; jobs go on. */
  detach(): void {
    this.isDetached = true;
    this.inputs.withdrawOf(this);
    this.runs.abandonAll();
  }

  private applyTo(executionId: string, { seq, cell, event }: ExecutionEvent): void {
    const run = this.runs.of(executionId) ?? this.appear(executionId, cell, event);
    if (!run) {
      if (event.kind === 'finished') this.runs.forgetWaiting(executionId);
      return;
    }
    if (seq <= run.fromSeq) return;
    switch (event.kind) {
      case 'started':
        run.start(event.startedAt, event.executionCount);
        this.runs.displays.forget(run.cell);
        run.clearOld();
        this.truncated.delete(run.cell);
        this.counts.delete(run.cell);
        if (this.others.delete(run.cell)) this.events.ranOther(this);
        break;
      case 'output':
        run.output(event.output);
        break;
      case 'clearOutput':
        run.writer.clear(event.wait);
        break;
      case 'updateDisplay':
        this.runs.displays.update(event.displayId, event.data);
        break;
      case 'inputRequest':
        this.inputs.ask(this, executionId, run.cell, event);
        break;
      case 'inputReplied':
        this.inputs.withdraw(executionId);
        break;
      case 'nextInput':
        run.putNext(event.text, event.replace).catch((error: unknown) => {
          this.events.notPut(error);
        });
        break;
      case 'finished':
        this.finish(run, executionId, event);
        break;
      default:
        // Comm messages are for widgets, which are not shown yet.
        break;
    }
  }

  /** Else the file would lose it with the next save. */
  private keepCount(cell: vscode.NotebookCell): void {
    const count = this.counts.get(cell);
    if (count === undefined || cell.metadata['execution_count'] === count || cell.index < 0) return;
    this.counts.delete(cell);
    if (this.suspended) return;
    const edit = new vscode.WorkspaceEdit();
    const metadata = { ...cell.metadata, execution_count: count };
    edit.set(this.notebook.uri, [vscode.NotebookEdit.updateCellMetadata(cell.index, metadata)]);
    void vscode.workspace.applyEdit(edit);
  }

  /** An execution that is not shown yet: of this window, or from elsewhere. */
  private appear(executionId: string, cell: ExecutionEvent['cell'], event: EventBody): CellRun | undefined {
    if (event.kind === 'updateDisplay') {
      // From a thread that outlives its cell's run.
      this.runs.displays.update(event.displayId, event.data);
      return undefined;
    }
    if (event.kind !== 'queued' && event.kind !== 'started') return undefined;
    const found = this.runs.cellOf(cell, event.kind === 'queued' ? event.code : undefined);
    if (!found || !hasTab(this.notebook.uri)) return undefined;
    if (event.kind === 'queued' && this.isOther(found, event.code)) {
      this.others.set(found, { executionId, code: event.code });
      this.events.ranOther(this);
      return undefined;
    }
    if (this.others.get(found)?.executionId === executionId) return undefined;
    if (event.kind === 'started') this.runs.forgetWaiting(executionId);
    return this.runs.bind(executionId, found);
  }

  /** Its result would stand under code that did not give it. What this window runs is waited for already, without a name. */
  private isOther(cell: vscode.NotebookCell, code: string): boolean {
    const present = this.runs.ofCell(cell);
    return (present === undefined || present.executionId !== undefined) && !isCodeOf(cell, code);
  }

  private finish(run: CellRun, executionId: string, event: Event<'finished'>): void {
    this.inputs.withdraw(executionId);
    if (event.status === 'lost' && !run.isRunning) {
      // The kernel ended before it could say that it had begun.
      run.start(null, null);
      run.clearOld();
    }
    const note = noteOf(event.status);
    if (note !== undefined && run.isRunning) run.say(note);
    this.runs.displays.flush();
    run.order(event.executionCount ?? null);
    run.end(event.status, event.completedAt);
    this.runs.finished(run, executionId);
    this.events.finished(this, run, event.completedAt);
  }

  private gap(event: Event<'gap'>): void {
    const now = new Date();
    const [from, to] = [moment(event.from, now, true), moment(event.to, now, true)];
    const text =
      event.lostAtMost === null
        ? vscode.l10n.t('[some output may be missing here: between {0} and {1}]\n', from, to)
        : vscode.l10n.t('[some output may be missing here: at most {0} messages between {1} and {2}]\n', event.lostAtMost, from, to);
    for (const run of this.runs.all()) if (run.isRunning) run.say(text);
  }
}
