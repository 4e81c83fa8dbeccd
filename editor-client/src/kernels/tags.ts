/**
 * What a cell's tags (`metadata.tags`) say about running it, in nbclient's words. Pure. Metadata is anybody's: what is no list of words has
 * no tags.
 */

/** A cell as far as its tags go: VS Code keeps the file's metadata of a cell under this name. */
export interface Tagged {
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Its failure is as it should be, and stops nothing behind it. */
export const mayRaise = (cell: Tagged): boolean => has(cell, 'raises-exception');

/** Without those that are tagged to be skipped. One that is run by itself, and was picked for that, is what the person meant. */
export function withoutSkipped<Cell extends Tagged>(cells: readonly Cell[], isPicked: (cell: Cell) => boolean): readonly Cell[] {
  return cells.filter((cell) => !has(cell, 'skip-execution') || (cells.length === 1 && isPicked(cell)));
}

function has({ metadata }: Tagged, tag: string): boolean {
  const { tags } = (metadata['metadata'] ?? {}) as { tags?: unknown };
  return Array.isArray(tags) && tags.includes(tag);
}
