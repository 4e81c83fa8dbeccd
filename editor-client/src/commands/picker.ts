/**
 * *Sessions…*: all kernels in one list, to go to one, take one up, or end some.
 * Guarantees: what is chosen is only shown, or attached after a question; what another window shows is not taken from it. After a stop
 * and after a new label the list is there again.
 * Its keys are Ctrl+K K, on macOS Cmd+K K: VS Code and what comes with it bind many second keys after Ctrl+K, K alone not. Ctrl+Alt+K is
 * what AltGr+K sends on many keyboards, and as Cmd+Alt+K taken.
 */
import * as vscode from 'vscode';
import { windowsOf } from '../describe';
import { groupsOf } from '../groups';
import { NOTEBOOK_TYPE } from '../kernels/controllers';
import { revealNotebook } from '../kernels/documents';
import type { Session } from '../protocol/types';
import { createPick, guard, plainItems, showInformation } from '../say';
import { groupTitle } from '../views/groups';
import { sessionChoice, type SessionChoice } from '../views/choices';
import { chooseElsewhere, isElsewhere } from './elsewhere';
import { newSession, stopAllAndStartFresh } from './fresh';
import { type Parts } from './sessions';

interface Act extends vscode.QuickPickItem {
  readonly run: () => Promise<void>;
}

interface Button extends vscode.QuickInputButton {
  readonly command: string;
  /** Afterwards the list is there again. */
  readonly comesBack: boolean;
}

type Item = SessionChoice | Act | vscode.QuickPickItem;

/** `onShown`: the person looks at what runs. */
export function registerPicker(parts: Parts, onShown: () => void): vscode.Disposable {
  return vscode.commands.registerCommand('kernelKeeper.sessions', async () => {
    onShown();
    await guard(choose(parts));
  });
}

async function choose(parts: Parts): Promise<void> {
  let last: Session | undefined;
  for (;;) {
    const notebook = notebookInFront();
    if (itemsOf(parts, notebook).length === 0) {
      void showInformation(vscode.l10n.t('Kernel Keeper: no kernels are running. Open a notebook and choose a kernel to start one.'));
      return;
    }
    const chosen = await ask(parts, notebook, last);
    if (!chosen) return;
    if (!('command' in chosen)) {
      await ('run' in chosen ? chosen.run() : goTo(chosen.session, notebook, parts));
      return;
    }
    await vscode.commands.executeCommand(chosen.command, chosen.session);
    if (!chosen.comesBack) return;
    last = chosen.session;
  }
}

type Chosen = Act | { readonly session: Session } | { readonly session: Session; readonly command: string; readonly comesBack: boolean };

/** The list follows what happens while it is open. `last`: the line that it begins at. */
async function ask(parts: Parts, notebook: vscode.NotebookDocument | undefined, last: Session | undefined): Promise<Chosen | undefined> {
  const placeholder = notebook
    ? vscode.l10n.t('Choose a kernel for {0}, or go to its notebook', fileOf(notebook))
    : vscode.l10n.t('Choose a kernel to go to its notebook');
  const list = createPick<Item>(vscode.l10n.t('Kernel Keeper: Sessions'), placeholder);
  list.matchOnDescription = true;
  list.matchOnDetail = true;
  list.keepScrollPosition = true;
  const draw = () => {
    const active = list.items.length === 0 ? last?.id : list.activeItems.map(keyOf)[0];
    const items = itemsOf(parts, notebook);
    if (isSame(items, list.items)) return;
    list.items = items;
    const same = items.find((item) => keyOf(item) === active);
    if (same) list.activeItems = [same];
  };
  draw();
  const following = parts.sessions.onDidChange(draw);
  try {
    return await new Promise<Chosen | undefined>((resolve) => {
      list.onDidAccept(() => {
        const [item] = list.selectedItems;
        resolve(item && ('session' in item || 'run' in item) ? item : undefined);
      });
      list.onDidTriggerItemButton(({ item, button }) => {
        if (!('session' in item)) return;
        const { command, comesBack } = button as Button;
        resolve({ session: item.session, command, comesBack });
      });
      list.onDidHide(() => {
        resolve(undefined);
      });
      list.show();
    });
  } finally {
    following.dispose();
    list.dispose();
  }
}

function itemsOf(parts: Parts, notebook: vscode.NotebookDocument | undefined): Item[] {
  const now = new Date();
  const live = parts.sessions.live();
  const heading = (label: string) => ({ label, kind: vscode.QuickPickItemKind.Separator });
  const lines = groupsOf(live, now, () => true).flatMap(({ id, sessions }) => [
    heading(groupTitle(id)),
    ...sessions.map((session) => ({ ...sessionChoice(session, now), buttons: buttonsOf(session) })),
  ]);
  const acts: Act[] = [];
  if (notebook && vscode.workspace.isTrusted) {
    const description = vscode.l10n.t('for {0}', fileOf(notebook));
    acts.push({ label: vscode.l10n.t('New Session'), description, ...act('add', () => newSession(notebook, parts)) });
  }
  if (live.length > 0 && vscode.workspace.isTrusted) {
    const label = vscode.l10n.t('Stop All and Start Fresh…');
    acts.push({ label, ...act('stop-circle', () => stopAllAndStartFresh(notebook, parts)) });
  }
  return plainItems<Item>(acts.length > 0 && lines.length > 0 ? [...lines, heading(''), ...acts] : [...lines, ...acts]);
}

function act(icon: string, work: () => Promise<void>): Pick<Act, 'iconPath' | 'alwaysShow' | 'run'> {
  return { iconPath: new vscode.ThemeIcon(icon), alwaysShow: true, run: work };
}

function buttonsOf(session: Session): Button[] {
  const button = (icon: string, tooltip: string, command: string, comesBack: boolean): Button => ({
    iconPath: new vscode.ThemeIcon(icon),
    tooltip,
    command: `kernelKeeper.${command}`,
    comesBack,
  });
  const open = session.notebookExists ? [button('go-to-file', vscode.l10n.t('Open Notebook'), 'openNotebook', false)] : [];
  return [
    ...open,
    button('history', vscode.l10n.t('Show History'), 'showHistory', false),
    button('edit', vscode.l10n.t('Rename Label…'), 'rename', true),
    button('stop-circle', vscode.l10n.t('Stop Kernel'), 'stop', true),
  ];
}

async function goTo(session: Session, notebook: vscode.NotebookDocument | undefined, parts: Parts): Promise<void> {
  if (notebook && parts.sessions.of(notebook.uri)?.id === session.id) {
    if (parts.attachments.of(notebook)?.sessionId === session.id) await revealNotebook(notebook.uri);
    else await vscode.commands.executeCommand('kernelKeeper.resume');
  } else if (isElsewhere(session)) {
    await chooseElsewhere(session, notebook, parts);
  } else if (notebook && windowsOf(session).length === 0) {
    await vscode.commands.executeCommand('kernelKeeper.attachToNotebook', session);
  } else if (session.notebookExists) {
    await vscode.commands.executeCommand('kernelKeeper.openNotebook', session);
  } else {
    const text = vscode.l10n.t(
      "Kernel Keeper: {0}'s notebook is gone. Open the one that its kernel is to be attached to first.",
      session.label,
    );
    void showInformation(text);
  }
}

function notebookInFront(): vscode.NotebookDocument | undefined {
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  return notebook?.notebookType === NOTEBOOK_TYPE ? notebook : undefined;
}

const fileOf = ({ uri }: vscode.NotebookDocument): string => uri.path.split('/').at(-1) ?? '';

const keyOf = (item: Item): string => ('session' in item ? item.session.id : item.label);

/** Whether they read the same: a list that is drawn anew loses hovers. */
function isSame(some: readonly Item[], others: readonly Item[]): boolean {
  const words = (items: readonly Item[]) => JSON.stringify(items.map((item) => [keyOf(item), item.label, item.description, item.detail]));
  return words(some) === words(others);
}
