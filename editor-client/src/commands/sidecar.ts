/** Commands about the sidecar itself, and those that open something: log, restart, diagnostics, whole outputs, open questions. */
import * as vscode from 'vscode';
import { moment } from '../describe';
import type { InputBoxes } from '../kernels/input';
import { guard, showStatus } from '../say';
import { readSettings } from '../settings';
import { isTrusted, type Parts } from './sessions';

export function registerSidecarCommands(parts: Parts, inputs: InputBoxes, extensionVersion: string): vscode.Disposable {
  const { sidecar, sessions, controllers, follow } = parts;
  const on = (name: string, run: (...values: never[]) => unknown) =>
    vscode.commands.registerCommand(`kernelKeeper.${name}`, (...values: never[]) => guard(done(run, values)));
  return vscode.Disposable.from(
    on('refresh', () => Promise.all([sessions.refresh(true), controllers.refresh()])),
    on('showSidecarLog', () => {
      sidecar.log.show();
    }),
    on('restartSidecar', () => sidecar.restart()),
    on('copyDiagnostics', () => copyDiagnostics(parts, extensionVersion)),
    on('openWholeOutput', (assetUri: string) =>
      vscode.commands.executeCommand('vscode.open', vscode.Uri.parse(assetUri), { preview: true }),
    ),
    on('answerInput', (executionId: string) => {
      inputs.again(executionId);
    }),
    on('resume', async () => {
      const notebook = vscode.window.activeNotebookEditor?.notebook;
      if (notebook && isTrusted()) await follow.resume(notebook);
    }),
  );
}

async function done(run: (...values: never[]) => unknown, values: never[]): Promise<void> {
  await run(...values);
}

/** What a bug report needs; no code, no outputs, no notebook's path. */
async function copyDiagnostics({ sidecar, sessions }: Parts, extensionVersion: string): Promise<void> {
  const now = new Date();
  const lines = [
    `Kernel Keeper ${extensionVersion}, ${vscode.env.appName} ${vscode.version}, ${process.platform} ${process.arch}, ${vscode.env.remoteName ?? 'local'}`,
    `Sidecar: ${sidecar.state}, ${sidecar.binary ? `${sidecar.binary.version} (${sidecar.binary.path})` : 'not found'}`,
    ...(sidecar.failure === undefined ? [] : [`Failure: ${sidecar.failure}`]),
    `Settings: ${JSON.stringify(readSettings())}`,
    ...sessions.all().map((session) => {
      const { id, kernel, state, responding, pid, keeperPid, endReason, queued, windows, warnings, startedAt } = session;
      const facts = { kernel: kernel.name, state, responding, pid, keeperPid, endReason, queued, windows: windows.length, warnings };
      return `Session ${id}, since ${moment(startedAt, now)}: ${JSON.stringify(facts)}`;
    }),
  ];
  await vscode.env.clipboard.writeText(lines.join('\n'));
  showStatus(vscode.l10n.t('Diagnostics copied'), 3_000);
}
