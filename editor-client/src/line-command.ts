/**
 * Commands that the menus of lines have.
 * Guarantees: they act on the line whose menu it was, or on none. What VS Code draws anew it does not know until then, and passes nothing in
 * the place of such a line: what the person meant is not known, and it is never the notebook in front.
 */
import * as vscode from 'vscode';
import { guard, showInformation } from './say';

/** `run` gets the line, what a key or the program passes, or nothing where it is called from the palette. */
export function registerLineCommand(name: string, run: (argument: unknown) => Promise<void>): vscode.Disposable {
  return vscode.commands.registerCommand(`kernelKeeper.${name}`, async (...values: readonly unknown[]) => {
    // The palette, a key and a link pass no value at all.
    const [argument] = values;
    const isGone = values.length > 0 && (argument === undefined || argument === null);
    if (isGone) void showInformation(vscode.l10n.t('Kernel Keeper: nothing was done, as that line changed just then. Choose again.'));
    else await guard(run(argument));
  });
}
