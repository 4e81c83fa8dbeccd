/**
 * *Save Snapshot…*, *Restore Snapshot…*: the variables of a notebook's kernel, by name.
 * Guarantees: restoring runs what was pickled, so nothing is restored in an untrusted workspace; variables that are there are written
 * over only after a question; what was left out is named; dill is installed only where the person says so.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { hasState, leftOutText, moment, size } from '../describe';
import { dataOf } from '../errors';
import { installPackage } from '../kernels/install';
import { shownNotebook } from '../kernels/documents';
import { registerLineCommand } from '../line-command';
import type { EnsureResult, RestoreSnapshotResult, Session, SkippedVariable, Snapshot } from '../protocol/types';
import {
  createPick,
  guard,
  pickOne,
  plainItems,
  showError,
  showInformation,
  showInput,
  showStatus,
  showWarning,
  withProgress,
} from '../say';
import { command, confirm, isTrusted, type Parts, type Run } from './sessions';

export function registerSnapshotCommands(parts: Parts): vscode.Disposable {
  return vscode.Disposable.from(
    command(parts, 'saveSnapshot', vscode.l10n.t("Save which kernel's variables?"), save, isTrusted),
    registerLineCommand('restoreSnapshot', async (argument) => {
      if (isTrusted()) await restore(argument, parts);
    }),
  );
}

const save: Run = async (session, parts) => {
  const { sidecar } = parts;
  const { snapshots } = await sidecar.request('keeper/snapshot/list', { notebookUri: session.notebookUri });
  const name = await askForName(session, snapshots);
  if (name === undefined) return;
  const title = vscode.l10n.t('Saving the variables of {0}…', session.label);
  const { snapshot } = await withDill(() =>
    withProgress({ location: vscode.ProgressLocation.Notification, title }, () =>
      sidecar.request('keeper/snapshot/save', { sessionId: session.id, name }),
    ),
  );
  const facts = vscode.l10n.t('{0}, {1}', countOf(snapshot.variables.length), size(snapshot.bytes));
  if (snapshot.skipped.length === 0) {
    showStatus(vscode.l10n.t('Snapshot “{0}” was saved: {1}', snapshot.name, facts), 8_000);
    return;
  }
  const text = vscode.l10n.t('Snapshot “{0}” was saved: {1}. {2}', snapshot.name, facts, leftOutText(snapshot.skipped, vscode.l10n.t));
  await sayWithDetails(text, vscode.l10n.t('Not in the snapshot “{0}”', snapshot.name), snapshot.skipped);
};

async function askForName(session: Session, present: readonly Snapshot[]): Promise<string | undefined> {
  const names = new Map(present.map((snapshot) => [snapshot.name, snapshot]));
  let number = present.length + 1;
  while (names.has(`snapshot ${number}`)) number += 1;
  const chosen = await showInput({
    title: vscode.l10n.t('Save Snapshot of {0}', session.label),
    prompt: vscode.l10n.t('A name for it. Its variables are kept as they are now, in a file that only you can read.'),
    value: `snapshot ${number}`,
    validateInput: (value) => {
      if (value.trim() === '') return vscode.l10n.t('A snapshot needs a name.');
      const same = names.get(value.trim());
      if (same?.sessionId !== session.id) return undefined;
      const message = vscode.l10n.t('Takes the place of the one of {0}.', moment(same.at, new Date()));
      return { message, severity: vscode.InputBoxValidationSeverity.Warning };
    },
  });
  return chosen?.trim();
}

/** Of the line of the tree, also where its kernel has ended; else of the notebook in front, also where it has no kernel. */
async function restore(argument: unknown, parts: Parts): Promise<void> {
  const session = await sessionOf(argument, parts);
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  const notebookUri = session?.notebookUri ?? notebook?.uri.toString();
  if (notebookUri === undefined) return;
  const snapshot = await pick(notebookUri, session, parts);
  if (!snapshot) return;
  // Without a kernel the one runs again that it was saved from.
  const target = session ?? (await parts.sessions.find(snapshot.sessionId));
  if (!target) return;
  const isRestart = hasState(target) ? await askAboutVariables(target) : false;
  if (isRestart === undefined) return;
  const title = vscode.l10n.t('Restoring “{0}” into {1}…', snapshot.name, target.label);
  const result = await withDill(() =>
    withProgress({ location: vscode.ProgressLocation.Notification, title }, () =>
      parts.sidecar.request('keeper/snapshot/restore', { sessionId: target.id, name: snapshot.name, restart: isRestart }),
    ),
  );
  await taken(result, target, parts);
  await sayRestored(vscode.l10n.t('Restored “{0}”', snapshot.name), result);
}

/** What came of the answer "Restore Snapshot". Its kernel was started in any case. */
export async function sayAnswered({ restored }: EnsureResult): Promise<void> {
  if (restored) {
    await sayRestored(vscode.l10n.t('Restored the latest snapshot'), restored);
    return;
  }
  const showLog = vscode.l10n.t('Show Log');
  const text = vscode.l10n.t('Kernel Keeper: a new kernel was started, but the snapshot was not restored; the log says why.');
  if ((await showError(text, showLog)) === showLog) {
    await vscode.commands.executeCommand('kernelKeeper.showSidecarLog');
  }
}

async function sessionOf(argument: unknown, { targets, sessions, attachments }: Parts): Promise<Session | undefined> {
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  const isFromTree = typeof argument === 'object' && argument !== null && ('notebooks' in argument || 'session' in argument);
  const hasOwn = notebook && (attachments.of(notebook) ?? sessions.of(notebook.uri));
  if (!isFromTree && notebook && !hasOwn) return undefined;
  return targets.of(argument, vscode.l10n.t('Restore variables into which kernel?'));
}

/** True: restart first. Undefined: not at all. */
async function askAboutVariables({ label, pid }: Session): Promise<boolean | undefined> {
  const question = vscode.l10n.t("Restore into {0}'s kernel, which has variables already?", label);
  const detail = vscode.l10n.t(
    'PID {0}. Restored into this kernel, variables of the same name are written over; restarted first, all that are there now are lost.',
    pid ?? '–',
  );
  const [restart, into] = [vscode.l10n.t('Restart and Restore'), vscode.l10n.t('Restore into This Kernel')];
  const chosen = await showWarning(question, { modal: true, detail }, restart, into);
  return chosen === undefined ? undefined : chosen === restart;
}

/** A session that had ended runs again: its notebook follows it, where a tab shows that. */
async function taken({ session }: RestoreSnapshotResult, before: Session, { sessions, follow }: Parts): Promise<void> {
  const isAnew = before.state === 'ended' || before.id !== session.id;
  if (isAnew && shownNotebook(vscode.Uri.parse(session.notebookUri))) await follow.show(session, true, session.notebookUri);
  else sessions.put(session);
}

/** What came back, what did not, and what to be wary of. */
async function sayRestored(done: string, { variables, skipped, warnings }: RestoreSnapshotResult): Promise<void> {
  const text = vscode.l10n.t('{0}: {1}', done, countOf(variables.length));
  if (skipped.length === 0 && warnings.length === 0) {
    showStatus(text, 8_000);
    return;
  }
  const parts = [`${text}.`, ...warnings, ...(skipped.length > 0 ? [leftOutText(skipped, vscode.l10n.t)] : [])];
  await sayWithDetails(parts.join(' '), vscode.l10n.t('Not restored'), skipped, warnings.length > 0);
}

async function pick(notebookUri: string, target: Session | undefined, { sidecar }: Parts): Promise<Snapshot | undefined> {
  const listed = async () => byName((await sidecar.request('keeper/snapshot/list', { notebookUri })).snapshots, target);
  const snapshots = await listed();
  const file = vscode.Uri.parse(notebookUri).path.split('/').at(-1) ?? '';
  if (snapshots.length === 0) {
    void showInformation(vscode.l10n.t('Kernel Keeper: {0} has no snapshots yet. Save one first.', file));
    return undefined;
  }
  const placeholder = vscode.l10n.t('Which variables of {0} are to come back?', file);
  const list = createPick<Choice>(vscode.l10n.t('Restore Snapshot'), placeholder);
  list.matchOnDescription = true;
  // The question before a removal takes the focus.
  list.ignoreFocusOut = true;
  list.items = plainItems(snapshots.map(choiceOf));
  try {
    return await new Promise<Snapshot | undefined>((resolve) => {
      list.onDidAccept(() => {
        resolve(list.selectedItems[0]?.snapshot);
      });
      list.onDidTriggerItemButton(({ item }) => {
        const removed = remove(item.snapshot, sidecar).then(async (isRemoved) => {
          if (isRemoved) list.items = plainItems((await listed()).map(choiceOf));
          if (list.items.length === 0) list.hide();
        });
        void guard(removed);
      });
      list.onDidHide(() => {
        resolve(undefined);
      });
      list.show();
    });
  } finally {
    list.dispose();
  }
}

/** A name means the snapshot of the kernel itself, else the latest one; the first there is, is the latest. */
function byName(snapshots: readonly Snapshot[], target: Session | undefined): Snapshot[] {
  const meant = (name: string) => {
    const same = snapshots.filter((snapshot) => snapshot.name === name);
    return same.find(({ sessionId }) => sessionId === target?.id) ?? same[0];
  };
  return snapshots.filter((snapshot) => meant(snapshot.name) === snapshot);
}

async function remove({ sessionId, name }: Snapshot, sidecar: Sidecar): Promise<boolean> {
  const question = vscode.l10n.t('Remove the snapshot “{0}”? Its variables cannot be brought back then.', name);
  if (!(await confirm(question, vscode.l10n.t('Remove')))) return false;
  await sidecar.request('keeper/snapshot/remove', { sessionId, name });
  return true;
}

interface Choice extends vscode.QuickPickItem {
  readonly snapshot: Snapshot;
}

function choiceOf(snapshot: Snapshot): Choice {
  const { name, at, bytes, variables, skipped } = snapshot;
  const facts = [moment(at, new Date()), size(bytes), countOf(variables.length)];
  if (skipped.length > 0) facts.push(vscode.l10n.t('{0} left out', skipped.length));
  return {
    label: name,
    iconPath: new vscode.ThemeIcon('archive'),
    description: facts.join(' · '),
    buttons: [{ iconPath: new vscode.ThemeIcon('trash'), tooltip: vscode.l10n.t('Remove Snapshot') }],
    snapshot,
  };
}

/** Where the kernel's environment lacks dill, it is installed if the person wants that, and it is tried once more. */
async function withDill<T>(task: () => Thenable<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const { missing, interpreter } = dataOf(error);
    if (missing !== 'dill' || interpreter === undefined) throw error;
    const install = vscode.l10n.t('Install dill');
    const text = vscode.l10n.t('Kernel Keeper: snapshots need the package dill, which {0} does not have.', interpreter);
    if ((await showInformation(text, install)) !== install) throw new vscode.CancellationError();
    if (!(await installPackage('dill', interpreter))) throw new vscode.CancellationError();
    return await task();
  }
}

const countOf = (count: number): string => (count === 1 ? vscode.l10n.t('1 variable') : vscode.l10n.t('{0} variables', count));

async function sayWithDetails(text: string, title: string, skipped: readonly SkippedVariable[], isWarning = false): Promise<void> {
  const details = vscode.l10n.t('Show Details');
  const actions = skipped.length > 0 ? [details] : [];
  if ((await (isWarning ? showWarning : showInformation)(text, ...actions)) !== details) return;
  const items = skipped.map(({ name, reason }) => ({ label: name, detail: reason }));
  const placeHolder = vscode.l10n.t('What was left out, and why');
  // It stays where the focus goes elsewhere: VS Code gives that to the editor as the notification leaves, maybe later.
  await pickOne(items, { title, placeHolder, ignoreFocusOut: true, matchOnDetail: true });
}
