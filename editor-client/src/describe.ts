/**
 * How sessions and times are put into words. Pure: texts come from `translate`, the present from `now`.
 */
import type { AttachedWindow, Execution, Offer, Session, SkippedVariable } from './protocol/types';

/** `vscode.l10n.t`, or a stand-in for it. */
export type Translate = (message: string, ...values: (string | number)[]) => string;

/** "1.1 GB"; one decimal where it says something. */
export function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}

/** "17:00" today, "Jan 26, 17:00" this year, else with the year: in the person's own time zone. With `seconds` "17:00:05". */
export function moment(time: string | Date, now: Date, seconds = false): string {
  const at = new Date(time);
  const clock = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}) });
  if (at.toDateString() === now.toDateString()) return clock;
  const sameYear = at.getFullYear() === now.getFullYear();
  const day = at.toLocaleDateString('en-US', { month: 'short', day: 'numeric', ...(sameYear ? {} : { year: 'numeric' }) });
  return `${day}, ${clock}`;
}

/** "0.3 s", "12 s", "5 min 3 s", "2 h 5 min" */
export function duration(milliseconds: number): string {
  const seconds = Math.max(milliseconds, 0) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "2 kernels · 1.1 GB" */
export function statusText(live: readonly Session[], translate: Translate): string {
  const memory = live.reduce((sum, session) => sum + (session.memoryBytes ?? 0), 0);
  const count = live.length === 1 ? translate('1 kernel') : translate('{0} kernels', live.length);
  return memory > 0 ? `${count} · ${size(memory)}` : count;
}

/** What a question is about, in as few words as the status bar has room for. */
export function questionText({ kind, sessions }: Offer, translate: Translate): string {
  switch (kind) {
    case 'resume':
      return translate('Resume?');
    case 'recover':
      return sessions[0]?.endReason === 'crashed' ? translate('Kernel crashed') : translate('Kernel lost');
    case 'migrate':
      return translate('Moved');
    case 'replace':
      return translate('Replace?');
    case 'pick':
      return translate('Which kernel?');
  }
}

/** What stands in place of a window's id, and of an execution's origin, where it is an agent. */
const AGENT = 'mcp';

/** Whether an agent asked for it, not a person. */
export const isByAgent = ({ origin }: { readonly origin: string }): boolean => origin === AGENT;

/** The windows in which people see it. An agent that has it attached is none. */
export const windowsOf = ({ windows }: Session): AttachedWindow[] => windows.filter(({ windowId }) => windowId !== AGENT);

/**
 * What was run elsewhere than in this window, where another one looks, too. What runs is that only where the other window, as it is now, asked
 * for it: a window that was reloaded may be another one to its kernel, and what it ran is to be followed.
 */
export function elsewhereIn(session: Session, executions: readonly Pick<Execution, 'executionId' | 'origin' | 'status'>[]): Set<string> {
  const windows = windowsOf(session);
  const others = windows.filter(({ thisWindow }) => !thisWindow).map(({ windowId }) => windowId);
  const own = windows.find(({ thisWindow }) => thisWindow)?.windowId;
  const isElsewhere = ({ origin, status }: Pick<Execution, 'origin' | 'status'>) =>
    others.includes(origin) || (others.length > 0 && origin !== own && status !== 'running');
  return new Set(executions.filter(isElsewhere).map(({ executionId }) => executionId));
}

const isUsedByAgent = ({ windows }: Session): boolean => windows.some(({ windowId }) => windowId === AGENT);

/** An agent started it, nobody has it any more, and no person ever had. */
export const isLeft = (session: Session): boolean => session.agent && session.state !== 'ended' && session.windows.length === 0;

/** "left by an agent", "used by an agent"; empty where none has to do with it. */
export function agentText(session: Session, translate: Translate): string {
  if (isLeft(session)) return translate('left by an agent');
  return isUsedByAgent(session) ? translate('used by an agent') : '';
}

/** "5 m", "2 h", "3 d"; empty below a minute, which says nothing. */
export function span(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return '';
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

/** What a kernel is at: "idle 5 m", "running cell 3 · 20 s", "running cell 3 (git) · 20 s", "waiting for input". */
export function activityText(session: Session, now: Date, translate: Translate): string {
  const { state, responding, currentExecution, runs, lastActivityAt } = session;
  const child = runs === null ? '' : ` (${runs})`;
  if (responding && state === 'idle') {
    const idle = span(now.getTime() - Date.parse(lastActivityAt));
    return `${idle === '' ? translate('idle') : translate('idle {0}', idle)}${child}`;
  }
  if (!responding || state !== 'busy' || currentExecution?.input) return stateText(session, translate);
  const [index, since] = [currentExecution?.cellIndex ?? null, currentExecution?.startedAt ?? null];
  const what = index === null ? (runs ?? '') : `${translate('cell {0}', index + 1)}${child}`;
  const parts = [what === '' ? stateText(session, translate) : translate('running {0}', what)];
  if (since !== null) parts.push(whole(now.getTime() - Date.parse(since)));
  return parts.join(' · ');
}

/** For what goes on: tenths of a second would be old as they are read. */
const whole = (milliseconds: number): string =>
  milliseconds < 9_950 ? `${Math.max(Math.floor(milliseconds / 1000), 0)} s` : duration(milliseconds);

/**
 * "idle 5 m · draft.ipynb": a line of the tree up to its name. The state stands first, for a line is cut where the sidebar ends. `name`: the
 * label, and more where others have the same.
 */
export function lineText(session: Session, name: string, now: Date, translate: Translate): string {
  return `${session.state === 'ended' ? endedText(session, now, translate) : activityText(session, now, translate)} · ${name}`;
}

/** What else a line says: "since 17:00 · 812 MB · 3 %". `isReplaced`: its notebook has another kernel. */
export function factsText(session: Session, now: Date, translate: Translate, isReplaced = false): string {
  const parts = [];
  if (isReplaced && session.state !== 'ended') parts.push(translate('its notebook has another kernel'));
  else if (isGone(session)) parts.push(session.notebooks.length > 1 ? translate('a notebook is gone') : translate('notebook is gone'));
  if (session.state !== 'ended') {
    const agent = agentText(session, translate);
    if (agent !== '') parts.push(agent);
    parts.push(translate('since {0}', moment(session.startedAt, now)));
    if (session.memoryBytes !== null) parts.push(size(session.memoryBytes));
    if (session.cpuPercent !== null) parts.push(`${Math.round(session.cpuPercent)} %`);
  }
  if (session.pinned) parts.push(translate('pinned'));
  return parts.join(' · ');
}

/** A line as it is read aloud, where what stands beside it is not seen. */
export function spokenText(session: Session, name: string, now: Date, translate: Translate, isReplaced = false): string {
  const parts = [lineText(session, name, now, translate), factsText(session, now, translate, isReplaced)];
  return parts.filter((part) => part !== '').join(', ');
}

/** Names for sessions: the label, behind as many folders of the notebook as tell it from others of that label. */
export function namesFor(sessions: readonly Session[]): (session: Session) => string {
  const places = new Set(sessions.map((session) => JSON.stringify([session.label, ...foldersOf(session)])));
  const held = new Map<string, number>();
  for (const place of places) {
    const [label = '', ...folders] = JSON.parse(place) as string[];
    for (const name of namesOf(label, folders)) held.set(name, (held.get(name) ?? 0) + 1);
  }
  return (session) => {
    const names = namesOf(session.label, foldersOf(session));
    return names.find((name) => (held.get(name) ?? 0) < 2) ?? names.at(-1) ?? session.label;
  };
}

/** "draft.ipynb", "reports/draft.ipynb", and so on up to the root. */
const namesOf = (label: string, folders: readonly string[]): string[] =>
  [...folders, ''].map((_folder, count) => [...folders.slice(folders.length - count), label].join('/'));

/** An untitled notebook has none. */
const foldersOf = ({ notebookPath }: Session): string[] => (notebookPath ?? '').split(/[/\\]/).slice(0, -1);

/** "3 h old · idle 5 m · 812 MB · (open)": what tells kernels apart where one is chosen. */
export function choiceText(session: Session, now: Date, translate: Translate): string {
  const age = span(now.getTime() - Date.parse(session.startedAt));
  const parts = [age === '' ? translate('just started') : translate('{0} old', age), activityText(session, now, translate)];
  if (session.memoryBytes !== null) parts.push(size(session.memoryBytes));
  const agent = agentText(session, translate);
  if (agent !== '') parts.push(agent);
  if (windowsOf(session).length > 0) parts.push(translate('(open)'));
  return parts.join(' · ');
}

/** What it matters most not to lose by stopping these: "Busy: a.ipynb", "Open in another window: b.ipynb". */
export function stakes(live: readonly Session[], translate: Translate): string {
  const labels = (sessions: readonly Session[]) => sessions.map(({ label }) => label).join(', ');
  const busy = live.filter(isBusy);
  const elsewhere = live.filter((session) => windowsOf(session).some(({ thisWindow }) => !thisWindow));
  const agents = live.filter(isUsedByAgent);
  const adopted = live.filter((session) => session.adopted);
  const lines = [];
  if (busy.length > 0) lines.push(translate('Busy: {0}', labels(busy)));
  if (elsewhere.length > 0) lines.push(translate('Open in another window: {0}', labels(elsewhere)));
  if (agents.length > 0) lines.push(translate('Used by an agent: {0}', labels(agents)));
  if (adopted.length > 0) lines.push(translate('Started by another program: {0}', labels(adopted)));
  return lines.join('\n');
}

const NAMED = 3;
const REASON = 60;

/** "2 variables were left out: a (a module), b (cannot be pickled)." At most three are named, each with the beginning of why. */
export function leftOutText(skipped: readonly SkippedVariable[], translate: Translate): string {
  const named = skipped.slice(0, NAMED).map(({ name, reason }) => {
    const [line = ''] = reason.trim().replace(/\.$/, '').split('\n', 1);
    const why = line.length > REASON ? `${line.slice(0, REASON)}…` : line;
    return why === '' ? name : `${name} (${why})`;
  });
  if (skipped.length > NAMED) named.push(translate('{0} more', skipped.length - NAMED));
  const names = named.join(', ');
  return skipped.length === 1
    ? translate('1 variable was left out: {0}.', names)
    : translate('{0} variables were left out: {1}.', skipped.length, names);
}

/** What became of a kernel that a notebook had: it has no variables any more. Undefined where it is the notebook's still, or had none. */
export function goneText(session: Session, isStillItsOwn: boolean, now: Date, translate: Translate): string | undefined {
  if (Date.parse(session.lastActivityAt) <= Date.parse(session.startedAt)) return undefined;
  if (session.state === 'ended') return translate('the one before {0}', endedText(session, now, translate));
  return isStillItsOwn ? undefined : translate('the one before is its own no more, and goes on as {0}', session.label);
}

/** Whether a cell runs in it, or waits. */
export const isBusy = (session: Session): boolean => session.state === 'busy' || session.queued > 0;

/** Whether anything ran in it since it was started, so that it has variables to lose. */
export const hasState = (session: Session): boolean =>
  session.state !== 'ended' && Date.parse(session.lastActivityAt) > Date.parse(session.startedAt);

/** Whether one of its notebooks is there no more. */
export const isGone = (session: Session): boolean =>
  session.notebooks.some(({ notebookPath, notebookExists }) => notebookPath !== null && !notebookExists);

/** One or two words for a state. */
export function stateText(session: Session, translate: Translate): string {
  if (session.state !== 'ended' && !session.responding) return translate('not responding');
  switch (session.state) {
    case 'starting':
      return translate('starting');
    case 'idle':
      return translate('idle');
    case 'busy':
      return session.currentExecution?.input ? translate('waiting for input') : translate('busy');
    case 'restarting':
      return translate('restarting');
    case 'ended':
      return translate('ended');
  }
}

export function endedText(session: Session, now: Date, translate: Translate): string {
  const at = moment(session.endedAt ?? session.lastActivityAt, now);
  switch (session.endReason) {
    case 'crashed':
      return translate('crashed at {0}', at);
    case 'lost':
      return translate('lost, last seen at {0}', moment(session.lastActivityAt, now));
    default:
      return translate('ended at {0}', at);
  }
}
