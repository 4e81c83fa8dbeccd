/**
 * Waits until executions have ended, whoever follows them.
 * Guarantees: an end that no event told is found in the history; it comes back where their kernel ends.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import type { Execution } from '../protocol/types';
import type { Sessions } from '../sessions';

/** The sidecar answers with no more. */
const MOST = 100_000;

export interface Waiting {
  /** How often the history is looked at where no events come. */
  readonly lookMs: number;
  /** How many have ended. */
  readonly report?: (done: number) => void;
  /** What it gives up at. */
  readonly signal?: AbortSignal;
}

/** The executions as they stand then, oldest first. */
export async function untilEnded(
  sidecar: Sidecar,
  sessions: Sessions,
  sessionId: string,
  ids: readonly string[],
  { lookMs, report, signal }: Waiting,
): Promise<Execution[]> {
  const ours = new Set(ids);
  const open = new Set(ids);
  let wake: () => void = () => undefined;
  const finished = (executionId: string | null) => {
    if (executionId !== null && open.delete(executionId)) report?.(ids.length - open.size);
    if (open.size === 0) wake();
  };
  const givenUp = () => {
    wake();
  };
  signal?.addEventListener('abort', givenUp);
  const listener = vscode.Disposable.from(
    sidecar.onExecution(({ executionId, event }) => {
      if (event.kind === 'finished') finished(executionId);
    }),
    sessions.onDidUpdate(({ session }) => {
      if (session.id === sessionId && session.state === 'ended') wake();
    }),
  );
  try {
    for (let limit = Math.max(ids.length * 2, 50); ;) {
      const news = new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, lookMs);
      });
      // Events come only while a tab shows the notebook: what has ended stands in the history.
      const { executions } = await sidecar.request('keeper/executionHistory', { sessionId, limit });
      const queued = executions.filter(({ executionId }) => ours.has(executionId)).reverse();
      for (const { executionId, completedAt } of queued) if (completedAt !== null) finished(executionId);
      const areAllSeen = queued.length === ids.length;
      if ((open.size === 0 && areAllSeen) || signal?.aborted || sessions.get(sessionId)?.state === 'ended') return queued;
      // More was queued behind them.
      if (!areAllSeen && limit < MOST) limit *= 4;
      else await news;
    }
  } finally {
    listener.dispose();
    signal?.removeEventListener('abort', givenUp);
  }
}
