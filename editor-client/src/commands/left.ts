/**
 * *Stop Kernels Left by Agents…*: those that an agent started and that nobody has any more.
 * Guarantees: what a person picks is stopped, and of that only what is still left then.
 */
import * as vscode from 'vscode';
import { isLeft } from '../describe';
import { messageOf } from '../errors';
import { guard, pickMany, showInformation, showStatus } from '../say';
import type { Sessions } from '../sessions';
import { sessionChoice } from '../views/choices';
import { type Parts, progress } from './sessions';

export function registerLeftCommands(parts: Parts): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.commands.registerCommand('kernelKeeper.stopLeft', () => guard(stopLeft(parts))),
    keepContext(parts.sessions),
  );
}

/** The command is offered where there is something to stop. */
function keepContext(sessions: Sessions): vscode.Disposable {
  let present: boolean | undefined;
  const show = () => {
    const isAny = sessions.live().some(isLeft);
    if (isAny === present) return;
    present = isAny;
    void vscode.commands.executeCommand('setContext', 'kernelKeeper.leftByAgents', isAny);
  };
  show();
  return sessions.onDidChange(show);
}

async function stopLeft({ sidecar, sessions }: Parts): Promise<void> {
  const now = new Date();
  const items = sessions
    .live()
    .filter(isLeft)
    .map((session) => ({ ...sessionChoice(session, now), picked: true }));
  if (items.length === 0) {
    void showInformation(vscode.l10n.t('Kernel Keeper: agents have left no kernels.'));
    return;
  }
  const title = vscode.l10n.t('Stop Kernels Left by Agents');
  const placeHolder = vscode.l10n.t('Stop which kernels? Their variables are lost, their history is kept.');
  const chosen = await pickMany(items, { title, placeHolder, matchOnDetail: true });
  if (!chosen || chosen.length === 0) return;
  const reasons: string[] = [];
  let stopped = 0;
  await progress(vscode.l10n.t('Stopping kernels left by agents…'), async () => {
    await sessions.refresh();
    // Somebody may have taken one up while the list was open.
    const left = chosen.flatMap(({ session }) => sessions.get(session.id) ?? []).filter(isLeft);
    for (const { id, label } of left) {
      try {
        sessions.put((await sidecar.request('keeper/stopSession', { sessionId: id })).session);
        stopped += 1;
      } catch (error) {
        reasons.push(`${label}: ${messageOf(error)}`);
      }
    }
  });
  const kept = chosen.length - stopped - reasons.length;
  if (kept > 0) reasons.push(kept === 1 ? vscode.l10n.t('one is in use again') : vscode.l10n.t('{0} are in use again', kept));
  if (reasons.length > 0) throw new Error(vscode.l10n.t('{0} of {1} were stopped. {2}', stopped, chosen.length, reasons.join('; ')));
  const text = stopped === 1 ? vscode.l10n.t('1 kernel was stopped') : vscode.l10n.t('{0} kernels were stopped', stopped);
  showStatus(text, 5_000);
}
