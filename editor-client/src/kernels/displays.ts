/**
 * Updates of displays (`update_display`), which may be in any cell of the notebook, also in one that has finished.
 * Guarantees: updates that come faster than they can be seen are merged; the notebook's running cell writes them, as no output can be
 * changed without an execution.
 */
import * as vscode from 'vscode';
import { bundleItems } from '../outputs/mime';
import type { JsonValue } from '../protocol/types';
import { ignoreClosed, type Slot } from './outputs';

const FLUSH_MS = 30;

interface Place {
  readonly cell: vscode.NotebookCell;
  readonly slot: Slot;
}

export class Displays {
  private readonly places = new Map<string, Place[]>();
  private readonly waiting = new Map<Place, vscode.NotebookCellOutputItem[]>();
  private timer: NodeJS.Timeout | undefined;
  /** What was given to VS Code last. It takes all in its order. */
  private last: Thenable<void> = Promise.resolve();

  /** `borrow` lends an execution that runs in the notebook, if there is any; `create` makes one where none runs. */
  constructor(
    private readonly borrow: () => vscode.NotebookCellExecution | undefined,
    private readonly create: (cell: vscode.NotebookCell) => vscode.NotebookCellExecution | undefined,
  ) {}

  add(displayId: string, cell: vscode.NotebookCell, slot: Slot): void {
    const places = this.places.get(displayId) ?? [];
    places.push({ cell, slot });
    this.places.set(displayId, places);
  }

  /** The cell's outputs are gone, and what was displayed in them. */
  forget(cell: vscode.NotebookCell): void {
    for (const place of [...this.waiting.keys()]) if (place.cell === cell) this.waiting.delete(place);
    for (const [displayId, places] of this.places) {
      const rest = places.filter((place) => place.cell !== cell);
      if (rest.length === 0) this.places.delete(displayId);
      else if (rest.length < places.length) this.places.set(displayId, rest);
    }
  }

  update(displayId: string, data: JsonValue): void {
    const items = bundleItems(data).map((item) => new vscode.NotebookCellOutputItem(item.data, item.mime));
    for (const place of this.places.get(displayId) ?? []) {
      if (place.slot.isWritten) this.waiting.set(place, items);
      else place.slot.content.items = items;
    }
    if (this.waiting.size > 0) {
      this.timer ??= setTimeout(() => {
        this.flush();
      }, FLUSH_MS);
    }
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const [place, items] of this.waiting) {
      if (place.cell.index >= 0) this.write(place, items);
    }
    this.waiting.clear();
  }

  /** Writes nothing more of what came until now. Ends when VS Code has what was written before. */
  async stop(): Promise<void> {
    this.dispose();
    await this.last;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.waiting.clear();
    this.places.clear();
  }

  private write(place: Place, items: vscode.NotebookCellOutputItem[]): void {
    const borrowed = this.borrow();
    if (borrowed) {
      this.last = borrowed.replaceOutputItems(items, place.slot.content).then(undefined, ignoreClosed);
      return;
    }
    // The person cleared it.
    if (place.cell.outputs.length === 0) return;
    // Nothing runs: the cell's last run is shown again as it was, with the new content.
    const { executionOrder, success, timing } = place.cell.executionSummary ?? {};
    const execution = this.create(place.cell);
    if (!execution) return;
    execution.start(timing?.startTime);
    execution.executionOrder = executionOrder;
    this.last = execution.replaceOutputItems(items, place.slot.content).then(undefined, ignoreClosed);
    execution.end(success, timing?.endTime);
  }
}
