/**
 * Commands about one session: stop, interrupt, restart, start fresh, attach, label, pin, open, log.
 * Guarantees: asks only where something is at stake (a kernel is busy); what fails is said in the sidecar's own words; in an untrusted
 * workspace nothing is started.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import type { Follow } from '../follow';
import type { Attachments } from '../kernels/attachments';
import type { Controllers } from '../kernels/controllers';
import { openNotebook } from '../kernels/documents';
import type { Offers } from '../offers';
import type { Session } from '../protocol/types';
import type { Sessions } from '../sessions';
import type { Targets } from './target';

export interface Parts {
  readonly sidecar: Sidecar;
  readonly sessions: Sessions;
  readonly offers: Offers;
  readonly attachments: Attachments;
  readonly controllers: Controllers;
  readonly follow: Follow;
  readonly targets: Targets;
}

type Run = (session: Session, parts: Parts) => Promise<void>;

export function registerSessionCommands(parts: Parts): vscode.Disposable {
  const { l10n } = vscode;
  return vscode.Disposable.from(
    command(parts, 'interrupt', l10n.t('Interrupt which kernel?'), interrupt),
    command(parts, 'restart', l10n.t('Restart which kernel?'), restart, isTrusted),
    command(parts, 'stop', l10n.t('Stop which kernel?'), stop),
    command(parts, 'startFresh', l10n.t('Start afresh which kernel?'), startFresh, isTrusted),
    command(parts, 'rename', l10n.t('Rename which label?'), rename),
    command(parts, 'pin', l10n.t('Pin which kernel?'), (session) => pin(session, parts, true)),
    command(parts, 'unpin', l10n.t('Unpin which kernel?'), (session) => pin(session, parts, false)),
    command(parts, 'showKernelLog', l10n.t("Show which kernel's log?"), showLog),
    vscode.commands.registerCommand('kernelKeeper.openNotebook', (argument: unknown) => guard(open(argument, parts))),
    vscode.commands.registerCommand('kernelKeeper.stopAll', () => guard(stopAll(parts))),
  );
}

function command(parts: Parts, name: string, placeHolder: string, run: Run, isAllowed = () => true): vscode.Disposable {
  return vscode.commands.registerCommand(`kernelKeeper.${name}`, async (argument: unknown) => {
    if (!isAllowed()) return;
    await guard(
      parts.targets.of(argument, placeHolder).then(async (session) => {
        if (session) await run(session, parts);
      }),
    );
  });
}

/** In an untrusted workspace nothing may run; that is said, as menus and the palette do not offer it. */
export function isTrusted(): boolean {
  if (vscode.workspace.isTrusted) return true;
  void vscode.window.showInformationMessage(vscode.l10n.t('Kernel Keeper: nothing is started until this workspace is trusted.'));
  return false;
}

export async function guard(task: Promise<void>): Promise<void> {
  try {
    await task;
  } catch (error) {
    void vscode.window.showErrorMessage(`Kernel Keeper: ${messageOf(error)}`);
  }
}

const interrupt: Run = async ({ id }, { sidecar, sessions }) => {
  sessions.put((await sidecar.request('keeper/interruptSession', { sessionId: id })).session);
};

const restart: Run = async (session, { sidecar, sessions }) => {
  const question = vscode.l10n.t('{0} is running a cell. Restart its kernel all the same? Its variables are lost.', session.label);
  const count = session.notebooks.length;
  const shared = vscode.l10n.t("{0} notebooks share {1}'s kernel. Restart it? All of them lose its variables.", count, session.label);
  const asked = isBusy(session) ? question : count > 1 ? shared : undefined;
  if (asked !== undefined && !(await confirm(asked, vscode.l10n.t('Restart')))) return;
  await progress(vscode.l10n.t('Restarting {0}…', session.label), async () => {
    sessions.put((await sidecar.request('keeper/restartSession', { sessionId: session.id })).session);
  });
};

const stop: Run = async (session, { sidecar, sessions }) => {
  const question = vscode.l10n.t('{0} is running a cell. Stop its kernel all the same? Its variables are lost.', session.label);
  if (isBusy(session) && !(await confirm(question, vscode.l10n.t('Stop')))) return;
  await progress(vscode.l10n.t('Stopping {0}…', session.label), async () => {
    sessions.put((await sidecar.request('keeper/stopSession', { sessionId: session.id })).session);
  });
};

const startFresh: Run = async (session, { sidecar, follow }) => {
  const question = vscode.l10n.t('Stop the kernel of {0} and start a new one? Its variables are lost.', session.label);
  if (!(await confirm(question, vscode.l10n.t('Start Fresh')))) return;
  await progress(vscode.l10n.t('Starting {0}…', session.kernel.displayName), async () => {
    await sidecar.request('keeper/stopSession', { sessionId: session.id });
    const params = { notebookUri: session.notebookUri, kernelName: session.kernel.name };
    const fresh = await sidecar.request('keeper/startSession', params);
    await follow.show(fresh.session, true);
  });
};

const rename: Run = async (session, { sidecar, sessions }) => {
  const prompt = vscode.l10n.t("A label for this kernel; empty: the notebook's name");
  const label = await vscode.window.showInputBox({ prompt, value: session.label });
  if (label === undefined) return;
  sessions.put((await sidecar.request('keeper/labelSession', { sessionId: session.id, label })).session);
};

async function pin({ id }: Session, { sidecar, sessions }: Parts, pinned: boolean): Promise<void> {
  sessions.put((await sidecar.request('keeper/pinSession', { sessionId: id, pinned })).session);
}

/** A notebook that shares the kernel is a line of its own. */
async function open(argument: unknown, { targets }: Parts): Promise<void> {
  const shared = argument as { notebookUri?: string } | undefined;
  const notebookUri = shared?.notebookUri ?? (await targets.of(argument, vscode.l10n.t('Open which notebook?')))?.notebookUri;
  if (notebookUri !== undefined) await openNotebook(vscode.Uri.parse(notebookUri));
}

/** The program itself knows where a session's log is, and follows it. */
const showLog: Run = async (session, { sidecar }) => {
  await sidecar.ready();
  const shellPath = sidecar.binary?.path;
  if (shellPath === undefined) return;
  const name = vscode.l10n.t('Log of {0}', session.label);
  const options = { name, shellPath, shellArgs: ['logs', session.id, '-f'], iconPath: new vscode.ThemeIcon('output'), isTransient: true };
  vscode.window.createTerminal(options).show();
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

const isBusy = (session: Session): boolean => session.state === 'busy' || session.queued > 0;

export async function confirm(question: string, yes: string, detail?: string): Promise<boolean> {
  const options = detail === undefined ? { modal: true } : { modal: true, detail };
  return (await vscode.window.showWarningMessage(question, options, yes)) === yes;
}

async function progress(title: string, task: () => Promise<void>): Promise<void> {
  await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title }, task);
}
