/** The settings under `kernelKeeper`, as `package.json` declares them. */
import * as vscode from 'vscode';

export const SECTION = 'kernelKeeper';

export interface Settings {
  readonly onOpen: 'ask' | 'resume' | 'fresh';
  readonly onRename: 'ask' | 'migrate' | 'ignore';
  readonly journal: { readonly maxBytesPerSession: number; readonly keepEndedDays: number };
  /** Minutes; 0: never. */
  readonly stopIdleAfter: number;
  readonly maxSessions: number;
  readonly windows: { readonly forgetAfterHours: number };
  readonly conversations: { readonly expireAfterHours: number; readonly maxTurns: number; readonly maxConversations: number };
  readonly snapshotOnStop: boolean;
  readonly agents: { readonly mayStopOpenKernels: boolean };
  readonly server: { readonly path: string };
}

export function readSettings(): Settings {
  const section = vscode.workspace.getConfiguration(SECTION);
  return {
    onOpen: section.get<Settings['onOpen']>('onOpen', 'ask'),
    onRename: section.get<Settings['onRename']>('onRename', 'ask'),
    journal: {
      maxBytesPerSession: section.get<number>('journal.maxBytesPerSession', 1024 ** 3),
      keepEndedDays: section.get<number>('journal.keepEndedDays', 30),
    },
    stopIdleAfter: section.get<number>('stopIdleAfter', 0),
    maxSessions: section.get<number>('maxSessions', 1_000),
    windows: { forgetAfterHours: section.get<number>('windows.forgetAfterHours', 24) },
    conversations: {
      expireAfterHours: section.get<number>('conversations.expireAfterHours', 24),
      maxTurns: section.get<number>('conversations.maxTurns', 100),
      maxConversations: section.get<number>('conversations.maxConversations', 1_000),
    },
    snapshotOnStop: section.get<boolean>('snapshotOnStop', false),
    agents: { mayStopOpenKernels: section.get<boolean>('agents.mayStopOpenKernels', false) },
    server: { path: section.get<string>('server.path', '').trim() },
  };
}

/** For the person, in all windows. */
export async function remember<K extends 'onOpen' | 'onRename'>(key: K, value: Settings[K]): Promise<void> {
  await vscode.workspace.getConfiguration(SECTION).update(key, value, vscode.ConfigurationTarget.Global);
}
