/**
 * Which of our kernels a notebook has selected, and selecting one by program.
 * Guarantees: resolves only once VS Code has told that the kernel is selected, since an execution made before that is refused.
 * Leaves out: when to select. It is done for a notebook whose session is taken up, and for one that has no kernel and whose file names one
 * (`preselection.ts`); never against a choice the person made.
 * Selecting works for a visible editor only and needs that editor named: by id alone, VS Code acts on whichever is active.
 */
import * as vscode from 'vscode';
import { type Controllers, controllerId, type Kernel } from './controllers';

const SELECTED_TIMEOUT_MS = 3_000;
const CHOSEN_TIMEOUT_MS = 1_000;

/** A kernel was selected. `isAnew`: the notebook had one before since it was opened, so that nothing was remembered. */
export interface Choice {
  readonly notebook: vscode.NotebookDocument;
  readonly kernel: Kernel;
  readonly isAnew: boolean;
}

export class Selection implements vscode.Disposable {
  private readonly selected = new WeakMap<vscode.NotebookDocument, Kernel>();
  /** Notebooks that have or had one of our kernels. */
  private readonly known = new WeakSet<vscode.NotebookDocument>();
  /** Notebooks for which a kernel is being selected by program. */
  private readonly selecting = new Set<vscode.NotebookDocument>();
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  private readonly choiceEmitter = new vscode.EventEmitter<Choice>();
  private readonly subscription: vscode.Disposable;

  /** Something was selected that this program did not select: by the person, or remembered from an earlier choice. */
  readonly onDidChoose = this.choiceEmitter.event;

  constructor(
    controllers: Controllers,
    private readonly extensionId: string,
  ) {
    this.subscription = controllers.onDidSelect(({ kernel, notebook, selected }) => {
      if (selected) this.selected.set(notebook, kernel);
      else if (this.selected.get(notebook) === kernel) this.selected.delete(notebook);
      this.changeEmitter.fire();
      if (!selected) return;
      const isAnew = this.known.has(notebook);
      this.known.add(notebook);
      if (!this.selecting.has(notebook)) this.choiceEmitter.fire({ notebook, kernel, isAnew });
    });
  }

  of(notebook: vscode.NotebookDocument): Kernel | undefined {
    return this.selected.get(notebook);
  }

  /** Selects the kernel, waiting for a hidden tab to become visible. False where the notebook closed meanwhile. */
  async select(notebook: vscode.NotebookDocument, kernel: Kernel): Promise<boolean> {
    this.selecting.add(notebook);
    try {
      while (this.selected.get(notebook) !== kernel) {
        const editor = await visibleEditor(notebook);
        if (!editor) return false;
        const accepted = await vscode.commands.executeCommand('notebook.selectKernel', {
          notebookEditor: editor,
          id: controllerId(kernel.name),
          extension: this.extensionId,
        });
        if (accepted === true && (await this.isSelected(notebook, kernel, SELECTED_TIMEOUT_MS))) return true;
        await pause(200);
      }
      return true;
    } finally {
      this.selecting.delete(notebook);
    }
  }

  /** Selects the kernel where VS Code has none selected, nor remembers one that is there, whoever's that is. */
  async propose(editor: vscode.NotebookEditor, kernel: Kernel): Promise<void> {
    const { notebook } = editor;
    this.selecting.add(notebook);
    try {
      await vscode.commands.executeCommand('notebook.selectKernel', {
        notebookEditor: editor,
        id: controllerId(kernel.name),
        extension: this.extensionId,
        skipIfAlreadySelected: true,
      });
      await this.isSelected(notebook, kernel, CHOSEN_TIMEOUT_MS);
    } finally {
      this.selecting.delete(notebook);
    }
  }

  /** Lets the person choose in VS Code's own list. Undefined where nothing was chosen, or a kernel that is none of ours. */
  async letChoose(notebook: vscode.NotebookDocument): Promise<Kernel | undefined> {
    const editor = await visibleEditor(notebook);
    const isChosen = editor && (await vscode.commands.executeCommand('notebook.selectKernel', { notebookEditor: editor }));
    if (isChosen !== true) return undefined;
    // VS Code may tell which one it is only after that.
    if (!this.of(notebook)) await nextEvent(this.changeEmitter.event, CHOSEN_TIMEOUT_MS);
    return this.of(notebook);
  }

  /** Waits until VS Code has told that it is selected. */
  async isSelected(notebook: vscode.NotebookDocument, kernel: Kernel, timeout: number): Promise<boolean> {
    const deadline = Date.now() + timeout;
    while (this.selected.get(notebook) !== kernel) {
      const wait = deadline - Date.now();
      if (wait <= 0) return false;
      await nextEvent(this.changeEmitter.event, wait);
    }
    return true;
  }

  dispose(): void {
    this.subscription.dispose();
    this.changeEmitter.dispose();
    this.choiceEmitter.dispose();
  }
}

/** The notebook's visible editor; waits while it has only hidden tabs. Undefined once it has no tab. */
async function visibleEditor(notebook: vscode.NotebookDocument): Promise<vscode.NotebookEditor | undefined> {
  for (let look = 0; ; look++) {
    const editor = vscode.window.visibleNotebookEditors.find((candidate) => candidate.notebook === notebook);
    if (editor) return editor;
    // A tab may appear shortly after its document.
    if (notebook.isClosed || (look > 10 && !hasTab(notebook.uri))) return undefined;
    await nextEvent(vscode.window.onDidChangeVisibleNotebookEditors, 1_000);
  }
}

/** Whether any tab shows the notebook. Tabs tell the truth: documents linger after their tabs are closed. */
export function hasTab(uri: vscode.Uri): boolean {
  return tabsOf(uri).length > 0;
}

export function tabsOf(uri: vscode.Uri): vscode.Tab[] {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return tabs.filter((tab) => tab.input instanceof vscode.TabInputNotebook && tab.input.uri.toString() === uri.toString());
}

export const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits for the next event, or the end of the time. */
export async function nextEvent(event: vscode.Event<unknown>, timeout: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      listener.dispose();
      clearTimeout(timer);
      resolve();
    };
    const listener = event(done);
    const timer = setTimeout(done, timeout);
  });
}
