/**
 * *Replay to Here* on an entry of the history: a new kernel runs what had succeeded up to that one.
 * Guarantees: nothing is started before the person agreed; the present kernel is not stopped.
 */
import * as vscode from 'vscode';
import { registerLineCommand } from '../line-command';
import type { Execution, Session } from '../protocol/types';
import { showRebuilding } from '../rebuild';
import { confirm, isTrusted, type Parts, progress } from './sessions';

/** The sidecar answers with no more. */
const MOST = 100_000;

export function registerReplayCommand(parts: Parts): vscode.Disposable {
  return registerLineCommand('replayTo', async (argument) => {
    if (isExecution(argument) && isTrusted()) await replay(argument, parts);
  });
}

async function replay(execution: Execution, parts: Parts): Promise<void> {
  const { sidecar, sessions, follow } = parts;
  const { sessionId, executionId, notebookUri } = execution;
  const old = await sessions.find(sessionId);
  const { executions } = await sidecar.request('keeper/executionHistory', { sessionId, limit: MOST });
  const upTo = executions.slice(executions.findIndex((one) => one.executionId === executionId));
  const runAgain = upTo.filter((one) => one.status === 'ok' && one.notebookUri === notebookUri && isOf(old, one));
  if (!runAgain.some((one) => one.executionId === executionId)) {
    throw new Error(vscode.l10n.t('That ran before its kernel was last started. Choose a later entry of the history.'));
  }
  const count = runAgain.length;
  const question =
    count === 1
      ? vscode.l10n.t('Replay this cell in a new kernel?')
      : vscode.l10n.t('Replay {0} cells, up to this one, in a new kernel?', count);
  const detail =
    count === 1
      ? vscode.l10n.t('A new kernel runs this one cell; the present kernel stays until you stop it.')
      : vscode.l10n.t('A new kernel runs the {0} successful cells up to this one; the present kernel stays until you stop it.', count);
  if (!(await confirm(question, vscode.l10n.t('Replay'), detail))) return;
  let ids: readonly string[] = [];
  let session = old;
  await progress(vscode.l10n.t('Starting {0}…', old?.kernel.displayName ?? ''), async () => {
    const made = await sidecar.request('keeper/replayTo', { sessionId, executionId });
    ids = made.rebuild.executionIds;
    session = made.session;
    await follow.show(made.session, true, notebookUri);
  });
  if (session && ids.length > 0) await showRebuilding(sidecar, sessions, session, ids);
}

/** Whether the kernel that the session has now, or had last, ran it. */
const isOf = (session: Session | undefined, { startedAt }: Execution): boolean =>
  session !== undefined && startedAt !== null && Date.parse(startedAt) >= Date.parse(session.startedAt);

const isExecution = (value: unknown): value is Execution => typeof value === 'object' && value !== null && 'executionId' in value;
