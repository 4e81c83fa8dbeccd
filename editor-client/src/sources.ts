/** What a notebook has that was written, not run. Pure. */

/** The sources of a notebook file's cells, in order. Undefined where it is none. */
export function sourcesOf(text: string): string[] | undefined {
  try {
    const { cells } = JSON.parse(text) as { cells?: unknown };
    if (!Array.isArray(cells)) return undefined;
    return cells.map((cell: { source?: string | string[] } | null) => [cell?.source ?? ''].flat().join('').replaceAll('\r\n', '\n'));
  } catch {
    return undefined;
  }
}

/** A notebook as the editor has it, as far as people write it. */
export interface Written {
  readonly metadata: Readonly<Record<string, unknown>>;
  getCells(): readonly WrittenCell[];
}

interface WrittenCell {
  readonly kind: number;
  readonly document: { readonly languageId: string; getText(): string };
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** All that people write in it, to compare by its values: a cell's number is from its run. */
export function writtenIn(notebook: Written): unknown {
  const cells = notebook.getCells().map(({ kind, document, metadata }) => {
    const text = document.getText().replaceAll('\r\n', '\n');
    return { kind, language: document.languageId, text, metadata: { ...metadata, execution_count: undefined } };
  });
  // What is undefined is as what is not there.
  return JSON.parse(JSON.stringify({ cells, metadata: notebook.metadata })) as unknown;
}
