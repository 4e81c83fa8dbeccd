/**
 * `input()`: asks the person and sends the answer.
 * Guarantees: one box at a time (VS Code shows no more, and a second would close the first); a box closed with Escape interrupts nothing:
 * a notification and a button at the cell bring it back; a question that was answered elsewhere goes away by itself.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { isKind, messageOf } from '../errors';
import type { InputPrompt } from '../protocol/types';
import { showInformation, showInput } from '../say';

/** Whose question it is. */
export interface Asker {
  readonly sessionId: string;
  readonly notebook: vscode.NotebookDocument;
}

interface Question extends InputPrompt {
  readonly asker: Asker;
  readonly executionId: string;
  readonly cell: vscode.NotebookCell;
  readonly withdrawn: vscode.CancellationTokenSource;
}

export class InputBoxes implements vscode.Disposable {
  private readonly questions = new Map<string, Question>();
  private readonly changeEmitter = new vscode.EventEmitter<void>();
  private last: Promise<void> = Promise.resolve();

  /** A question came or went. */
  readonly onDidChange = this.changeEmitter.event;

  constructor(private readonly sidecar: Sidecar) {}

  ask(asker: Asker, executionId: string, cell: vscode.NotebookCell, prompt: InputPrompt): void {
    this.withdraw(executionId);
    const { prompt: text, password } = prompt;
    const question = { asker, executionId, cell, prompt: text, password, withdrawn: new vscode.CancellationTokenSource() };
    this.questions.set(executionId, question);
    this.changeEmitter.fire();
    this.enqueue(question);
  }

  withdraw(executionId: string): void {
    this.questions.get(executionId)?.withdrawn.cancel();
    if (this.questions.delete(executionId)) this.changeEmitter.fire();
  }

  withdrawOf(asker: Asker): void {
    for (const question of [...this.questions.values()]) if (question.asker === asker) this.withdraw(question.executionId);
  }

  /** Asks the open question of an execution again. */
  again(executionId: string): void {
    const question = this.questions.get(executionId);
    if (question) this.enqueue(question);
  }

  /** The execution that asks in this cell. */
  ofCell(cell: vscode.NotebookCell): string | undefined {
    return [...this.questions.values()].find((question) => question.cell === cell)?.executionId;
  }

  dispose(): void {
    this.changeEmitter.dispose();
    for (const executionId of [...this.questions.keys()]) this.withdraw(executionId);
  }

  private enqueue(question: Question): void {
    this.last = this.last.then(() => this.show(question));
  }

  private async show(question: Question): Promise<void> {
    if (isWithdrawn(question)) return;
    const options = { title: titleOf(question), prompt: question.prompt, password: question.password, ignoreFocusOut: true };
    const value = await showInput(options, question.withdrawn.token);
    if (isWithdrawn(question)) return;
    if (value === undefined) void this.offerAgain(question);
    else await this.reply(question, value);
  }

  private async reply(question: Question, value: string): Promise<void> {
    const { executionId, asker } = question;
    try {
      await this.sidecar.request('keeper/replyInput', { sessionId: asker.sessionId, executionId, value });
      // The cell may have asked the next one already.
      if (this.questions.get(executionId) === question) this.withdraw(executionId);
    } catch (error) {
      if (isKind(error, 'NotWaiting')) return;
      this.sidecar.log.warn(`The input was not passed on: ${messageOf(error)}`);
      void this.offerAgain(question);
    }
  }

  private async offerAgain(question: Question): Promise<void> {
    const answer = vscode.l10n.t('Answer');
    const message = vscode.l10n.t('{0} is waiting for input: {1}', titleOf(question), question.prompt);
    const chosen = await showInformation(message, answer);
    // Closed without an answer, the question stands: the cell has a button for it.
    if (chosen === answer) this.again(question.executionId);
  }
}

const isWithdrawn = (question: Question): boolean => question.withdrawn.token.isCancellationRequested;

function titleOf(question: Question): string {
  const file = question.asker.notebook.uri.path.split('/').at(-1) ?? '';
  return vscode.l10n.t('{0}, cell {1}', file, question.cell.index + 1);
}
