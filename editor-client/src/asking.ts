/**
 * How a question of the sidecar is put to the person: as a notification, or as a list where there is much to choose from.
 * Guarantees: answers are the sidecar's own actions; what is decided for good is remembered as a setting. A list that a button of a
 * notification brings up stays where the focus goes elsewhere: VS Code gives it to the editor as the notification leaves, maybe later.
 */
import * as vscode from 'vscode';
import type { Action, Offer } from './protocol/types';
import { pickMany, pickOne, showInformation } from './say';
import { remember } from './settings';
import { sessionChoice } from './views/choices';

/** Before a kernelspec's name, and before a session's id, in the actions of a `pick`. */
const KERNEL = 'kernel:';
const SESSION = 'session:';
const MOST_BUTTONS = 3;

interface Asked {
  readonly offer: Offer;
  /** The person did something that waits for the answer. */
  readonly isAsked: boolean;
  /** That was running a cell. */
  readonly isRun: boolean;
}

/** The first few by name: a notification is short. */
export function namesOf(questions: readonly Asked[]): string {
  const names = questions.map(({ offer }) => vscode.Uri.parse(offer.notebookUri).path.split('/').at(-1) ?? '');
  const more = names.length - 3;
  return more > 0 ? vscode.l10n.t('{0} and {1} more', names.slice(0, 3).join(', '), more) : names.join(', ');
}

export async function pickMoved<T extends Asked>(questions: readonly T[]): Promise<readonly T[] | undefined> {
  const items = questions.map((question) => {
    const { notebookUri, fromNotebookUri } = question.offer;
    const path = (uri: string) => vscode.workspace.asRelativePath(vscode.Uri.parse(uri));
    const description = fromNotebookUri === null ? path(notebookUri) : `${path(fromNotebookUri)} → ${path(notebookUri)}`;
    return { label: namesOf([question]), description, picked: true, question };
  });
  const placeHolder = vscode.l10n.t('Which kernels should follow their notebooks?');
  const chosen = await pickMany(items, { placeHolder, ignoreFocusOut: true });
  return chosen?.map(({ question }) => question);
}

/** An answer was begun and left: the question stands. */
export const AGAIN = Symbol('again');

export async function chooseAction(question: Asked): Promise<string | typeof AGAIN | undefined> {
  const { offer } = question;
  if (offer.kind === 'pick') return pick(offer, question.isAsked);
  const neverAgain = vscode.l10n.t("Don't Ask Again");
  const more = vscode.l10n.t('More…');
  // Of more buttons than fit VS Code shows the beginnings.
  const isLong = offer.actions.length > MOST_BUTTONS;
  const shown = isLong ? offer.actions.slice(0, MOST_BUTTONS - 1) : offer.actions;
  const titles = [...shown.map((action) => action.title), ...(isLong ? [more] : [])];
  const canDecide = offer.kind === 'resume' || offer.kind === 'migrate';
  const chosen = await showInformation(offer.message, ...titles, ...(canDecide ? [neverAgain] : []));
  if (chosen === neverAgain) return (await decideForGood(question)) ?? AGAIN;
  if (chosen === more) return (await chooseOther(offer)) ?? AGAIN;
  return offer.actions.find((action) => action.title === chosen)?.action;
}

async function chooseOther(offer: Offer): Promise<string | undefined> {
  const items = offer.actions.slice(MOST_BUTTONS - 1).map(({ action, title }) => ({ label: title, action }));
  return (await pickOne(items, { placeHolder: offer.message, ignoreFocusOut: true }))?.action;
}

async function pick(offer: Offer, isAsked: boolean): Promise<string | undefined> {
  if (!isAsked) {
    const choose = vscode.l10n.t('Choose…');
    if ((await showInformation(offer.message, choose)) !== choose) return undefined;
  }
  // "New Session" says less than the names of the kernels.
  const named = offer.actions.some(({ action }) => action.startsWith(KERNEL));
  const items = offer.actions.filter(({ action }) => !named || action !== 'fresh').map((action) => choiceOf(action, offer));
  const chosen = await pickOne(items, { placeHolder: offer.message, ignoreFocusOut: true, matchOnDetail: true });
  return chosen?.action;
}

/** A kernel that runs looks as it does in the list of sessions. */
function choiceOf({ action, title }: Action, offer: Offer): vscode.QuickPickItem & { readonly action: string } {
  const session = action.startsWith(SESSION) ? offer.sessions.find(({ id }) => action === `${SESSION}${id}`) : undefined;
  if (session) return { ...sessionChoice(session, new Date()), action };
  return { label: title, iconPath: new vscode.ThemeIcon(action === 'fresh' ? 'add' : 'server-process'), action };
}

/** What is to be done from now on, and now. */
async function decideForGood(question: Asked): Promise<string | undefined> {
  if (question.offer.kind === 'resume') {
    const items = [
      { label: vscode.l10n.t('Always resume'), value: 'resume', action: 'resume' },
      { label: vscode.l10n.t('Always start fresh, at the first run'), value: 'fresh', action: 'dismiss' },
    ] as const;
    const placeHolder = vscode.l10n.t("When a notebook's kernel is still running:");
    const chosen = await pickOne(items, { placeHolder, ignoreFocusOut: true });
    if (chosen) await remember('onOpen', chosen.value);
    // The run that waits is the first one.
    return chosen?.value === 'fresh' && question.isRun ? 'fresh' : chosen?.action;
  }
  const items = [
    { label: vscode.l10n.t('The kernel always follows its notebook'), value: 'migrate', action: 'migrate' },
    { label: vscode.l10n.t('Never; kernels stay under the old name'), value: 'ignore', action: 'dismiss' },
  ] as const;
  const placeHolder = vscode.l10n.t('When a notebook is renamed outside of the editor:');
  const chosen = await pickOne(items, { placeHolder, ignoreFocusOut: true });
  if (chosen) await remember('onRename', chosen.value);
  return chosen?.action;
}
