/** What a running cell has printed that its notebook does not show, before anybody has taken its kernel up. */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { newLines } from '../outputs/lines';
import { STDERR, STDOUT } from '../outputs/mime';
import type { Offer, Output } from '../protocol/types';
import { shownNotebook } from './documents';
import { MAX_BYTES_PER_CELL } from './outputs';
import { findCell } from './runs';

/** The question, with the number of new lines where it says what runs; without where they cannot be counted. */
export async function withNewLines(sidecar: Sidecar, offer: Offer): Promise<Offer> {
  const { notebookUri, running } = offer;
  const [session] = offer.sessions;
  const executionId = session?.currentExecution?.executionId;
  const notebook = shownNotebook(vscode.Uri.parse(notebookUri));
  if (running === null || !session || executionId === undefined || !notebook) return offer;
  const params = { sessionId: session.id, notebookUri, executionId, maxBytesPerCell: MAX_BYTES_PER_CELL };
  const { cells } = await sidecar.request('keeper/cellOutputs', params);
  const row = cells.find((one) => one.executionId === executionId);
  const cell = row && findCell(notebook, row.cellId, row.cellIndex);
  if (!row || row.truncated || !cell) return offer;
  const count = newLines(textOf(cell), row.outputs.map(printed).join(''));
  if (count === 0) return offer;
  const news = count === 1 ? vscode.l10n.t('{0}, 1 line new', running) : vscode.l10n.t('{0}, {1} lines new', running, count);
  return { ...offer, message: offer.message.replace(running, () => news) };
}

const printed = (output: Output): string => (output.output_type === 'stream' ? output.text : '');

function textOf(cell: vscode.NotebookCell): string {
  const items = cell.outputs.flatMap((output) => output.items).filter(({ mime }) => mime === STDOUT || mime === STDERR);
  return items.map(({ data }) => Buffer.from(data).toString('utf8')).join('');
}
