/**
 * The one way to notifications, questions, boxes, lists and progress: each text goes through `plain` as a whole, so that no link survives.
 * Guarantees: what was chosen is given back as it was passed in. No other file asks `vscode.window` for these (tests/scripts/tidy.test.mjs).
 * Leaves out the titles of buttons, which VS Code draws as they are.
 */
import * as vscode from 'vscode';
import { messageOf } from './errors';
import { languageWord, plain, plainInMarkdown, shown } from './plain';

type Show = typeof vscode.window.showInformationMessage;

export const showInformation = shown(vscode.window.showInformationMessage) as Show;
export const showWarning = shown(vscode.window.showWarningMessage) as Show;
export const showError = shown(vscode.window.showErrorMessage) as Show;

export const withProgress: typeof vscode.window.withProgress = (options, task) => {
  const title = options.title === undefined ? {} : { title: plain(options.title) };
  return vscode.window.withProgress({ ...options, ...title }, (progress, token) => {
    return task(
      {
        report: (value) => {
          progress.report(value.message === undefined ? value : { ...value, message: plain(value.message) });
        },
      },
      token,
    );
  });
};

/** For what a command does: of a failure that it let out, VS Code would show the words as they are. */
export async function guard(task: Promise<void>): Promise<void> {
  try {
    await task;
  } catch (error) {
    // The person knows.
    if (error instanceof vscode.CancellationError) return;
    void showError(`Kernel Keeper: ${messageOf(error)}`);
  }
}

/** In the status bar, for a while. */
export const showStatus = (text: string, milliseconds: number): vscode.Disposable =>
  vscode.window.setStatusBarMessage(plain(text), milliseconds);

export const showInput = (options: vscode.InputBoxOptions, token?: vscode.CancellationToken): Thenable<string | undefined> => {
  const texts = textsOf(options, 'title', 'prompt', 'placeHolder');
  if (!options.validateInput) return vscode.window.showInputBox({ ...options, ...texts }, token);
  const validate = async (value: string) => {
    const found = await options.validateInput?.(value);
    return typeof found === 'string' ? plain(found) : found && { ...found, message: plain(found.message) };
  };
  return vscode.window.showInputBox({ ...options, ...texts, validateInput: validate }, token);
};

/** Lines of a list. */
export const plainItems = <T extends vscode.QuickPickItem>(items: readonly T[]): T[] =>
  items.map((item) => ({ ...item, ...textsOf(item, 'label', 'description', 'detail') }));

export async function pickOne<T extends vscode.QuickPickItem>(
  items: readonly T[],
  options: vscode.QuickPickOptions,
): Promise<T | undefined> {
  const lines = plainItems(items);
  const chosen = await vscode.window.showQuickPick(lines, { ...options, ...textsOf(options, 'title', 'placeHolder') });
  return chosen && items[lines.indexOf(chosen)];
}

export async function pickMany<T extends vscode.QuickPickItem>(
  items: readonly T[],
  options: vscode.QuickPickOptions,
): Promise<T[] | undefined> {
  const lines = plainItems(items);
  const chosen = await vscode.window.showQuickPick(lines, { ...options, ...textsOf(options, 'title', 'placeHolder'), canPickMany: true });
  return chosen && items.filter((_, index) => chosen.some((line) => line === lines[index]));
}

/** A list that lives: whoever fills it uses `plainItems`. */
export function createPick<T extends vscode.QuickPickItem>(title: string, placeholder: string): vscode.QuickPick<T> {
  const list = vscode.window.createQuickPick<T>();
  list.title = plain(title);
  list.placeholder = plain(placeholder);
  return list;
}

/** Markdown begins without foreign text, trusts no link to a command, and takes no HTML. */
export const appendPlain = (markdown: vscode.MarkdownString, foreign: string): vscode.MarkdownString =>
  markdown.appendText(plainInMarkdown(foreign));

export const appendCode = (markdown: vscode.MarkdownString, code: string, language: string): vscode.MarkdownString =>
  markdown.appendCodeblock(code, languageWord(language));

function textsOf<T extends object, K extends keyof T>(of: T, ...names: K[]): Partial<Record<K, string>> {
  const texts: Partial<Record<K, string>> = {};
  for (const name of names) {
    const text = of[name];
    if (typeof text === 'string') texts[name] = plain(text);
  }
  return texts;
}
