/**
 * What the panel *Kernel Health* shows, in words: made here, drawn by `webviews/health.ts`. Pure: texts come from `translate`, the present
 * from `now`.
 */
import { moment, size, stateText, type Translate } from '../describe';
import type { Health, RecentEvent, Session } from '../protocol/types';
import { KEPT_MS, type Sample } from './samples';

export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly hint: string;
}

/** A bar as long as its share, 0 to 1. */
export interface Bar extends Figure {
  readonly share: number;
  readonly tone: 'healthy' | 'aging' | 'stale' | 'plain';
}

/** The memory of one kernel over the last hour, or as far back as it is known of any. */
export interface MemoryChart {
  readonly id: string;
  readonly label: string;
  readonly state: string;
  readonly now: string;
  readonly samples: readonly Sample[];
  /** What the ends of the axes mean: times in milliseconds, and bytes. */
  readonly from: number;
  readonly to: number;
  /** "15 min ago": where the time begins. */
  readonly since: string;
  readonly top: number;
  /** The whole of it for who does not see it. */
  readonly text: string;
}

export interface RecentRow {
  readonly time: string;
  readonly what: string;
  readonly which: string;
  readonly detail: string;
}

export interface HealthPage {
  readonly counts: readonly Figure[];
  /** The counts in one sentence, read out when they change. */
  readonly summary: string;
  /** What kernels are at. */
  readonly states: readonly Bar[];
  /** When windows were last heard of. */
  readonly ages: readonly Bar[];
  readonly memory: readonly MemoryChart[];
  readonly connections: readonly Figure[];
  readonly recent: readonly RecentRow[];
  readonly disk: readonly Bar[];
  readonly ended: number;
}

/** To the panel. `notice`: why there is no page, or an old one. */
export interface ShowHealth {
  readonly words: HealthWords;
  readonly notice: string;
  readonly page: HealthPage | null;
}

export type HealthWords = ReturnType<typeof healthWords>;

/** Words that do not change while the panel is open. */
export function healthWords(translate: Translate) {
  return {
    title: translate('Kernel Health'),
    counts: translate('Kernels'),
    states: translate('What Kernels Are At'),
    ages: translate('Windows, Last Heard Of'),
    memory: translate('Memory'),
    noMemory: translate('No kernel is running.'),
    now: translate('now'),
    connections: translate('Connections of the Last 24 Hours'),
    disk: translate('On Disk'),
    prune: translate('Prune Ended Kernels…'),
    nothingToPrune: translate('There is nothing to prune: no ended kernel is kept.'),
    recent: translate('Recent Activity'),
    noRecent: translate('Nothing has happened yet. What starts, moves and ends is listed here, and which windows come and go.'),
    columns: [translate('Time'), translate('What'), translate('Which'), translate('Detail')],
  };
}

export function healthPage(
  health: Health,
  live: readonly Session[],
  samplesOf: (id: string) => readonly Sample[],
  now: Date,
  translate: Translate,
): HealthPage {
  const { sessions, windows, ages, last24h, store } = health;
  const counts = [
    figure(translate('Active'), sessions.active, translate('running, and shown in a window')),
    figure(translate('Disconnected'), sessions.disconnected, translate('running, and shown nowhere')),
    figure(translate('Ended'), sessions.ended, translate('kept with outputs and history')),
    figure(translate('Windows'), windows.active, translate('open now')),
  ];
  const summary = translate('{0} active, {1} disconnected, {2} ended', sessions.active, sessions.disconnected, sessions.ended);
  const most = Math.max(ages.healthy + ages.aging + ages.stale, 1);
  const age = (tone: 'healthy' | 'aging' | 'stale', name: string, hint: string): Bar => {
    return { name, hint, tone, value: String(ages[tone]), share: ages[tone] / most };
  };
  const known = live.flatMap(({ id }) => samplesOf(id)[0]?.[0] ?? []);
  const minutes = minutesFor(now.getTime() - Math.min(now.getTime(), ...known));
  const bytes = store.journalBytes + store.assetBytes + store.registryBytes;
  const part = (name: string, value: number, hint: string): Bar => {
    return { name, hint, tone: 'plain', value: size(value), share: bytes > 0 ? value / bytes : 0 };
  };
  return {
    counts,
    summary,
    states: statesOf(live, translate),
    ages: [
      age('healthy', translate('Healthy'), translate('within 2 minutes')),
      age('aging', translate('Aging'), translate('within 10 minutes')),
      age('stale', translate('Stale'), translate('longer ago')),
    ],
    memory: [...live]
      .sort((one, other) => one.label.localeCompare(other.label) || one.id.localeCompare(other.id))
      .map((session) => memoryChart(session, samplesOf(session.id), now, minutes, translate)),
    connections: [
      figure(translate('Connects'), last24h.connects, ''),
      figure(translate('Disconnects'), last24h.disconnects, ''),
      figure(translate('Reconnects'), last24h.reconnects, ''),
      figure(translate('Expired tokens'), last24h.expiredTokens, ''),
      figure(translate('Refused tokens'), last24h.rejectedTokens, ''),
    ],
    recent: health.recent.map((event) => recentRow(event, now, translate)),
    disk: [
      part(translate('Journals'), store.journalBytes, translate('what ran and what it put out')),
      part(translate('Large outputs'), store.assetBytes, translate('whole, beside the journals')),
      part(translate('Registry'), store.registryBytes, translate('the index over all kernels')),
    ],
    ended: sessions.ended,
  };
}

/** In the words of the tree, which no number of idle days changes: keeping what idles is what all this is for. */
function statesOf(live: readonly Session[], translate: Translate): Bar[] {
  const words = live.map((session) => stateText(session, translate));
  const counts = new Map<string, number>();
  for (const word of words.sort()) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([name, count]) => ({ name, value: String(count), hint: '', share: count / live.length, tone: 'plain' }));
}

const figure = (name: string, value: number, hint: string): Figure => ({ name, value: String(value), hint });

/** How much time the charts show, so that a short one does not hide at the edge of a long one. */
export function minutesFor(milliseconds: number): number {
  return [5, 15, 30].find((minutes) => milliseconds <= minutes * 60_000) ?? KEPT_MS / 60_000;
}

function memoryChart(session: Session, samples: readonly Sample[], now: Date, minutes: number, translate: Translate): MemoryChart {
  const { id, label, memoryBytes } = session;
  const bytes = samples.map(([, value]) => value);
  const present = memoryBytes === null ? translate('not known') : size(memoryBytes);
  const [first] = samples;
  const text = first
    ? translate(
        '{0}: {1} now; since {2} between {3} and {4}',
        label,
        present,
        moment(new Date(first[0]), now),
        size(Math.min(...bytes)),
        size(Math.max(...bytes)),
      )
    : translate('{0}: {1} now', label, present);
  const to = now.getTime();
  const state = stateText(session, translate);
  const [from, top] = [to - minutes * 60_000, scaleFor(Math.max(0, ...bytes))];
  return { id, label, state, now: present, samples, from, to, since: translate('{0} min ago', minutes), top, text };
}

/** The next round figure: 1, 2 or 5 of something. */
export function scaleFor(bytes: number): number {
  let unit = 1024 ** 2;
  while (bytes > 1000 * unit) unit *= 1024;
  for (let step = unit; ; step *= 10) {
    for (const one of [1, 2, 5]) if (bytes <= one * step) return one * step;
  }
}

function recentRow({ at, kind, label, sessionId, windowId, detail }: RecentEvent, now: Date, translate: Translate): RecentRow {
  return {
    time: moment(at, now, true),
    what: wordsFor(kind, translate),
    which: label ?? sessionId ?? windowId ?? '',
    detail: detail ?? '',
  };
}

function wordsFor(kind: string, translate: Translate): string {
  switch (kind) {
    case 'windowConnected':
      return translate('window connected');
    case 'windowReconnected':
      return translate('window reconnected');
    case 'windowDisconnected':
      return translate('window disconnected');
    case 'tokenExpired':
      return translate('token expired');
    case 'tokenRejected':
      return translate('token refused');
    case 'sessionStarted':
      return translate('kernel started');
    case 'sessionAdopted':
      return translate('kernel adopted');
    case 'sessionMigrated':
      return translate('kernel moved');
    case 'sessionEnded':
      return translate('kernel ended');
    default:
      return kind;
  }
}
