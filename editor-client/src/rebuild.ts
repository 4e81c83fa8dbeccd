/**
 * Shows how far a rebuild from history has come, and lets it be cancelled.
 * Guarantees: cancelling takes back what waits before what runs, from the end, so that nothing more begins; where it stopped is said.
 * Leaves out: running anything. The executions are in the new kernel's queue already, and go on without this window.
 */
import * as vscode from 'vscode';
import type { Sidecar } from './client';
import { messageOf } from './errors';
import { untilEnded } from './kernels/ended';
import type { Execution, Session } from './protocol/types';
import { showStatus, showWarning, withProgress } from './say';
import type { Sessions } from './sessions';

const LOOK_MS = 2_000;

export async function showRebuilding(sidecar: Sidecar, sessions: Sessions, session: Session, ids: readonly string[]): Promise<void> {
  const title = vscode.l10n.t('Rebuilding {0} from history', session.label);
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  const executions = await withProgress(options, async (progress, token) => {
    token.onCancellationRequested(() => void cancel(sidecar, session.id, ids));
    const report = (done: number) => {
      progress.report({ message: vscode.l10n.t('{0} of {1} cells', done, ids.length), increment: 100 / ids.length });
    };
    return untilEnded(sidecar, sessions, session.id, ids, { lookMs: LOOK_MS, report });
  });
  say(session, executions, sessions.get(session.id)?.state === 'ended');
}

async function cancel(sidecar: Sidecar, sessionId: string, ids: readonly string[]): Promise<void> {
  const asked = [...ids].reverse().map((executionId) => sidecar.request('keeper/cancelExecution', { sessionId, executionId }));
  for (const result of await Promise.allSettled(asked)) {
    if (result.status === 'rejected') sidecar.log.warn(`Not cancelled: ${messageOf(result.reason)}`);
  }
}

function say(session: Session, executions: readonly Execution[], hasEnded: boolean): void {
  const { l10n } = vscode;
  const done = executions.filter(({ status }) => status === 'ok').length;
  const failed = executions.find(({ status }) => status === 'error');
  const cells = done === 1 ? l10n.t('1 cell') : l10n.t('{0} cells', done);
  if (done === executions.length && !hasEnded) {
    showStatus(l10n.t('{0} was rebuilt: {1} ran again', session.label, cells), 8_000);
    return;
  }
  const reason = hasEnded ? l10n.t('its kernel ended') : l10n.t('cancelled');
  const why = failed?.error ? `${failed.error.ename}: ${failed.error.evalue}` : reason;
  const text = l10n.t(
    '{0} was rebuilt in part: {1} of {2} cells ran again, then it stopped ({3}).',
    session.label,
    done,
    executions.length,
    why,
  );
  void showWarning(text);
}
