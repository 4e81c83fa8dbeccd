/** The latest executions of a notebook, newest first; choosing one shows the code as it ran. */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { moment } from '../describe';
import type { Execution, ExecutionStatus } from '../protocol/types';

export async function showHistory(sidecar: Sidecar, notebookUri: string): Promise<void> {
  const { executions } = await sidecar.request('keeper/executionHistory', { notebookUri });
  const placeHolder = executions.length > 0 ? vscode.l10n.t('What ran, newest first') : vscode.l10n.t('Nothing ran yet');
  const chosen = await vscode.window.showQuickPick(executions.map(itemOf), { placeHolder, matchOnDetail: true });
  if (!chosen) return;
  const document = await vscode.workspace.openTextDocument({ content: chosen.execution.code, language: 'python' });
  await vscode.window.showTextDocument(document, { preview: true });
}

function itemOf(execution: Execution): vscode.QuickPickItem & { execution: Execution } {
  const cell = execution.cellIndex === null ? execution.origin : vscode.l10n.t('Cell {0}', execution.cellIndex + 1);
  const [firstLine = ''] = execution.code.trimStart().split('\n', 1);
  const detail = execution.error ? `${execution.error.ename}: ${execution.error.evalue}` : firstLine;
  const when = moment(execution.completedAt ?? execution.startedAt ?? execution.queuedAt, new Date());
  return { label: `$(${ICONS[execution.status]}) ${cell}`, description: when, detail, execution };
}

const ICONS: Readonly<Record<ExecutionStatus, string>> = {
  pending: 'clock',
  running: 'sync',
  ok: 'check',
  error: 'error',
  aborted: 'circle-slash',
  lost: 'question',
};
