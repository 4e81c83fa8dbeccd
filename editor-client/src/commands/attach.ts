/**
 * Which notebooks a kernel belongs to, by hand: another one, one more, one less.
 * Guarantees: a kernel moves only after a question that names both notebooks; one that the target has is stopped only by an answer.
 */
import * as vscode from 'vscode';
import { dataOf, isKind } from '../errors';
import { registerLineCommand } from '../line-command';
import type { Offer, Session } from '../protocol/types';
import { pickOne, showInformation } from '../say';
import { sameUri } from '../sessions';
import type { SharedNotebook } from '../views/session-item';
import { confirm, isTrusted, type Parts } from './sessions';

export function registerAttachCommands(parts: Parts): vscode.Disposable {
  const on = (name: string, run: (argument: unknown, parts: Parts) => Promise<void>) =>
    registerLineCommand(name, async (argument) => {
      if (isTrusted()) await run(argument, parts);
    });
  return vscode.Disposable.from(on('attachToNotebook', attachToNotebook), on('share', share), on('stopSharing', stopSharing));
}

async function attachToNotebook(argument: unknown, parts: Parts): Promise<void> {
  const { sidecar, sessions, follow, offers } = parts;
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  if (!notebook) {
    void showInformation(vscode.l10n.t('Kernel Keeper: open the notebook first that the kernel is to be attached to.'));
    return;
  }
  const session = await source(argument, parts, vscode.l10n.t('Attach which kernel to this notebook?'));
  if (!session) return;
  if (sessions.of(notebook.uri)?.id === session.id) {
    await follow.resume(notebook);
    return;
  }
  // Of several notebooks that share it the one whose line was chosen, else the first.
  const from = isShared(argument) ? argument.notebookUri : session.notebookUri;
  const question = vscode.l10n.t('Migrate from {0} to {1}?', ...apart(vscode.Uri.parse(from), notebook.uri));
  const detail = vscode.l10n.t('The kernel goes on with its variables and its history, under the new notebook.');
  if (!(await confirm(question, vscode.l10n.t('Migrate'), detail))) return;
  const target = { targetNotebookUri: notebook.uri.toString(), sessionId: session.id, expectedNotebookUri: from };
  try {
    const attached = await sidecar.request('keeper/attachSession', target);
    await follow.show(attached.session, false, notebook.uri.toString());
  } catch (error) {
    const { offer } = dataOf(error);
    if (!isKind(error, 'NotebookHasSession') || typeof offer !== 'object') throw error;
    await offers.ask(offer as Offer);
  }
}

async function share(argument: unknown, parts: Parts): Promise<void> {
  const session = await source(argument, parts, vscode.l10n.t('Share which kernel?'));
  const target = session && (await pickTarget(session));
  if (target) await shareWith(session, target, parts);
}

/** The notebook gets the kernel, too; one of its own is stopped only by an answer. */
export async function shareWith(session: Session, target: vscode.Uri, parts: Parts): Promise<void> {
  if (!isTrusted()) return;
  const params = { targetNotebookUri: target.toString(), sessionId: session.id, expectedNotebookUri: session.notebookUri, share: true };
  const shared = await parts.sidecar.request('keeper/attachSession', params).catch(async (error: unknown) => {
    const { session: holder } = dataOf(error) as { session?: Session };
    if (!isKind(error, 'NotebookHasSession') || !holder) throw error;
    const busy = holder.state === 'busy' ? vscode.l10n.t('It is running a cell. ') : '';
    const question = vscode.l10n.t('{0} has a kernel of its own (PID {1}). Stop that one?', nameOf(target), holder.pid ?? '–');
    const detail = vscode.l10n.t("{0}Its variables are lost; the notebook then has those of {1}'s kernel.", busy, session.label);
    if (!(await confirm(question, vscode.l10n.t('Replace'), detail))) return undefined;
    return parts.sidecar.request('keeper/attachSession', { ...params, replace: true });
  });
  if (shared) await parts.follow.show(shared.session, false, target.toString());
}

/** The notebook lets go; the kernel goes on with the others. */
async function stopSharing(argument: unknown, { sidecar }: Parts): Promise<void> {
  if (!isShared(argument)) return;
  const { session, notebookUri } = argument;
  await sidecar.request('keeper/detachSession', { sessionId: session.id, notebookUri });
}

/** The line of the tree, or one that is picked: never by itself that of the notebook in front, which is the target. */
async function source(argument: unknown, { targets }: Parts, placeHolder: string): Promise<Session | undefined> {
  const isFromTree = typeof argument === 'object' && argument !== null && ('notebooks' in argument || 'session' in argument);
  return isFromTree ? targets.of(argument, placeHolder) : targets.pick(placeHolder);
}

async function pickTarget(session: Session): Promise<vscode.Uri | undefined> {
  const present = vscode.window.activeNotebookEditor?.notebook.uri;
  const isOther = present !== undefined && !session.notebooks.some((ref) => sameUri(ref.notebookUri, present));
  const other = { label: vscode.l10n.t('Another notebook…'), iconPath: new vscode.ThemeIcon('folder-opened'), uri: undefined };
  const items = [...(isOther ? [{ label: nameOf(present), iconPath: new vscode.ThemeIcon('notebook'), uri: present }] : []), other];
  const placeHolder = vscode.l10n.t("Share {0}'s kernel with which notebook? Both then have its variables.", session.label);
  const chosen = await pickOne(items, { placeHolder });
  if (!chosen || chosen.uri) return chosen?.uri;
  const filters = { [vscode.l10n.t('Notebooks')]: ['ipynb'] };
  return (await vscode.window.showOpenDialog({ filters, openLabel: vscode.l10n.t('Share') }))?.[0];
}

const nameOf = (uri: vscode.Uri): string => uri.path.split('/').at(-1) ?? '';

/** Two notebooks by name, with their folders where the names are the same. */
function apart(one: vscode.Uri, other: vscode.Uri): [string, string] {
  const isSame = nameOf(one) === nameOf(other);
  const name = (uri: vscode.Uri) => (isSame ? vscode.workspace.asRelativePath(uri) : nameOf(uri));
  return [name(one), name(other)];
}

function isShared(value: unknown): value is SharedNotebook {
  return typeof value === 'object' && value !== null && 'session' in value && 'notebookUri' in value;
}
