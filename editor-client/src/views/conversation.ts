/** A conversation as a line of the tree and of lists, and as a Markdown document that can be read and not edited. */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import type { Conversations } from '../conversations';
import { moment } from '../describe';
import { isKind, messageOf } from '../errors';
import { plain } from '../plain';
import type { Conversation, Session } from '../protocol/types';

const SCHEME = 'kernel-keeper-conversation';
const NAME_LENGTH = 40;

/** A conversation below its session. */
export interface ConversationLine {
  readonly conversation: Conversation;
}

/** The conversations of a session that has other lines below it. */
export interface ConversationsLine {
  readonly conversations: readonly Conversation[];
  readonly of: Session;
}

export function conversationItem({ conversation }: ConversationLine): vscode.TreeItem {
  const item = new vscode.TreeItem(plain(titleOf(conversation)));
  item.id = `conversation ${conversation.conversationId}`;
  item.iconPath = new vscode.ThemeIcon('comment-discussion');
  item.description = factsOf(conversation);
  item.tooltip = `${titleOf(conversation)}\n${factsOf(conversation)}`;
  item.contextValue = 'conversation';
  item.command = { command: 'kernelKeeper.openConversation', title: vscode.l10n.t('Open Conversation'), arguments: [{ conversation }] };
  item.accessibilityInformation = { label: vscode.l10n.t('Conversation {0}, {1}', titleOf(conversation), factsOf(conversation)) };
  return item;
}

export function conversationsItem({ conversations, of }: ConversationsLine): vscode.TreeItem {
  const item = new vscode.TreeItem(vscode.l10n.t('Conversations'), vscode.TreeItemCollapsibleState.Collapsed);
  item.id = `${of.id} conversations`;
  item.iconPath = new vscode.ThemeIcon('comment-discussion');
  item.description = String(conversations.length);
  item.contextValue = 'conversations';
  item.accessibilityInformation = { label: vscode.l10n.t('Conversations about {0}, {1}', of.label, conversations.length) };
  return item;
}

export function conversationChoice(conversation: Conversation): vscode.QuickPickItem & { readonly conversation: Conversation } {
  const { notebookPath } = conversation;
  const where = notebookPath === null ? {} : { detail: vscode.workspace.asRelativePath(notebookPath) };
  const iconPath = new vscode.ThemeIcon('comment-discussion');
  return { label: titleOf(conversation), description: factsOf(conversation), iconPath, ...where, conversation };
}

export const titleOf = ({ title, conversationId }: Conversation): string => (title.trim() === '' ? conversationId : title);

export const turnsOf = ({ turnCount }: Conversation): string =>
  turnCount === 1 ? vscode.l10n.t('1 turn') : vscode.l10n.t('{0} turns', turnCount);

/** "12 turns · 17:05" */
const factsOf = (conversation: Conversation): string => `${turnsOf(conversation)} · ${moment(conversation.lastActivityAt, new Date())}`;

/** What a file of it is called. */
export function fileNameOf(conversation: Conversation): string {
  const plain = titleOf(conversation).replace(/[^\p{L}\p{N} ._-]+/gu, ' ');
  return plain.replace(/\s+/g, ' ').trim().slice(0, NAME_LENGTH).trim() || 'conversation';
}

export class ConversationPages implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<vscode.Uri>();
  private readonly subscriptions: vscode.Disposable[];
  /** What was opened, and how many turns it had. */
  private readonly opened = new Map<string, { readonly uri: vscode.Uri; turnCount: number }>();

  readonly onDidChange = this.changeEmitter.event;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly conversations: Conversations,
  ) {
    this.subscriptions = [
      this.changeEmitter,
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      conversations.onDidChange(() => {
        this.grown();
      }),
    ];
  }

  async show(conversation: Conversation): Promise<void> {
    const { conversationId, turnCount } = conversation;
    const uri = this.opened.get(conversationId)?.uri ?? uriOf(conversation);
    // VS Code keeps the text of a document for a while after its last tab was closed.
    this.changeEmitter.fire(uri);
    this.opened.set(conversationId, { uri, turnCount });
    const document = await vscode.workspace.openTextDocument(uri);
    try {
      await vscode.commands.executeCommand('markdown.showPreview', uri);
    } catch {
      // VS Code's own Markdown extension is disabled.
      await vscode.window.showTextDocument(document, { preview: true });
    }
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const conversationId = uri.query;
    try {
      return (await this.sidecar.request('keeper/conversation/export', { conversationId })).markdown;
    } catch (error) {
      if (isKind(error, 'NotFound')) return vscode.l10n.t('This conversation was cleared, or it has expired.');
      return vscode.l10n.t('This conversation cannot be shown: {0}', messageOf(error));
    }
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private grown(): void {
    for (const [conversationId, page] of this.opened) {
      const turnCount = this.conversations.get(conversationId)?.turnCount ?? 0;
      if (turnCount === page.turnCount) continue;
      page.turnCount = turnCount;
      this.changeEmitter.fire(page.uri);
    }
  }
}

function uriOf(conversation: Conversation): vscode.Uri {
  return vscode.Uri.from({ scheme: SCHEME, path: `/${fileNameOf(conversation)}.md`, query: conversation.conversationId });
}
