/**
 * One notebook controller a kernelspec, so that VS Code's own picker lists the kernels.
 * Guarantees: ids are stable over windows and starts, since VS Code remembers a notebook's choice by them; a controller that still has a
 * kernel stays, also where its kernelspec is gone.
 * Leaves out: what running a cell does.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import { plain } from '../plain';
import type { KernelInfo, Kernelspec } from '../protocol/types';
import { installIpykernel } from './install';
import { Picked } from './picked';
import { knownInterpreters } from './python';
import { withoutSkipped } from './tags';

export const NOTEBOOK_TYPE = 'jupyter-notebook';

export interface Kernel {
  readonly name: string;
  readonly language: string;
  readonly displayName: string;
  readonly controller: vscode.NotebookController;
  /** The program that runs it, where that is known. */
  readonly interpreter: string | undefined;
  /** False: an environment that lacks ipykernel. Changes when that is installed; the object stays, as others know it by itself. */
  isReady: boolean;
  /** Starting it is refused, as it is for another machine. */
  isRefused: boolean;
}

export interface KernelHandlers {
  run(cells: readonly vscode.NotebookCell[], notebook: vscode.NotebookDocument, kernel: Kernel): Promise<void>;
  interrupt(notebook: vscode.NotebookDocument): Promise<void>;
}

export class Controllers implements vscode.Disposable {
  private readonly kernels = new Map<string, Kernel>();
  private readonly selectEmitter = new vscode.EventEmitter<{ kernel: Kernel; notebook: vscode.NotebookDocument; selected: boolean }>();
  private readonly picked = new Picked();
  private readonly subscriptions: vscode.Disposable[];

  private readonly updateEmitter = new vscode.EventEmitter<void>();

  /** A notebook took or left one of our kernels. */
  readonly onDidSelect = this.selectEmitter.event;
  /** They were listed. */
  readonly onDidUpdate = this.updateEmitter.event;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly handlers: KernelHandlers,
    private readonly isUsed: (kernelName: string) => boolean,
  ) {
    this.subscriptions = [
      sidecar.onReady(() => void this.refresh()),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.refresh()),
      vscode.workspace.onDidChangeWorkspaceFolders(() => void this.refresh()),
      vscode.workspace.onDidOpenNotebookDocument((notebook) => {
        this.prefer(notebook);
      }),
      this.picked,
      this.selectEmitter,
      this.updateEmitter,
    ];
  }

  /**
   * Reads the kernelspecs, which runs nothing; in an untrusted workspace, too. VS Code asks whether to trust it before a cell runs, and then
   * goes on with the kernels that there are. Until then agents may start none of its environments.
   */
  async refresh(): Promise<void> {
    try {
      const params = { environments: knownInterpreters(), offered: vscode.workspace.isTrusted };
      const { kernelspecs } = await this.sidecar.request('keeper/listKernelspecs', params);
      this.update(kernelspecs);
    } catch (error) {
      this.sidecar.log.warn(`The kernels could not be listed: ${messageOf(error)}`);
    }
  }

  /** The kernel of that name; made where its kernelspec is not installed any more but a session of it lives. */
  of(info: KernelInfo): Kernel {
    return this.kernels.get(info.name) ?? this.create({ ...info, interpreter: null, ready: true });
  }

  /** The kernel that the notebook's file names, where it is there and can run. */
  namedBy(notebook: vscode.NotebookDocument): Kernel | undefined {
    const name = kernelspecOf(notebook)?.name;
    const kernel = name === undefined ? undefined : this.kernels.get(name);
    return kernel?.isReady && !kernel.isRefused ? kernel : undefined;
  }

  interpreterOf(kernelName: string): string | undefined {
    return this.kernels.get(kernelName)?.interpreter;
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
    for (const kernel of this.kernels.values()) kernel.controller.dispose();
    this.kernels.clear();
  }

  private update(kernelspecs: readonly Kernelspec[]): void {
    const names = new Set(kernelspecs.map((kernelspec) => kernelspec.name));
    for (const [name, kernel] of this.kernels) {
      if (names.has(name) || this.isUsed(name)) continue;
      kernel.controller.dispose();
      this.kernels.delete(name);
    }
    for (const kernelspec of kernelspecs) {
      const kernel = this.kernels.get(kernelspec.name);
      if (!kernel) this.create(kernelspec);
      else {
        kernel.isReady = kernelspec.ready;
        kernel.isRefused = kernelspec.provisioner !== undefined;
        kernel.controller.label = plain(kernelspec.displayName);
        kernel.controller.description = descriptionOf(kernelspec);
      }
    }
    for (const notebook of vscode.workspace.notebookDocuments) this.prefer(notebook);
    this.updateEmitter.fire();
  }

  private create(kernelspec: KernelInfo & Pick<Kernelspec, 'interpreter' | 'ready' | 'provisioner'>): Kernel {
    const { name, language, displayName } = kernelspec;
    const state = { isReady: kernelspec.ready, isRefused: kernelspec.provisioner !== undefined };
    const controller = vscode.notebooks.createNotebookController(controllerId(name), NOTEBOOK_TYPE, plain(displayName));
    const interpreter = kernelspec.interpreter ?? undefined;
    const kernel: Kernel = { name, language, displayName, controller, interpreter, ...state };
    controller.description = descriptionOf(kernelspec);
    controller.detail = plain(interpreter ?? name);
    controller.supportedLanguages = [languageId(language)];
    controller.supportsExecutionOrder = true;
    controller.executeHandler = async (cells, notebook) => {
      const wanted = withoutSkipped(cells, (cell) => this.picked.has(cell));
      if (wanted.length > 0 && (await this.makeReady(name))) await this.handlers.run(wanted, notebook, kernel);
    };
    // With a handler set, VS Code never cancels an execution's token, which it would also do for a deleted cell.
    controller.interruptHandler = (notebook) => this.handlers.interrupt(notebook);
    controller.onDidChangeSelectedNotebooks(({ notebook, selected }) => {
      this.selectEmitter.fire({ kernel, notebook, selected });
    });
    this.kernels.set(name, kernel);
    return kernel;
  }

  /** Where ipykernel is missing it is installed, if the person wants that. */
  private async makeReady(name: string): Promise<boolean> {
    const kernel = this.kernels.get(name);
    if (!kernel || kernel.isReady || kernel.interpreter === undefined) return true;
    const isInstalled = await installIpykernel(kernel.displayName, kernel.interpreter);
    if (isInstalled) await this.refresh();
    return isInstalled;
  }

  /** Puts the notebook's own kernel first in the picker; this never selects it. */
  private prefer(notebook: vscode.NotebookDocument): void {
    if (notebook.notebookType !== NOTEBOOK_TYPE) return;
    const name = kernelspecOf(notebook)?.name;
    const kernel = name === undefined ? undefined : this.kernels.get(name);
    kernel?.controller.updateNotebookAffinity(notebook, vscode.NotebookControllerAffinity.Preferred);
  }
}

/** `metadata.kernelspec` of the notebook's file. */
export function kernelspecOf(notebook: vscode.NotebookDocument): { name?: string } | undefined {
  const metadata = notebook.metadata['metadata'] as { kernelspec?: { name?: string } } | undefined;
  return metadata?.kernelspec;
}

function descriptionOf({ ready, provisioner }: Pick<Kernelspec, 'ready' | 'provisioner'>): string {
  if (provisioner !== undefined) return vscode.l10n.t('Kernel Keeper: cannot be started here, it is for {0}', plain(provisioner));
  return ready ? 'Kernel Keeper' : vscode.l10n.t('Kernel Keeper: ipykernel is missing');
}

export const controllerId = (kernelName: string): string => `kernel.${encodeURIComponent(kernelName)}`;

/** VS Code's id of a kernel's language; they differ in case, and in few names. */
export function languageId(language: string): string {
  const id = language.toLowerCase();
  return { 'c++': 'cpp', 'c#': 'csharp', 'f#': 'fsharp', bash: 'shellscript' }[id] ?? id;
}

/** Whether VS Code would give the cell to that kernel. */
export const runsIn = (cell: vscode.NotebookCell, kernel: Kernel): boolean =>
  cell.kind === vscode.NotebookCellKind.Code && cell.document.languageId === languageId(kernel.language);
