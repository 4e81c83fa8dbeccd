/** The context keys that `package.json` looks at. */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import type { Attachments } from '../kernels/attachments';

export function keepContexts(sidecar: Sidecar, attachments: Attachments): vscode.Disposable {
  const set = (key: string, value: unknown) => vscode.commands.executeCommand('setContext', `kernelKeeper.${key}`, value);
  const showState = () => void set('sidecar', sidecar.state);
  const showAttached = () => {
    const notebook = vscode.window.activeNotebookEditor?.notebook;
    void set('attached', notebook !== undefined && attachments.of(notebook) !== undefined);
  };
  showState();
  showAttached();
  return vscode.Disposable.from(
    sidecar.onState(showState),
    attachments.onDidChange(showAttached),
    vscode.window.onDidChangeActiveNotebookEditor(showAttached),
  );
}
