/**
 * Commands about one session: stop, interrupt, restart, label, pin, open, log.
 * Guarantees: asks only where something is at stake: a cell that runs, or variables; what fails is said in the sidecar's own words; in
 * an untrusted workspace nothing is started.
 */
import * as vscode from 'vscode';
import type { Acknowledged } from '../acknowledged';
import type { Sidecar } from '../client';
import { hasState, isBusy } from '../describe';
import type { Follow } from '../follow';
import type { Attachments } from '../kernels/attachments';
import type { Controllers } from '../kernels/controllers';
import { openNotebook } from '../kernels/documents';
import type { Runner } from '../kernels/runner';
import type { Selection } from '../kernels/selection';
import { registerLineCommand } from '../line-command';
import type { Offers } from '../offers';
import { plain } from '../plain';
import type { Session } from '../protocol/types';
import { showInformation, showInput, showWarning, withProgress } from '../say';
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
  readonly runner: Runner;
  readonly selection: Selection;
  readonly acknowledged: Acknowledged;
}

export type Run = (session: Session, parts: Parts) => Promise<void>;

export function registerSessionCommands(parts: Parts): vscode.Disposable {
  const { l10n } = vscode;
  return vscode.Disposable.from(
    command(parts, 'interrupt', l10n.t('Interrupt which kernel?'), interrupt),
    command(parts, 'restart', l10n.t('Restart which kernel?'), restart, isTrusted),
    command(parts, 'stop', l10n.t('Stop which kernel?'), stop),
    command(parts, 'rename', l10n.t('Rename which label?'), rename),
    command(parts, 'pin', l10n.t('Pin which kernel?'), (session) => pin(session, parts, true)),
    command(parts, 'unpin', l10n.t('Unpin which kernel?'), (session) => pin(session, parts, false)),
    command(parts, 'showKernelLog', l10n.t("Show which kernel's log?"), showLog),
    command(parts, 'markSeen', l10n.t('Mark which kernel as seen?'), markSeen),
    registerLineCommand('openNotebook', (argument) => open(argument, parts)),
  );
}

export function command(parts: Parts, name: string, placeHolder: string, run: Run, isAllowed = () => true): vscode.Disposable {
  return registerLineCommand(name, async (argument) => {
    if (!isAllowed()) return;
    const session = await parts.targets.of(argument, placeHolder);
    if (session) await run(session, parts);
  });
}

/** In an untrusted workspace nothing may run; that is said, as menus and the palette do not offer it. */
export function isTrusted(): boolean {
  if (vscode.workspace.isTrusted) return true;
  void showInformation(vscode.l10n.t('Kernel Keeper: nothing is started until this workspace is trusted.'));
  return false;
}

const interrupt: Run = async ({ id }, { sidecar, sessions }) => {
  sessions.put((await sidecar.request('keeper/interruptSession', { sessionId: id })).session);
};

const restart: Run = async (session, parts) => {
  await restartAsked(session, parts);
};

/** False where the person thought better of it. */
export async function restartAsked(session: Session, { sidecar, sessions }: Parts): Promise<boolean> {
  const question = restartQuestion(session);
  if (question !== undefined && !(await confirm(question, vscode.l10n.t('Restart')))) return false;
  await progress(vscode.l10n.t('Restarting {0}…', session.label), async () => {
    sessions.put((await sidecar.request('keeper/restartSession', { sessionId: session.id })).session);
  });
  return true;
}

function restartQuestion(session: Session): string | undefined {
  const { label, notebooks } = session;
  if (isBusy(session)) return vscode.l10n.t('{0} is running a cell. Restart its kernel all the same? Its variables are lost.', label);
  if (!hasState(session)) return undefined;
  return notebooks.length > 1
    ? vscode.l10n.t("{0} notebooks share {1}'s kernel. Restart it? All of them lose its variables.", notebooks.length, label)
    : vscode.l10n.t('Restart the kernel of {0}? Its variables are lost.', label);
}

const stop: Run = async (session, { sidecar, sessions }) => {
  const question = stopQuestion(session);
  if (question !== undefined && !(await confirm(question, vscode.l10n.t('Stop')))) return;
  await progress(vscode.l10n.t('Stopping {0}…', session.label), async () => {
    sessions.put((await sidecar.request('keeper/stopSession', { sessionId: session.id })).session);
  });
};

function stopQuestion(session: Session): string | undefined {
  const { label } = session;
  if (isBusy(session)) return vscode.l10n.t('{0} is running a cell. Stop its kernel all the same? Its variables are lost.', label);
  return hasState(session) ? vscode.l10n.t('Stop the kernel of {0}? Its variables are lost.', label) : undefined;
}

const markSeen: Run = (session, { acknowledged }) => {
  acknowledged.add(session);
  return Promise.resolve();
};

const rename: Run = async (session, { sidecar, sessions }) => {
  const prompt = vscode.l10n.t("A label for this kernel; empty: the notebook's name");
  const label = await showInput({ prompt, value: session.label });
  if (label === undefined) return;
  sessions.put((await sidecar.request('keeper/labelSession', { sessionId: session.id, label })).session);
};

async function pin({ id }: Session, { sidecar, sessions }: Parts, pinned: boolean): Promise<void> {
  sessions.put((await sidecar.request('keeper/pinSession', { sessionId: id, pinned })).session);
}

async function open(argument: unknown, { targets, acknowledged }: Parts): Promise<void> {
  const chosen = await targets.notebookOf(argument, vscode.l10n.t('Open which notebook?'));
  if (!chosen) return;
  acknowledged.add(chosen.session);
  await openNotebook(vscode.Uri.parse(chosen.notebookUri));
}

/** The program itself knows where a session's log is, and follows it. */
const showLog: Run = async (session, { sidecar }) => {
  await sidecar.ready();
  const shellPath = sidecar.binary?.path;
  if (shellPath === undefined) return;
  const name = plain(vscode.l10n.t('Log of {0}', session.label));
  const options = { name, shellPath, shellArgs: ['logs', session.id, '-f'], iconPath: new vscode.ThemeIcon('output'), isTransient: true };
  vscode.window.createTerminal(options).show();
};

export async function confirm(question: string, yes: string, detail?: string): Promise<boolean> {
  const options = detail === undefined ? { modal: true } : { modal: true, detail };
  return (await showWarning(question, options, yes)) === yes;
}

export async function progress(title: string, task: () => Promise<void>): Promise<void> {
  await withProgress({ location: vscode.ProgressLocation.Window, title }, task);
}
