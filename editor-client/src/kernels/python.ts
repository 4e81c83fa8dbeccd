/** The environments that the VS Code Python extension knows, where that one is there and runs. It is not started for it. */
import * as vscode from 'vscode';

interface PythonApi {
  readonly environments?: {
    readonly known?: readonly { readonly executable?: { readonly uri?: vscode.Uri } }[];
  };
}

/** Their interpreters. */
export function knownInterpreters(): string[] {
  const known = api()?.environments?.known ?? [];
  return known.flatMap(({ executable }) => (executable?.uri?.scheme === 'file' ? [executable.uri.fsPath] : []));
}

function api(): PythonApi | undefined {
  const extension = vscode.extensions.getExtension<PythonApi>('ms-python.python');
  return extension?.isActive ? extension.exports : undefined;
}
