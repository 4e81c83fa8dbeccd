/**
 * Commands that start a new kernel, and those that end all of them.
 * Guarantees: no kernel is stopped before a person was told what is lost; what is busy, and what is open elsewhere, is named.
 */
import * as vscode from 'vscode';
import { stakes } from '../describe';
import { guard } from '../say';
import { sameUri } from '../sessions';
import { command, confirm, isTrusted, type Parts, progress, type Run } from './sessions';

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

/** A kernel for the notebook, which the person chooses in VS Code's own list; in place of the one that it has, where it has one. */
export async function newSession(notebook: vscode.NotebookDocument, parts: Parts): Promise<void> {
  const { sessions, selection, runner } = parts;
  const session = sessions.of(notebook.uri);
  if (session) {
    await startFresh(session, parts);
    return;
  }
  const kernel = await selection.letChoose(notebook);
  if (kernel) await runner.ensureNow(notebook, kernel);
}

async function stopAll({ sidecar, sessions }: Parts): Promise<void> {
  const live = sessions.live();
  const [only] = live;
  if (!only) return;
  const detail = [...live.map(({ label }) => label), stakes(live, vscode.l10n.t)].filter((line) => line !== '').join('\n');
  const question =
    live.length === 1
      ? vscode.l10n.t('Stop the kernel of {0}? Its variables are lost.', only.label)
      : vscode.l10n.t('Stop all {0} kernels? Their variables are lost.', live.length);
  if (!(await confirm(question, vscode.l10n.t('Stop All'), detail))) return;
  await progress(vscode.l10n.t('Stopping all kernels…'), async () => {
    await sidecar.request('keeper/stopAllSessions', {});
    await sessions.refresh();
  });
}

/** Ends all kernels, and gives the notebook in front, where there is one, a new one. */
export async function stopAllAndStartFresh(notebook: vscode.NotebookDocument | undefined, parts: Parts): Promise<void> {
  const { sidecar, sessions } = parts;
  const live = sessions.live();
  const own = notebook && sessions.of(notebook.uri);
  const question =
    live.length === 1
      ? vscode.l10n.t('Stop the one kernel that runs, and start fresh? Its variables are lost.')
      : vscode.l10n.t('Stop all {0} kernels and start fresh? Their variables are lost.', live.length);
  if (!(await confirm(question, vscode.l10n.t('Stop All and Start Fresh'), stakes(live, vscode.l10n.t)))) return;
  await progress(vscode.l10n.t('Stopping all kernels…'), async () => {
    await sidecar.request('keeper/stopAllSessions', {});
    await sessions.refresh(true);
  });
  if (!notebook) return;
  if (!own) {
    await newSession(notebook, parts);
    return;
  }
  await progress(vscode.l10n.t('Starting {0}…', own.kernel.displayName), () => start(notebook.uri.toString(), own.kernel.name, parts));
}

async function start(notebookUri: string, kernelName: string, { sidecar, follow }: Parts): Promise<void> {
  const { session } = await sidecar.request('keeper/startSession', { notebookUri, kernelName });
  await follow.show(session, true, notebookUri);
}
