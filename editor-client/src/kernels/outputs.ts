/**
 * Writes one cell's outputs while it runs: collects what comes, and gives it to VS Code every 30 ms in as few pieces as possible.
 * Guarantees: nothing is awaited (5,000 awaited appends take 86 s, merged ones 0.7 s); text is folded as in Jupyter; a stream of any
 * length costs a bounded amount of memory and display here: its middle is left out, the journal has all of it.
 */
import * as vscode from 'vscode';
import { itemsOf, metadataOf } from '../outputs/mime';
import { StreamText } from '../outputs/stream';
import type { Output, StreamName } from '../protocol/types';
import { hasTab } from './selection';

export const MAX_BYTES_PER_CELL = 1024 * 1024;
const FLUSH_MS = 30;
/** A cell that goes on printing is written to less often, so that its tab can be closed between two writes (see below). */
const LONG_RUN_MS = 5_000;
const LONG_FLUSH_MS = 400;
/**
 * A tab is saved or reverted before it is closed, and stays open, or is opened again, if it is dirty by then: so nothing is written during
 * a save, for a moment after it, and without a tab. A revert can only be seen when it is over, too late where a write came in between: then
 * for long enough to close the tab again.
 */
const SAVED_MS = 1_000;
const REVERTED_MS = 5_000;
const SAVING_MS = 10_000;
/** How many characters may be written anew a millisecond: a longer text is rewritten less often. */
const REWRITE_CHARACTERS_PER_MS = 4096;

/** One output of a cell. */
export interface Slot {
  content: vscode.NotebookCellOutput;
  readonly stream: { readonly name: StreamName; readonly text: StreamText } | undefined;
  isWritten: boolean;
}

/** What is told of displays, which `update_display` may change later. */
export interface DisplayEvents {
  shown(displayId: string, slot: Slot): void;
  /** All outputs of the cell are gone. */
  cleared(): void;
}

export class CellOutputWriter {
  private slots: Slot[] = [];
  /** Slots that have something to write, from this index on. */
  private firstDirty = 0;
  private clearBeforeNext = false;
  private mustReplaceAll = false;
  private rewriteAt = 0;
  private quietUntil = 0;
  private wasDirty = false;
  private savingUntil = 0;
  private readonly since = Date.now();
  /** Something could not be written when the run ended: the journal has it, to be shown after so many milliseconds. */
  heldBackFor: number | undefined;
  /** The person cleared what had come by then. */
  wasCleared = false;
  private ownReplacements = 0;
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;
  /** What was given to VS Code last. It takes all in its order. */
  private last: Thenable<void> = Promise.resolve();

  constructor(
    private readonly execution: vscode.NotebookCellExecution,
    private readonly displays: DisplayEvents,
  ) {}

  /** Takes over what the cell shows already, so that later pieces continue it. */
  adopt(outputs: readonly Output[], shown: readonly vscode.NotebookCellOutput[]): void {
    this.displays.cleared();
    this.slots = outputs.map((output, index) => {
      const slot = this.slotOf(output);
      slot.stream?.text.take();
      slot.content = shown[index] ?? slot.content;
      slot.isWritten = true;
      return slot;
    });
    this.firstDirty = this.slots.length;
  }

  output(output: Output): void {
    if (this.clearBeforeNext) this.clearNow();
    const last = this.slots.at(-1);
    if (output.output_type === 'stream' && last?.stream?.name === output.name) {
      last.stream.text.push(output.text);
      this.firstDirty = Math.min(this.firstDirty, this.slots.length - 1);
    } else {
      this.slots.push(this.slotOf(output));
    }
    this.schedule();
  }

  clear(wait: boolean): void {
    if (wait) this.clearBeforeNext = true;
    else this.clearNow();
  }

  /** The person cleared the cell's outputs: what comes next begins a new output, since one appended to the old would be lost. */
  clearedByPerson(): void {
    if (this.ownReplacements > 0) return;
    this.wasCleared = true;
    this.displays.cleared();
    this.slots = [];
    this.firstDirty = 0;
  }

  /** The notebook is about to be saved. */
  saving(): void {
    this.savingUntil = Date.now() + SAVING_MS;
    this.quietUntil = this.savingUntil; // where it fails; else `saved` is next
  }

  saved(): void {
    this.savingUntil = 0;
    this.quietUntil = Date.now() + SAVED_MS;
    this.wasDirty = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.schedule(SAVED_MS);
  }

  /** Whether a stream was cut: the whole of it is in the journal only. */
  get isCut(): boolean {
    return this.slots.some((slot) => slot.stream?.text.isCut);
  }

  /** Writes what is collected. `all`: also what would be written later because it is long, as the run ends. */
  flush(all = false): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.isStopped) return;
    const { isDirty, uri } = this.execution.cell.notebook;
    if (this.wasDirty && !isDirty) this.quietUntil = Date.now() + (Date.now() < this.savingUntil ? SAVED_MS : REVERTED_MS);
    this.wasDirty = isDirty;
    const quiet = this.quietUntil - Date.now();
    if (quiet > 0 || !hasTab(uri)) {
      if (all) this.holdBack(quiet);
      else if (quiet > 0) this.schedule(quiet);
      else this.schedule(); // it may be on its way to another group
      return;
    }
    if (this.mustReplaceAll) {
      this.replaceAll();
      return;
    }
    const now = Date.now();
    const isRewriteDue = all || now >= this.rewriteAt;
    const fresh: vscode.NotebookCellOutput[] = [];
    const dirty = this.slots.slice(this.firstDirty);
    this.firstDirty = this.slots.length;
    for (const slot of dirty) {
      if (!slot.isWritten) {
        fresh.push(written(slot));
      } else if (slot.stream && !this.continueStream(slot, slot.stream, isRewriteDue)) {
        this.firstDirty = this.slots.indexOf(slot);
        this.schedule(this.rewriteAt - now);
        break;
      }
    }
    if (fresh.length > 0) this.last = this.execution.appendOutput(fresh).then(undefined, ignoreClosed);
  }

  /** Writes nothing more. Ends when VS Code has what was written before. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.dispose();
    await this.last;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private holdBack(quiet: number): void {
    if (this.mustReplaceAll || this.firstDirty < this.slots.length) this.heldBackFor = Math.max(quiet, SAVED_MS);
  }

  /** False where the text is to be written anew, but not yet. */
  private continueStream(slot: Slot, stream: NonNullable<Slot['stream']>, isRewriteDue: boolean): boolean {
    if (!isRewriteDue && stream.text.mustRewrite) return false;
    const change = stream.text.take();
    if (change.kind === 'append') {
      this.last = this.execution.appendOutputItems(streamItem(stream.name, change.text), slot.content).then(undefined, ignoreClosed);
    } else if (change.kind === 'rewrite') {
      const item = streamItem(stream.name, stream.text.toString());
      this.rewriteAt = Date.now() + stream.text.length / REWRITE_CHARACTERS_PER_MS;
      this.last = this.execution.replaceOutputItems(item, slot.content).then(undefined, ignoreClosed);
    }
    return true;
  }

  private clearNow(): void {
    this.clearBeforeNext = false;
    this.displays.cleared();
    this.slots = [];
    this.firstDirty = 0;
    this.mustReplaceAll = true;
    this.schedule();
  }

  private replaceAll(): void {
    this.mustReplaceAll = false;
    this.firstDirty = this.slots.length;
    this.ownReplacements += 1;
    const done = () => {
      this.ownReplacements -= 1;
    };
    this.last = this.execution.replaceOutput(this.slots.map(written)).then(done, done);
  }

  private slotOf(output: Output): Slot {
    const stream = output.output_type === 'stream' ? { name: output.name, text: streamText(output.text) } : undefined;
    const slot: Slot = { content: contentOf(output), stream, isWritten: false };
    if ('displayId' in output) this.displays.shown(output.displayId, slot);
    return slot;
  }

  private schedule(wait = Date.now() - this.since > LONG_RUN_MS ? LONG_FLUSH_MS : FLUSH_MS): void {
    this.timer ??= setTimeout(() => {
      this.flush();
    }, wait);
  }
}

/** One output as VS Code has it. */
export function contentOf(output: Output): vscode.NotebookCellOutput {
  const items = itemsOf(output).map((item) => new vscode.NotebookCellOutputItem(item.data, item.mime));
  return new vscode.NotebookCellOutput(items, metadataOf(output));
}

export function streamItem(name: StreamName, text: string): vscode.NotebookCellOutputItem {
  return name === 'stderr' ? vscode.NotebookCellOutputItem.stderr(text) : vscode.NotebookCellOutputItem.stdout(text);
}

function streamText(text: string): StreamText {
  const stream = new StreamText(MAX_BYTES_PER_CELL, (count) => vscode.l10n.t('\n… {0} characters left out …\n', count));
  stream.push(text);
  return stream;
}

/** The slot's output as it is now; from here on it is VS Code's. */
function written(slot: Slot): vscode.NotebookCellOutput {
  slot.isWritten = true;
  if (slot.stream) {
    slot.stream.text.take();
    slot.content.items = [streamItem(slot.stream.name, slot.stream.text.toString())];
  }
  return slot.content;
}

/** Writing to a notebook that has just been closed is refused; the journal has it all. */
export function ignoreClosed(): void {
  // Nothing is lost, and nobody looks.
}
