/**
 * Which cell of a notebook an execution belongs to: by nbformat's cell id, and where cells have none (before nbformat 4.5) or share one
 * by position and source. Pure, so it can be checked without an editor.
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
  const same = cells.filter((cell) => cell.id === id);
  if (same.length === 1) return same[0];
  const isShared = (cell: C) => cell.id === undefined || cells.some((other) => other !== cell && other.id === cell.id);
  const could = id.startsWith('#') ? cells.filter(isShared) : same;
  const fits = code === undefined ? could : could.filter((cell) => cell.source === code);
  const there = fits.find((cell) => cell.index === index);
  return there ?? (code !== undefined && fits.length === 1 ? fits[0] : undefined);
}

/** Whether two notebooks have the same set of cell ids, and any at all: what an untitled notebook and its first saved form share. */
export function sameIds(some: readonly CellFacts[], others: readonly CellFacts[]): boolean {
  const ids = new Set(some.flatMap((cell) => cell.id ?? []));
  const otherIds = new Set(others.flatMap((cell) => cell.id ?? []));
  return ids.size > 0 && ids.size === otherIds.size && [...ids].every((id) => otherIds.has(id));
}
