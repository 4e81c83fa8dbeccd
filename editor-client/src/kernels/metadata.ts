/** What the notebook's file says of its kernel, in nbformat's `kernelspec` and `language_info`. */
import * as vscode from 'vscode';
import type { KernelInfo } from '../protocol/types';
import { kernelspecOf } from './controllers';

/** Writes it where it is missing or another one, as every Jupyter front end does when a kernel is chosen. */
export async function rememberKernel(notebook: vscode.NotebookDocument, kernel: KernelInfo): Promise<void> {
  if (notebook.isClosed || kernelspecOf(notebook)?.name === kernel.name) return;
  const inner = (notebook.metadata['metadata'] ?? {}) as Record<string, unknown>;
  const kernelspec = { display_name: kernel.displayName, language: kernel.language, name: kernel.name };
  const metadata = { ...notebook.metadata, metadata: { ...inner, kernelspec, language_info: { name: kernel.language } } };
  const edit = new vscode.WorkspaceEdit();
  edit.set(notebook.uri, [vscode.NotebookEdit.updateNotebookMetadata(metadata)]);
  await vscode.workspace.applyEdit(edit);
}
