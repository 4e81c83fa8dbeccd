/**
 * *Active Kernels*: headings, a line a session below them, and under that the notebooks where several share it, and the conversations.
 * Guarantees: pushed by the sidecar; asks every 5 s only while visible and nothing came; a single click does nothing. What needs
 * attention stands under a heading of its own, in its line and in the view's badge. Only what changed is drawn anew: what VS Code draws
 * it does not know until then, and the menu that is open on it would be nobody's.
 */
import * as vscode from 'vscode';
import type { Acknowledged } from '../acknowledged';
import { namesFor } from '../describe';
import { type Group, groupsOf, replacedBy } from '../groups';
import { pause } from '../kernels/selection';
import type { Conversations } from '../conversations';
import type { Session } from '../protocol/types';
import type { Sessions } from '../sessions';
import { conversationItem, type ConversationLine, conversationsItem, type ConversationsLine } from './conversation';
import { groupItem } from './groups';
import { lineIdOf, notebookItem, sessionItem, type SharedNotebook } from './session-item';
import type { Tooltips } from './tooltip';
import type { Visibility } from '../visibility';

const POLL_MS = 5_000;
/** "running cell 5 · 20 s" and "idle 5 m" grow older without anything having happened. */
const TICK_MS = 5_000;
/** What is told of many kernels at once is one change: each costs a look at all lines. */
const TOGETHER_MS = 100;
const DRAWN_MS = 50;
const DRAWN_LOOKS = 20;
const VIEW = 'kernelKeeper.sessions';

type Line = Group | Session | SharedNotebook | ConversationLine | ConversationsLine;

export class SessionTree implements vscode.TreeDataProvider<Line>, vscode.Disposable {
  private readonly changeEmitter = new vscode.EventEmitter<Session[] | undefined>();
  private readonly view: vscode.TreeView<Line>;
  private readonly subscriptions: vscode.Disposable[];
  private timers: NodeJS.Timeout[] = [];
  private drawing: NodeJS.Timeout | undefined;
  private isReplaced: (session: Session) => boolean = () => false;
  private nameOf: (session: Session) => string = ({ label }) => label;
  /** What VS Code has, and how the line of each session, by its id, looked. */
  private drawn: readonly Group[] = [];
  private looks = new Map<string, string>();

  readonly onDidChangeTreeData = this.changeEmitter.event;

  constructor(
    private readonly sessions: Sessions,
    private readonly conversations: Conversations,
    private readonly acknowledged: Acknowledged,
    private readonly tooltips: Tooltips,
    private readonly visibility: Visibility,
  ) {
    this.view = vscode.window.createTreeView<Line>(VIEW, { treeDataProvider: this });
    const changed = () => {
      this.drawing ??= setTimeout(() => {
        this.drawing = undefined;
        this.draw();
        this.showSum();
      }, TOGETHER_MS);
    };
    this.subscriptions = [
      this.view,
      this.changeEmitter,
      sessions.onDidChange(changed),
      conversations.onDidChange(changed),
      acknowledged.onDidChange(changed),
      this.view.onDidChangeVisibility(({ visible }) => {
        this.watch(visible);
      }),
    ];
    this.watch(this.view.visible);
  }

  /** A heading keeps the sessions it was made with: one that moves on meanwhile is not drawn under two. */
  getChildren(parent?: Line): Line[] {
    if (!parent) {
      this.drawn = this.groups();
      this.looks = new Map(sessionsOf(this.drawn).map((session) => [session.id, this.lookOf(session)]));
      return [...this.drawn];
    }
    if (isShared(parent) || isConversation(parent)) return [];
    if (isConversations(parent)) return parent.conversations.map((conversation) => ({ conversation }));
    if (isGroup(parent)) return [...parent.sessions];
    const session = this.asItIs(parent);
    const notebooks = session.notebooks.length < 2 ? [] : session.notebooks.map((notebook) => ({ ...notebook, session }));
    const conversations = this.conversations.of(session);
    if (notebooks.length === 0) return conversations.map((conversation) => ({ conversation }));
    return conversations.length === 0 ? notebooks : [...notebooks, { conversations, of: session }];
  }

  getTreeItem(line: Line): vscode.TreeItem {
    if (isShared(line)) return notebookItem(line);
    if (isConversation(line)) return conversationItem(line);
    if (isConversations(line)) return conversationsItem(line);
    if (isGroup(line)) return groupItem(line);
    const session = this.asItIs(line);
    const isSeen = this.acknowledged.has(session);
    const hasConversations = this.conversations.of(session).length > 0;
    return sessionItem(session, { name: this.nameOf(session), isSeen, isReplaced: this.isReplaced(session), hasConversations });
  }

  async resolveTreeItem(item: vscode.TreeItem, line: Line): Promise<vscode.TreeItem> {
    if (isSession(line)) item.tooltip = await this.tooltips.of(this.asItIs(line));
    return item;
  }

  /**
   * The session or notebook that the keyboard is on. VS Code tells what is selected, not that, and selecting it opens or closes a line
   * that has others below. `opensHeadings`: of a heading that is what was wanted.
   */
  async lineAtKeyboard(opensHeadings: boolean): Promise<Session | SharedNotebook | undefined> {
    const toggled: Line[] = [];
    const note = ({ element }: vscode.TreeViewExpansionEvent<Line>) => {
      toggled.push(element);
    };
    const listening = vscode.Disposable.from(this.view.onDidCollapseElement(note), this.view.onDidExpandElement(note));
    await vscode.commands.executeCommand('list.select');
    listening.dispose();
    const line = await this.selected();
    const isOfSession = line !== undefined && (isSession(line) || isShared(line));
    if (toggled.length > 0 && (isOfSession || !opensHeadings)) await vscode.commands.executeCommand('list.toggleExpand');
    return isOfSession ? line : undefined;
  }

  dispose(): void {
    this.watch(false);
    clearTimeout(this.drawing);
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  /** While the tree is drawn anew VS Code knows no line. */
  private async selected(): Promise<Line | undefined> {
    for (let look = 0; look < DRAWN_LOOKS && this.view.selection.length === 0; look++) await pause(DRAWN_MS);
    return this.view.selection[0];
  }

  private draw(): void {
    const groups = this.groups();
    if (orderOf(groups) !== orderOf(this.drawn)) {
      this.changeEmitter.fire(undefined);
      return;
    }
    const looksNew = (session: Session) => {
      const look = this.lookOf(session);
      if (look === this.looks.get(session.id)) return false;
      this.looks.set(session.id, look);
      return true;
    };
    this.changeEmitter.fire(sessionsOf(this.drawn).filter(looksNew));
  }

  /** All that is seen of a line: itself, what is below it, what the mouse brings up. */
  private lookOf(line: Line): string {
    const children = this.getChildren(line).map((child) => this.lookOf(child));
    return JSON.stringify([this.getTreeItem(line), isSession(line) ? this.hoverOf(this.asItIs(line)) : '', children]);
  }

  /** What ran last stands there, too: a short cell may have begun and ended since. */
  private hoverOf(session: Session): string {
    return `${this.tooltips.factsOf(session, new Date()).value} ${session.lastActivityAt}`;
  }

  /** VS Code has the line of a session as it was when it asked. */
  private asItIs(session: Session): Session {
    return this.sessions.get(session.id) ?? session;
  }

  private groups(): Group[] {
    const all = this.sessions.all();
    this.isReplaced = replacedBy(all);
    const groups = groupsOf(all, new Date(), (session) => this.acknowledged.has(session));
    this.nameOf = namesFor(sessionsOf(groups));
    return groups;
  }

  private showSum(): void {
    const groups = this.groups();
    const count = groups.find(({ id }) => id === 'attention')?.sessions.length ?? 0;
    const words = count === 1 ? vscode.l10n.t('1 kernel needs attention') : vscode.l10n.t('{0} kernels need attention', count);
    this.view.badge = count > 0 ? { value: count, tooltip: words } : undefined;
    // The welcome stands there only where no line does.
    const isOver = groups.length > 0 && this.sessions.live().length === 0;
    this.view.message = isOver ? vscode.l10n.t('No kernels are running.') : '';
  }

  private watch(isVisible: boolean): void {
    this.visibility.set(VIEW, isVisible);
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    if (!isVisible) return;
    void this.sessions.refresh();
    void this.conversations.refresh();
    const look = () => {
      void this.conversations.refresh();
      if (Date.now() - this.sessions.heardAt >= POLL_MS) void this.sessions.refresh();
    };
    const grow = () => {
      this.draw();
    };
    this.timers = [setInterval(look, POLL_MS), setInterval(grow, TICK_MS)];
  }
}

const sessionsOf = (groups: readonly Group[]): Session[] => groups.flatMap(({ sessions }) => sessions);
/** Which lines stand where. */
const orderOf = (groups: readonly Group[]): string => JSON.stringify(groups.map(({ id, sessions }) => [id, sessions.map(lineIdOf)]));

const isShared = (line: Line): line is SharedNotebook => 'session' in line;
const isGroup = (line: Line): line is Group => 'sessions' in line;
const isConversation = (line: Line): line is ConversationLine => 'conversation' in line;
const isConversations = (line: Line): line is ConversationsLine => 'conversations' in line;
const isSession = (line: Line): line is Session => 'notebooks' in line;
