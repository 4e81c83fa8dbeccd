/**
 * Taking in a kernel that another program started, and a terminal on one that is kept.
 * Guarantees: nothing is taken in without a notebook that the person named or, where that is the only one in sight, has in front; the
 * kernel itself is not touched by it.
 */
import * as vscode from 'vscode';
import { NOTEBOOK_TYPE } from '../kernels/controllers';
import { registerLineCommand } from '../line-command';
import { plain } from '../plain';
import type { OtherKernel } from '../protocol/types';
import { guard, pickOne, showInformation, withProgress } from '../say';
import type { OtherKernels } from '../views/others';
import { command, isTrusted, type Parts, type Run } from './sessions';

interface Target extends vscode.QuickPickItem {
  readonly uri: vscode.Uri | undefined;
}

export function registerOtherCommands(parts: Parts, others: OtherKernels): vscode.Disposable {
  return vscode.Disposable.from(
    registerLineCommand('adopt', async (argument) => {
      if (isTrusted()) await adopt(argument, parts, others);
    }),
    vscode.commands.registerCommand('kernelKeeper.refreshOthers', () => guard(others.list().then(() => undefined))),
    command(parts, 'openConsole', vscode.l10n.t('Open a console on which kernel?'), openConsole, isTrusted),
  );
}

async function adopt(argument: unknown, { sidecar, follow }: Parts, others: OtherKernels): Promise<void> {
  const kernel = isOther(argument) ? argument : await pick(others);
  const target = kernel && (onlyTarget(kernel) ?? (await targetOf(kernel)));
  if (!target) return;
  const params = { connectionFile: kernel.connectionFile, notebookUri: target.toString() };
  const title = vscode.l10n.t('Kernel Keeper: taking in the kernel…');
  const { session } = await withProgress({ location: vscode.ProgressLocation.Window, title }, () =>
    sidecar.request('keeper/adoptKernel', params),
  );
  await follow.show(session, true, target.toString());
}

async function pick(others: OtherKernels): Promise<OtherKernel | undefined> {
  const kernels = await others.list();
  if (kernels.length === 0) {
    void showInformation(vscode.l10n.t('Kernel Keeper: no other program runs a kernel of yours.'));
    return undefined;
  }
  const items = kernels.map((kernel) => ({
    label: kernel.notebookPath?.split(/[/\\]/).at(-1) ?? kernel.displayName,
    description: [`PID ${kernel.pid}`, kernel.startedBy ?? ''].filter((part) => part !== '').join(' · '),
    kernel,
  }));
  return (await pickOne(items, { placeHolder: vscode.l10n.t('Adopt which kernel?') }))?.kernel;
}

/** The notebook in front, where none else is in sight, nor is the kernel another one's. */
function onlyTarget({ notebookPath }: OtherKernel): vscode.Uri | undefined {
  const shown = new Set(vscode.window.visibleNotebookEditors.map((editor) => editor.notebook));
  const front = vscode.window.activeNotebookEditor?.notebook;
  if (front?.notebookType !== NOTEBOOK_TYPE || front.isUntitled || shown.size !== 1) return undefined;
  return notebookPath === null || front.uri.fsPath === notebookPath ? front.uri : undefined;
}

/** The notebook that it was started for, the one in front, or another. */
async function targetOf(kernel: OtherKernel): Promise<vscode.Uri | undefined> {
  const targets: Target[] = [];
  const add = (uri: vscode.Uri, description: string) => {
    if (targets.some((target) => target.uri?.toString() === uri.toString())) return;
    targets.push({ label: vscode.workspace.asRelativePath(uri), description, uri });
  };
  if (kernel.notebookPath !== null) add(vscode.Uri.file(kernel.notebookPath), vscode.l10n.t('it was started for this one'));
  const front = vscode.window.activeNotebookEditor?.notebook;
  if (front?.notebookType === NOTEBOOK_TYPE && !front.isUntitled) add(front.uri, vscode.l10n.t('the notebook in front'));
  targets.push({ label: vscode.l10n.t('Choose a Notebook…'), uri: undefined });
  const placeHolder = vscode.l10n.t('Which notebook is to have this kernel?');
  const chosen = await pickOne(targets, { placeHolder });
  if (!chosen || chosen.uri) return chosen?.uri;
  const filters = { [vscode.l10n.t('Notebooks')]: ['ipynb'] };
  const files = await vscode.window.showOpenDialog({ filters, openLabel: vscode.l10n.t('Adopt') });
  return files?.[0];
}

/** The terminal is the kernel's own view of itself: what is typed there runs in it, and is marked so in the history. */
const openConsole: Run = async (session, { sidecar }) => {
  if (!sidecar.binary) return;
  const { KERNEL_KEEPER_STATE_DIR: state, KERNEL_KEEPER_RUNTIME_DIR: runtime } = process.env;
  const terminal = vscode.window.createTerminal({
    name: plain(session.label),
    iconPath: new vscode.ThemeIcon('terminal'),
    shellPath: sidecar.binary.path,
    shellArgs: ['console', session.id],
    env: { KERNEL_KEEPER_STATE_DIR: state, KERNEL_KEEPER_RUNTIME_DIR: runtime },
    isTransient: true,
  });
  terminal.show();
  await Promise.resolve();
};

const isOther = (value: unknown): value is OtherKernel => typeof value === 'object' && value !== null && 'connectionFile' in value;
