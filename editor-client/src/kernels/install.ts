/**
 * Installing a package into a Python environment that lacks it, because the person chose that environment and agreed.
 * Guarantees: runs the environment's own pip, or uv where it has none, as a task whose output can be read; nothing is run unasked.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { showError, showInformation, withProgress } from '../say';

/** True once it is installed. */
export async function installIpykernel(displayName: string, interpreter: string): Promise<boolean> {
  const install = vscode.l10n.t('Install');
  const detail = vscode.l10n.t('{0} cannot run notebooks before. This installs the package ipykernel into it.', displayName);
  const question = vscode.l10n.t('Install ipykernel into {0}?', displayName);
  const chosen = await showInformation(question, { modal: true, detail }, install);
  if (chosen !== install) return false;
  return installPackage('ipykernel', interpreter);
}

/** Who calls this has asked. */
export async function installPackage(name: string, interpreter: string): Promise<boolean> {
  const title = vscode.l10n.t('Kernel Keeper: installing {0}…', name);
  const code = await withProgress({ location: vscode.ProgressLocation.Notification, title }, () => run(name, interpreter));
  if (code === 0) return true;
  void showError(vscode.l10n.t('Kernel Keeper: {0} was not installed; the terminal says why.', name));
  return false;
}

async function run(packageName: string, interpreter: string): Promise<number | undefined> {
  const isPip = hasPip(interpreter);
  const program = isPip ? interpreter : 'uv';
  const args = isPip ? ['-m', 'pip', 'install', packageName] : ['pip', 'install', '--python', interpreter, packageName];
  const name = vscode.l10n.t('Install {0}', packageName);
  const execution = new vscode.ProcessExecution(program, args);
  const task = new vscode.Task({ type: 'kernelKeeper.install' }, vscode.TaskScope.Workspace, name, 'Kernel Keeper', execution);
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Silent, panel: vscode.TaskPanelKind.Dedicated };
  const started = await vscode.tasks.executeTask(task);
  return new Promise((resolve) => {
    const listener = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution !== started) return;
      listener.dispose();
      resolve(event.exitCode);
    });
  });
}

/** uv makes environments without it. */
function hasPip(interpreter: string): boolean {
  const prefix = dirname(dirname(interpreter));
  const folders = [join(prefix, 'Lib', 'site-packages')];
  try {
    for (const name of readdirSync(join(prefix, 'lib'))) folders.push(join(prefix, 'lib', name, 'site-packages'));
  } catch {
    // Elsewhere on Windows: above.
  }
  return folders.some((folder) => existsSync(join(folder, 'pip')));
}
