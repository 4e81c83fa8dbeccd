/** Variables in the order and choice that a person asked for. Pure. */
import type { VariableRow } from '../src/views/variables-page';

export const COLUMNS = ['name', 'type', 'shape', 'size', 'preview'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Sort {
  readonly column: Column;
  readonly isDescending: boolean;
}

/** Up, down, and back to the order in which they were made. */
export function nextSort(sort: Sort | undefined, column: Column): Sort | undefined {
  if (sort?.column !== column) return { column, isDescending: false };
  return sort.isDescending ? undefined : { column, isDescending: true };
}

/** What was stored is anybody's. */
export function sortFrom(stored: unknown): Sort | undefined {
  if (typeof stored !== 'object' || stored === null || !('column' in stored) || !('isDescending' in stored)) return undefined;
  const column = COLUMNS.find((one) => one === stored.column);
  return column && { column, isDescending: stored.isDescending === true };
}

/** Those whose name or type has the words in it, whatever their case. */
export function filtered(rows: readonly VariableRow[], words: string): readonly VariableRow[] {
  const wanted = words.trim().toLowerCase();
  if (wanted === '') return rows;
  return rows.filter(({ name, type }) => name.toLowerCase().includes(wanted) || type.toLowerCase().includes(wanted));
}

/** Sizes and shapes by number, those that have none last in either direction; words as people sort them, "x2" before "x10". */
export function sorted(rows: readonly VariableRow[], sort: Sort | undefined): readonly VariableRow[] {
  if (!sort) return rows;
  const { column, isDescending } = sort;
  const way = isDescending ? -1 : 1;
  if (column === 'size' || column === 'shape') {
    const numberOf = (row: VariableRow) => (column === 'size' ? row.bytes : row.elements);
    return [...rows].sort((one, other) => {
      const [a, b] = [numberOf(one), numberOf(other)];
      if (a === null || b === null) return Number(a === null) - Number(b === null);
      return way * (a - b);
    });
  }
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  return [...rows].sort((one, other) => way * compare(one[column], other[column]));
}
