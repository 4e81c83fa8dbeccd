/** The sources of a notebook file's cells, in order. Pure. Undefined where it is none. */
export function sourcesOf(text: string): string[] | undefined {
  try {
    const { cells } = JSON.parse(text) as { cells?: unknown };
    if (!Array.isArray(cells)) return undefined;
    return cells.map((cell: { source?: string | string[] } | null) => [cell?.source ?? ''].flat().join('').replaceAll('\r\n', '\n'));
  } catch {
    return undefined;
  }
}
