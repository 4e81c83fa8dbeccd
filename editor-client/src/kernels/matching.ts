/**
 * Which cell of a notebook an execution belongs to: by nbformat's cell id, and in notebooks that have none (before nbformat 4.5) by
 * position and source. Pure, so it can be checked without an editor.
 */

/** What matching needs to know of a cell. */
export interface CellFacts {
  readonly id: string | undefined;
  readonly index: number;
  readonly source: string;
}

/** Stands in for the id of a cell without one; never equals a real one, which may not have a `#`. */
export const positionId = (index: number): string => `#${index}`;

/** The cell, or undefined where none is surely meant. `code` is what ran, where it is known. */
export function matchCell<C extends CellFacts>(
  cells: readonly C[],
  id: string,
  index: number | null,
  code: string | undefined,
): C | undefined {
  const byId = cells.find((cell) => cell.id === id);
  if (byId) return byId;
  if (!id.startsWith('#') || index === null) return undefined;
  const byIndex = cells[index];
  if (!byIndex || byIndex.id !== undefined) return undefined;
  return code === undefined || byIndex.source === code ? byIndex : undefined;
}

/** Whether two notebooks have the same set of cell ids, and any at all: what an untitled notebook and its first saved form share. */
export function sameIds(some: readonly CellFacts[], others: readonly CellFacts[]): boolean {
  const ids = new Set(some.flatMap((cell) => cell.id ?? []));
  const otherIds = new Set(others.flatMap((cell) => cell.id ?? []));
  return ids.size > 0 && ids.size === otherIds.size && [...ids].every((id) => otherIds.has(id));
}
