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

/** Without those that are not run with others. A cell that is run by itself is what the person meant. */
export function withoutSkipped<Cell extends Tagged>(cells: readonly Cell[]): readonly Cell[] {
  return cells.length > 1 ? cells.filter((cell) => !has(cell, 'skip-execution')) : cells;
}

function has({ metadata }: Tagged, tag: string): boolean {
  const { tags } = (metadata['metadata'] ?? {}) as { tags?: unknown };
  return Array.isArray(tags) && tags.includes(tag);
}
