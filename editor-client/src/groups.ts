/**
 * Under which heading a session stands in lists. Pure.
 * Guarantees: each session has one heading; what needs attention has that one, wherever it is open.
 */
import { isGone, windowsOf } from './describe';
import type { NotebookRef, Session } from './protocol/types';

export type GroupId = 'thisWindow' | 'otherWindows' | 'detached' | 'attention' | 'ended';

export interface Group {
  readonly id: GroupId;
  readonly sessions: readonly Session[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** A kernel that died on Friday evening is news on Monday. */
const UNSEEN_MS = 7 * DAY_MS;
const ENDED_SHOWN = 20;

/**
 * The headings that have sessions, in their order: what needs attention first. Within one they stand by name, so that none changes its
 * place as something runs; those that have ended as they ended. `isSeen`: the person knows how that one ended.
 */
export function groupsOf(sessions: readonly Session[], now: Date, isSeen: (session: Session) => boolean): Group[] {
  const ids: readonly GroupId[] = ['attention', 'thisWindow', 'otherWindows', 'detached', 'ended'];
  const listed = sessions.filter((session) => isListable(session, now)).sort(byName);
  const isReplaced = replacedBy(listed);
  const heading = (session: Session) => groupOf(session, isSeen(session), isReplaced(session));
  const groups = ids.map((id) => ({ id, sessions: listed.filter((session) => heading(session) === id) }));
  return groups
    .map(({ id, sessions: all }) => ({ id, sessions: id === 'ended' ? lastEnded(all, now) : all }))
    .filter((group) => group.sessions.length > 0);
}

/** Whether it is worth a line: all that live, and what ended lately. */
export function isListable(session: Session, now: Date): boolean {
  return session.state !== 'ended' || endedFor(session, now) < (hasDied(session) ? UNSEEN_MS : DAY_MS);
}

/** It ended by itself, and what was in it is lost. */
export const hasDied = (session: Session): boolean =>
  session.state === 'ended' && (session.endReason === 'crashed' || session.endReason === 'lost');

function groupOf(session: Session, isSeen: boolean, isReplaced: boolean): GroupId {
  if (session.state === 'ended') return hasDied(session) && !isSeen && !isReplaced ? 'attention' : 'ended';
  if (!session.responding || session.warnings.length > 0 || session.currentExecution?.input) return 'attention';
  if (isGone(session) && !isReplaced) return 'attention';
  const windows = windowsOf(session);
  if (windows.some(({ thisWindow }) => thisWindow)) return 'thisWindow';
  return windows.length > 0 ? 'otherWindows' : 'detached';
}

/**
 * Whether its notebook has another kernel: one that was started after it ended, or that its history was replayed in. Then nobody needs to
 * look after it.
 */
export function replacedBy(sessions: readonly Session[]): (session: Session) => boolean {
  // One that a replay took its notebook from names it still, and is no other kernel of it.
  const notebooks = sessions.filter(({ state, replaced }) => state !== 'ended' && !replaced).flatMap((session) => session.notebooks);
  const named = new Set(notebooks.map(nameOf));
  const present = new Set(notebooks.filter(({ notebookExists }) => notebookExists).map(nameOf));
  const hasAnother = (notebook: NotebookRef) => (notebook.notebookExists ? present : named).has(nameOf(notebook));
  return (session) =>
    session.state === 'ended'
      ? session.notebooks.some(hasAnother)
      : session.replaced || (isGone(session) && session.notebooks.every((notebook) => present.has(nameOf(notebook))));
}

function byName(one: Session, other: Session): number {
  const compared = one.label.localeCompare(other.label, undefined, { numeric: true }) || one.notebookUri.localeCompare(other.notebookUri);
  return compared || one.startedAt.localeCompare(other.startedAt) || one.id.localeCompare(other.id);
}

const nameOf = ({ notebookPath, notebookUri }: NotebookRef): string => notebookPath ?? notebookUri;

function lastEnded(ended: readonly Session[], now: Date): Session[] {
  return ended
    .filter((session) => endedFor(session, now) < DAY_MS)
    .sort((one, other) => endedFor(one, now) - endedFor(other, now))
    .slice(0, ENDED_SHOWN);
}

const endedFor = ({ endedAt, lastActivityAt }: Session, now: Date): number => now.getTime() - Date.parse(endedAt ?? lastActivityAt);
