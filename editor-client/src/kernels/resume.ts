/**
 * Puts what a session's journal has into the cells of a notebook, as if its window had never closed: outputs, order, true times; a
 * running cell runs on live, a waiting one waits, a pending `input()` asks again.
 * Guarantees: a cell is written to only where its outputs or its number differ (any execution of a cell that has a number, and any
 * writing, makes the notebook dirty, also with identical content); all cells at once (100 awaited one by one take 5 s, in parallel 0.2 s).
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { elsewhereIn } from '../describe';
import { sameItems, itemsOf } from '../outputs/mime';
import type { CellOutputs, CellOutputsParams, Execution, Output, Session } from '../protocol/types';
import { sameUri } from '../sessions';
import { type Attachment, isCodeOf } from './attachment';
import type { InputBoxes } from './input';
import { contentOf, ignoreClosed, MAX_BYTES_PER_CELL } from './outputs';
import { noteOf, successOf } from './run';
import { findCell } from './runs';
import type { Happened } from './summary';

/** `isNew`: it differs from what the notebook showed. */
export type Resumed = Happened & { readonly isNew: boolean };

const HISTORY = 50;

/** A cell's outputs from the journal, and the last event that they hold. */
interface Loaded {
  readonly row: CellOutputs;
  readonly lastSeq: number;
}

/** The same, and where they were put. */
interface Placed extends Loaded {
  readonly cell: vscode.NotebookCell;
}

/** Loads all cells. Answers with what ran in them. */
export async function resume(sidecar: Sidecar, inputs: InputBoxes, attachment: Attachment, session: Session): Promise<Resumed[]> {
  const { sessionId, notebook } = attachment;
  const notebookUri = notebook.uri.toString();
  // The history first: what begins between the two answers is in the second one.
  const { executions } = await sidecar.request('keeper/executionHistory', { sessionId, limit: HISTORY + session.queued });
  const params = { sessionId, notebookUri, maxBytesPerCell: MAX_BYTES_PER_CELL };
  const { cells, lastSeq } = await sidecar.request('keeper/cellOutputs', params);
  const loaded: Loaded[] = [];
  for (const row of cells) loaded.push(await whole(sidecar, params, { row, lastSeq }));
  const happened: Resumed[] = [];
  if (attachment.isWritable) {
    const codes = new Map(executions.map((execution) => [execution.executionId, execution.code]));
    const elsewhere = elsewhereIn(session, executions);
    for (const placed of place(notebook, loaded, codes)) {
      const { cell, row } = placed;
      const code = codes.get(row.executionId);
      if (elsewhere.has(row.executionId) && code !== undefined && !isCodeOf(cell, code) && !isShown(cell, withNote(row))) {
        // The other window has that code, and its result.
        attachment.others.set(cell, { executionId: row.executionId, code });
        continue;
      }
      const before = cell.executionSummary?.executionOrder;
      const differs = show(attachment, placed);
      const isNew = differs || before !== (row.executionCount ?? undefined);
      happened.push({ ...happenedIn(placed, executions), isNew });
    }
    showWaiting(attachment, executions, new Set(cells.map((row) => row.executionId)));
    unmark(attachment, new Set(happened.map(({ index }) => index)));
    askAgain(attachment, inputs, session);
  }
  attachment.loaded(lastSeq);
  return happened;
}

/** Shows one cell's execution again: of a cell that an undo brought back, or whose text was cut while it ran. */
export async function reload(sidecar: Sidecar, attachment: Attachment, executionId: string): Promise<void> {
  const { sessionId, notebook } = attachment;
  const params = { sessionId, notebookUri: notebook.uri.toString(), executionId, maxBytesPerCell: MAX_BYTES_PER_CELL };
  const { cells, lastSeq } = await sidecar.request('keeper/cellOutputs', params);
  if (!attachment.isWritable) return;
  const loaded = cells.filter((row) => row.executionId === executionId).map((row) => ({ row, lastSeq }));
  for (const placed of place(notebook, loaded, new Map())) show(attachment, placed);
}

/** Whether each cell shows what it ran last in the session, and each that ran nothing there what `isUnchanged` says of it. */
export async function showsItsRuns(
  sidecar: Sidecar,
  attachment: Attachment,
  isUnchanged: (cell: vscode.NotebookCell) => boolean,
): Promise<boolean> {
  const { sessionId, notebook, runs, others } = attachment;
  const params = { sessionId, notebookUri: notebook.uri.toString(), maxBytesPerCell: MAX_BYTES_PER_CELL };
  const { cells, lastSeq } = await sidecar.request('keeper/cellOutputs', params);
  const loaded: Loaded[] = [];
  for (const row of cells) loaded.push(await whole(sidecar, params, { row, lastSeq }));
  const rows = new Map(place(notebook, loaded, new Map()).map(({ cell, row }) => [cell, row]));
  return notebook.getCells().every((cell) => {
    const row = rows.get(cell);
    if (!row || others.has(cell)) return isUnchanged(cell);
    const run = runs.ofCell(cell);
    return run ? !run.writer.wasCleared : isShown(cell, withNote(row));
  });
}

/** What an answer about all cells had no room for: asked for alone, a cell has all the room. */
async function whole(sidecar: Sidecar, params: CellOutputsParams, loaded: Loaded): Promise<Loaded> {
  if (loaded.row.leftOut === undefined) return loaded;
  const { executionId } = loaded.row;
  const { cells, lastSeq } = await sidecar.request('keeper/cellOutputs', { ...params, executionId });
  const row = cells.find((candidate) => candidate.executionId === executionId);
  return row ? { row, lastSeq } : loaded;
}

function place(notebook: vscode.NotebookDocument, loaded: readonly Loaded[], codes: ReadonlyMap<string, string>): Placed[] {
  return loaded.flatMap(({ row, lastSeq }) => {
    const cell = findCell(notebook, row.cellId, row.cellIndex, codes.get(row.executionId));
    return cell ? [{ row, lastSeq, cell }] : [];
  });
}

/** True where the cell's outputs were not those of the journal. */
function show(attachment: Attachment, { row, lastSeq, cell }: Placed): boolean {
  const { runs } = attachment;
  if (row.truncated) attachment.truncated.set(cell, row.truncated);
  else attachment.truncated.delete(cell);
  const shown = withNote(row);
  const differs = !isShown(cell, shown);
  const isRunning = row.status === 'running';
  const present = runs.ofCell(cell);
  // The cell is about to run again, so what it had is not of interest any more.
  if (present && !isRunning) return false;
  if (!isRunning && !differs && isSummaryShown(cell, row)) {
    keepDisplays(attachment, cell, row);
    return false;
  }
  if (present?.executionId !== undefined && present.executionId !== row.executionId) return false;

  const run = runs.bind(row.executionId, cell);
  if (!run) return differs;
  run.fromSeq = lastSeq;
  run.start(row.startedAt, row.executionCount);
  const outputs = differs ? shown.map(contentOf) : [...cell.outputs];
  if (differs) run.execution.replaceOutput(outputs).then(undefined, ignoreClosed);
  run.writer.adopt(shown, outputs);
  if (!isRunning) {
    if (row.executionCount !== null && cell.metadata['execution_count'] === row.executionCount) {
      attachment.counts.set(cell, row.executionCount);
    }
    run.end(row.status, row.completedAt);
    runs.remove(run);
  }
  return differs;
}

/** Nothing is to be written, but what the cell displays may be changed from another one. */
function keepDisplays({ runs }: Attachment, cell: vscode.NotebookCell, row: CellOutputs): void {
  runs.displays.forget(cell);
  for (const [index, output] of row.outputs.entries()) {
    const content = cell.outputs[index];
    if (content && 'displayId' in output) runs.displays.add(output.displayId, cell, { content, stream: undefined, isWritten: true });
  }
}

/** The outputs, and below them what was said of a cell that was cut off while a window looked. */
function withNote({ outputs, status, startedAt }: CellOutputs): Output[] {
  const text = startedAt === null && status === 'aborted' ? undefined : noteOf(status);
  if (text === undefined) return outputs;
  const last = outputs.at(-1);
  const isContinued = last?.output_type === 'stream' && last.name === 'stderr';
  return isContinued ? [...outputs.slice(0, -1), { ...last, text: last.text + text }] : [...outputs, noted(text)];
}

const noted = (text: string): Output => ({ output_type: 'stream', name: 'stderr', text });

function isShown(cell: vscode.NotebookCell, outputs: readonly Output[]): boolean {
  if (cell.outputs.length !== outputs.length) return false;
  return outputs.every((output, index) => sameItems(itemsOf(output), cell.outputs[index]?.items ?? []));
}

function isSummaryShown(cell: vscode.NotebookCell, row: CellOutputs): boolean {
  const { executionOrder, success, timing } = cell.executionSummary ?? {};
  if (executionOrder !== (row.executionCount ?? undefined)) return false;
  // Read from its file, the cell has its number alone: a mark and a time are not worth an unsaved change, unless there is one.
  if (success === undefined && timing === undefined) return !cell.notebook.isDirty;
  if (successOf(row.status) !== success) return false;
  return row.completedAt === null || timing?.endTime === Date.parse(row.completedAt);
}

function showWaiting(attachment: Attachment, executions: readonly Execution[], begun: ReadonlySet<string>): void {
  // Oldest first, as they will run.
  for (const execution of [...executions].reverse()) {
    if (execution.status !== 'pending' || begun.has(execution.executionId) || execution.cellId === null) continue;
    // Another notebook may share the kernel, and call its cells the same.
    if (!sameUri(execution.notebookUri, attachment.notebook.uri)) continue;
    const cell = findCell(attachment.notebook, execution.cellId, execution.cellIndex, execution.code);
    if (cell) attachment.runs.bind(execution.executionId, cell);
  }
}

/** A mark says that the cell has run. This kernel never ran these: they keep what they show, and their number. */
function unmark({ notebook, runs, counts, others }: Attachment, ran: ReadonlySet<number>): void {
  for (const cell of notebook.getCells()) {
    const { success, executionOrder } = cell.executionSummary ?? {};
    if (success === undefined || ran.has(cell.index) || runs.ofCell(cell) || others.has(cell)) continue;
    const run = runs.wait(cell);
    if (!run) continue;
    if (executionOrder !== undefined && cell.metadata['execution_count'] === executionOrder) counts.set(cell, executionOrder);
    run.start(null, executionOrder ?? null);
    run.abandon();
    runs.remove(run);
  }
}

function askAgain(attachment: Attachment, inputs: InputBoxes, session: Session): void {
  const current = session.currentExecution;
  if (!current?.input) return;
  const run = attachment.runs.of(current.executionId);
  if (run) inputs.ask(attachment, current.executionId, run.cell, current.input);
}

function happenedIn({ row, cell }: Placed, executions: readonly Execution[]): Happened {
  const error = row.outputs.find((output) => output.output_type === 'error');
  const ename = error?.ename ?? executions.find((execution) => execution.executionId === row.executionId)?.error?.ename;
  const { status, startedAt, completedAt } = row;
  return { index: cell.index, status, startedAt, completedAt, ename };
}
