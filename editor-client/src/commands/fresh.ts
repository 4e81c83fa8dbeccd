/**
 * Commands that start a new kernel, and those that end all of them.
 * Guarantees: no kernel is stopped before a person was told what is lost.
 */
import * as vscode from 'vscode';
import { isBusy } from '../describe';
import { sameUri } from '../sessions';
import { command, confirm, guard, isTrusted, type Parts, progress, type Run } from './sessions';

export function registerFreshCommands(parts: Parts): vscode.Disposable {
  return vscode.Disposable.from(
    command(parts, 'startFresh', vscode.l10n.t('Start afresh which kernel?'), startFresh, isTrusted),
    vscode.commands.registerCommand('kernelKeeper.stopAll', () => guard(stopAll(parts))),
  );
}

const startFresh: Run = async (session, parts) => {
  // Of several notebooks that share it the one in front, where that is one of them.
  const present = vscode.window.activeNotebookEditor?.notebook.uri;
  const ref = session.notebooks.find((one) => present !== undefined && sameUri(one.notebookUri, present));
  const notebookUri = ref?.notebookUri ?? session.notebookUri;
  const question = vscode.l10n.t('Stop the kernel of {0} and start a new one? Its variables are lost.', session.label);
  if (!(await confirm(question, vscode.l10n.t('Start Fresh')))) return;
  await progress(vscode.l10n.t('Starting {0}…', session.kernel.displayName), async () => {
    await parts.sidecar.request('keeper/stopSession', { sessionId: session.id });
    await start(notebookUri, session.kernel.name, parts);
  });
};

async function stopAll({ sidecar, sessions }: Parts): Promise<void> {
  const live = sessions.live();
  if (live.length === 0) return;
  const detail = live.map((session) => `${session.label}${isBusy(session) ? vscode.l10n.t(' (busy)') : ''}`).join('\n');
  const question = vscode.l10n.t('Stop all {0} kernels? Their variables are lost.', live.length);
  if (!(await confirm(question, vscode.l10n.t('Stop All'), detail))) return;
  await progress(vscode.l10n.t('Stopping all kernels…'), async () => {
    await sidecar.request('keeper/stopAllSessions', {});
    await sessions.refresh();
  });
}

async function start(notebookUri: string, kernelName: string, { sidecar, follow }: Parts): Promise<void> {
  const { session } = await sidecar.request('keeper/startSession', { notebookUri, kernelName });
  await follow.show(session, true, notebookUri);
}
