/**
 * Runs cells: finds or starts the notebook's session, sends the cells in their order, and interrupts when the person says so.
 * Guarantees: a notebook's session is looked for once, however many cells are run meanwhile; cells show as waiting at once; a cell that
 * was under way when the sidecar crashed is sent again only if it did not arrive; nothing is interrupted unasked.
 */
import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { goneText } from '../describe';
import { isKind, messageOf, SidecarGone } from '../errors';
import type { Offers } from '../offers';
import type { EnsureResult, Execution, Session } from '../protocol/types';
import { showError, showInformation, withProgress } from '../say';
import { sameUri, type Sessions } from '../sessions';
import type { Attachment } from './attachment';
import type { Attachments } from './attachments';
import type { Kernel, KernelHandlers } from './controllers';
import { rememberKernel } from './metadata';
import type { CellRun } from './run';
import { cellRef, type HeldExecutions } from './runs';
import { pause, type Selection } from './selection';
import { mayRaise } from './tags';

const SELECTED_TIMEOUT_MS = 5_000;
/** VS Code calls the interrupt handler just before it deletes a running cell. */
const DELETION_MS = 100;

interface Ensuring {
  readonly kernel: Kernel;
  readonly held: HeldExecutions;
  readonly done: Promise<Attachment | undefined>;
  isCancelled: boolean;
}

export class Runner implements KernelHandlers {
  private readonly ensuring = new Map<vscode.NotebookDocument, Ensuring>();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly offers: Offers,
    private readonly attachments: () => Attachments,
    private readonly selection: () => Selection,
  ) {}

  async run(cells: readonly vscode.NotebookCell[], notebook: vscode.NotebookDocument, kernel: Kernel): Promise<void> {
    if (cells.length === 0 || !vscode.workspace.isTrusted) return;
    // VS Code may call this before it has told that the kernel is selected, and refuses executions until then.
    if (!(await this.selection().isSelected(notebook, kernel, SELECTED_TIMEOUT_MS))) return;
    const attachment = this.usable(notebook, kernel);
    if (attachment) {
      await this.submit(attachment, cells, kernel);
      return;
    }
    const ensuring = this.ensure(notebook, kernel);
    for (const cell of cells) hold(ensuring.held, kernel, cell);
    try {
      const made = await ensuring.done;
      if (!made || ensuring.isCancelled) {
        release(ensuring.held, cells);
        return;
      }
      if (made.kernel === kernel) made.runs.take(ensuring.held);
      await this.submit(made, cells, kernel);
    } catch (error) {
      refuse(ensuring.held, cells, messageOf(error));
    }
  }

  async interrupt(notebook: vscode.NotebookDocument): Promise<void> {
    if (isClosed(notebook)) return;
    const ensuring = this.ensuring.get(notebook);
    if (ensuring) {
      ensuring.isCancelled = true;
      release(ensuring.held, [...ensuring.held.keys()]);
    }
    const attachment = this.attachments().of(notebook);
    if (!attachment || this.sessions.get(attachment.sessionId)?.state === 'ended') return;
    const executing = attachment.runs.all().map((run) => run.cell);
    await pause(DELETION_MS);
    // The notebook closed, or a running cell is being deleted: neither asks for the job to stop.
    if (isClosed(notebook) || executing.some((cell) => cell.index < 0)) return;
    await this.sidecar.request('keeper/interruptSession', { sessionId: attachment.sessionId }).catch((error: unknown) => {
      void showError(`Kernel Keeper: ${messageOf(error)}`);
    });
  }

  /** Finds or starts the notebook's session and follows it; asks where the sidecar asks. */
  async ensureNow(notebook: vscode.NotebookDocument, kernel: Kernel): Promise<Attachment | undefined> {
    return this.ensure(notebook, kernel).done;
  }

  private usable(notebook: vscode.NotebookDocument, kernel: Kernel): Attachment | undefined {
    const attachment = this.attachments().of(notebook);
    if (attachment?.kernel !== kernel || attachment.isSuspended || attachment.isLoading) return undefined;
    return this.sessions.get(attachment.sessionId)?.state === 'ended' ? undefined : attachment;
  }

  private ensure(notebook: vscode.NotebookDocument, kernel: Kernel): Ensuring {
    const present = this.ensuring.get(notebook);
    // One that was interrupted still waits for its answer, but runs nothing any more.
    if (present?.kernel === kernel && !present.isCancelled) return present;
    const held: HeldExecutions = new Map();
    const done = this.find(notebook, kernel, held).finally(() => {
      if (this.ensuring.get(notebook) === ensuring) this.ensuring.delete(notebook);
    });
    const ensuring: Ensuring = { kernel, held, done, isCancelled: false };
    this.ensuring.set(notebook, ensuring);
    return ensuring;
  }

  private async find(notebook: vscode.NotebookDocument, kernel: Kernel, held: HeldExecutions): Promise<Attachment | undefined> {
    const notebookUri = notebook.uri.toString();
    const title = vscode.l10n.t('Starting {0}…', kernel.displayName);
    const before = this.attachments().lastOf(notebook);
    const result = await withProgress({ location: vscode.ProgressLocation.Window, title }, () =>
      this.sidecar.request('keeper/ensureSession', { notebookUri, kernelName: kernel.name }),
    );
    const settled = await this.settle(result);
    if (!settled?.session || settled.outcome === 'dismissed') return undefined;
    this.sessions.put(settled.session);
    // Where it was asked, the person knows.
    if (before && result.outcome === 'started') this.sayNew(notebook, before);
    // The person chose to go on with a kernel of another kind: what waits was made for this one.
    if (settled.session.kernel.name !== kernel.name) release(held, [...held.keys()]);
    const attachment = await this.attachments().attach(notebook, settled.session, { quietly: settled.outcome === 'started', held });
    if (attachment) void rememberKernel(notebook, settled.session.kernel);
    return attachment;
  }

  /** What the cells that run now look for is not there: that is said before they fail for it. */
  private sayNew(notebook: vscode.NotebookDocument, before: Session): void {
    const isStillItsOwn = before.notebooks.some((ref) => ref.notebookExists && sameUri(ref.notebookUri, notebook.uri));
    const gone = goneText(before, isStillItsOwn, new Date(), vscode.l10n.t);
    const file = notebook.uri.path.split('/').at(-1) ?? '';
    if (gone === undefined) return;
    void showInformation(vscode.l10n.t('{0} runs in a new kernel, without the variables it had: {1}.', file, gone));
  }

  private async settle(result: EnsureResult): Promise<EnsureResult | undefined> {
    return result.outcome === 'ask' && result.offer ? this.offers.ask(result.offer, true) : result;
  }

  private async submit(attachment: Attachment, cells: readonly vscode.NotebookCell[], kernel: Kernel): Promise<void> {
    // All are sent without waiting for the answers; the sidecar runs them in the order in which they arrive, until one fails.
    const batch = randomUUID();
    const refused = await Promise.all(cells.map((cell) => this.send(attachment, cell, batch)));
    const again = cells.filter((_cell, index) => refused[index]);
    if (again.length === 0) return;
    // The session ended just now: its successor runs them.
    this.attachments().drop(attachment.notebook);
    await this.run(again, attachment.notebook, kernel);
  }

  /** True where the session had ended, so that the cell is to be run by another one. */
  private async send(attachment: Attachment, cell: vscode.NotebookCell, batch: string): Promise<boolean> {
    const run = attachment.runs.wait(cell);
    if (!run) return false;
    const code = cell.document.getText();
    if (code.trim() === '') {
      skip(run);
      attachment.runs.remove(run);
      return false;
    }
    try {
      await this.execute(attachment, run, code, batch);
      return false;
    } catch (error) {
      if (isKind(error, 'SessionEnded', 'SessionNotFound') && run.executionId === undefined) return true;
      run.fail(messageOf(error));
      attachment.runs.remove(run);
      return false;
    }
  }

  private async execute(attachment: Attachment, run: CellRun, code: string, batch: string): Promise<void> {
    const { sessionId, notebook } = attachment;
    const stopOnError = !mayRaise(run.cell);
    const params = { sessionId, code, notebookUri: notebook.uri.toString(), cell: cellRef(run.cell), batch, stopOnError };
    const sentAt = new Date();
    run.sent = code;
    try {
      const { executionId } = await this.sidecar.request('keeper/execute', params);
      // Its events may have come first.
      if (run.executionId === undefined && !run.isEnded) attachment.runs.bind(executionId, run.cell);
    } catch (error) {
      if (!(error instanceof SidecarGone)) throw error;
      await this.sidecar.ready();
      if (run.executionId !== undefined || run.isEnded) return;
      const arrived = await this.findExecution(attachment, run, code, sentAt);
      if (arrived !== undefined) attachment.runs.bind(arrived, run.cell);
      else if (!attachment.isDetached) await this.execute(attachment, run, code, batch);
    }
  }

  /** Whether an execution that was under way when the sidecar went away had arrived. */
  private async findExecution(attachment: Attachment, run: CellRun, code: string, sentAt: Date): Promise<string | undefined> {
    const { executions } = await this.sidecar.request('keeper/executionHistory', { sessionId: attachment.sessionId, limit: 1000 });
    const { id } = cellRef(run.cell);
    const isIt = (one: Execution) => one.cellId === id && one.code === code && sameUri(one.notebookUri, attachment.notebook.uri);
    const found = executions.find((one) => isIt(one) && Date.parse(one.queuedAt) >= sentAt.getTime() - 50);
    return found?.executionId;
  }
}

const isClosed = (notebook: vscode.NotebookDocument): boolean => notebook.isClosed;

/** Shows the cell as waiting, before it is known what will run it. */
function hold(held: HeldExecutions, kernel: Kernel, cell: vscode.NotebookCell): void {
  if (held.has(cell) || cell.index < 0) return;
  try {
    held.set(cell, kernel.controller.createNotebookCellExecution(cell));
  } catch {
    // It has one already.
  }
}

function release(held: HeldExecutions, cells: readonly vscode.NotebookCell[]): void {
  for (const cell of cells) {
    held.get(cell)?.end(undefined);
    held.delete(cell);
  }
}

/** The reason stands at the first cell; the others were not run. */
function refuse(held: HeldExecutions, cells: readonly vscode.NotebookCell[], message: string): void {
  const [first] = cells;
  const execution = first && held.get(first);
  if (execution) {
    execution.start();
    const item = vscode.NotebookCellOutputItem.error({ name: 'Kernel Keeper', message });
    void execution.replaceOutput(new vscode.NotebookCellOutput([item], { outputType: 'error' }));
    execution.end(false);
    held.delete(first);
  } else {
    void showError(`Kernel Keeper: ${message}`);
  }
  release(held, cells);
}

/** An empty cell is not run; it loses its outputs and its number, as in Jupyter. */
function skip(run: CellRun): void {
  run.start(null, null);
  run.execution.executionOrder = undefined;
  run.clearOld();
  run.writer.flush(true);
  run.abandon();
}
