/**
 * Commands about conversations: open, export into a file, import from one, clear.
 * Guarantees: a conversation leaves the store only into a file that the person names; it is cleared only after a question.
 */
import * as vscode from 'vscode';
import type { Conversations } from '../conversations';
import { messageOf } from '../errors';
import { registerLineCommand } from '../line-command';
import type { Conversation, Session } from '../protocol/types';
import { pickOne, showInformation, showStatus } from '../say';
import { conversationChoice, type ConversationPages, fileNameOf, titleOf, turnsOf } from '../views/conversation';
import { confirm, type Parts } from './sessions';

export function registerConversationCommands(parts: Parts, conversations: Conversations, pages: ConversationPages): vscode.Disposable {
  const about = (name: string, placeHolder: string, run: (conversation: Conversation) => Promise<void>) =>
    registerLineCommand(name, async (argument) => {
      const conversation = isLine(argument) ? argument.conversation : await pick(conversations, placeHolder);
      if (conversation) await run(conversation);
    });
  return vscode.Disposable.from(
    about('openConversation', vscode.l10n.t('Open which conversation?'), (one) => pages.show(one)),
    about('exportConversation', vscode.l10n.t('Export which conversation?'), (one) => exportIt(one, parts)),
    about('clearConversation', vscode.l10n.t('Clear which conversation?'), (one) => clear(one, parts, conversations)),
    registerLineCommand('importConversation', (argument) => importOne(argument, parts, conversations, pages)),
  );
}

async function exportIt(conversation: Conversation, { sidecar }: Parts): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const name = `${fileNameOf(conversation)}.json`;
  const filters = { [vscode.l10n.t('JSON, which can be imported again')]: ['json'], [vscode.l10n.t('Markdown')]: ['md'] };
  const title = vscode.l10n.t('Export “{0}”: as .json or .md', titleOf(conversation));
  const options = { title, filters, saveLabel: vscode.l10n.t('Export') };
  const target = await vscode.window.showSaveDialog(folder ? { ...options, defaultUri: vscode.Uri.joinPath(folder, name) } : options);
  if (!target) return;
  const { markdown, json } = await sidecar.request('keeper/conversation/export', { conversationId: conversation.conversationId });
  const text = target.path.toLowerCase().endsWith('.md') ? markdown : json;
  await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(text));
  showStatus(vscode.l10n.t('Exported to {0}', vscode.workspace.asRelativePath(target)), 5_000);
}

/** It then belongs to the kernel of the line, else to the notebook in front, else to what it belonged to. */
async function importOne(argument: unknown, parts: Parts, conversations: Conversations, pages: ConversationPages): Promise<void> {
  const filters = { [vscode.l10n.t('Conversations')]: ['json'] };
  const [file] = (await vscode.window.showOpenDialog({ filters, openLabel: vscode.l10n.t('Import') })) ?? [];
  if (!file) return;
  const json = new TextDecoder().decode(await vscode.workspace.fs.readFile(file));
  const owner = ownerOf(argument, parts);
  const { conversationId } = await parts.sidecar.request('keeper/conversation/import', { json, ...owner }).catch((error: unknown) => {
    throw new Error(vscode.l10n.t('{0} was not imported: {1}', vscode.workspace.asRelativePath(file), messageOf(error)), { cause: error });
  });
  await conversations.refresh();
  const made = conversations.get(conversationId);
  if (made) await pages.show(made);
}

function ownerOf(argument: unknown, { sessions }: Parts): { sessionId?: string; notebookUri?: string } {
  if (isOfSession(argument)) return { sessionId: argument.of.id };
  if (isSession(argument)) return { sessionId: argument.id };
  const notebook = vscode.window.activeNotebookEditor?.notebook;
  const session = notebook && sessions.of(notebook.uri);
  if (session) return { sessionId: session.id };
  return notebook ? { notebookUri: notebook.uri.toString() } : {};
}

async function clear(conversation: Conversation, { sidecar }: Parts, conversations: Conversations): Promise<void> {
  const question = vscode.l10n.t('Clear “{0}”?', titleOf(conversation));
  const detail = vscode.l10n.t('All of it ({0}) is removed for good, also for agents.', turnsOf(conversation));
  if (!(await confirm(question, vscode.l10n.t('Clear'), detail))) return;
  await sidecar.request('keeper/conversation/clear', { conversationId: conversation.conversationId });
  await conversations.refresh();
}

async function pick(conversations: Conversations, placeHolder: string): Promise<Conversation | undefined> {
  await conversations.refresh();
  const items = conversations.all().map(conversationChoice);
  if (items.length === 0) {
    void showInformation(vscode.l10n.t('Kernel Keeper: there are no conversations yet. Agents begin them.'));
    return undefined;
  }
  return (await pickOne(items, { placeHolder, matchOnDetail: true }))?.conversation;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isLine = (value: unknown): value is { conversation: Conversation } => isObject(value) && 'conversation' in value;
const isOfSession = (value: unknown): value is { of: Session } => isObject(value) && 'of' in value;
const isSession = (value: unknown): value is Session => isObject(value) && 'id' in value && 'notebooks' in value;
