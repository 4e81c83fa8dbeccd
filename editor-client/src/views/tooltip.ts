/**
 * All that is known of a session, for the hover over its line. What ran last in it is asked for only then.
 * Guarantees: it comes soon: a history that cannot be read, or not in time, is left out.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { agentText, endedText, moment, size, stateText, windowsOf } from '../describe';
import { messageOf } from '../errors';
import { executionLine } from '../executions';
import type { Controllers } from '../kernels/controllers';
import { pause } from '../kernels/selection';
import type { Execution, Session } from '../protocol/types';
import { appendPlain } from '../say';

const RUNS_SHOWN = 5;
const HISTORY_MS = 1_000;

export class Tooltips {
  constructor(
    private readonly sidecar: Sidecar,
    private readonly controllers: Controllers,
  ) {}

  async of(session: Session): Promise<vscode.MarkdownString> {
    const now = new Date();
    const text = this.factsOf(session, now);
    const ran = await Promise.race([this.ranLast(session.id), pause(HISTORY_MS).then(() => [])]);
    if (ran.length === 0) return text;
    text.appendMarkdown(`\n\n${vscode.l10n.t('Ran last, newest first:')}\n`);
    for (const execution of ran) {
      text.appendMarkdown('\n- ');
      appendPlain(text, executionLine(execution, now, vscode.l10n.t));
    }
    return text;
  }

  /** All of it but what ran last. */
  factsOf(session: Session, now: Date): vscode.MarkdownString {
    const text = new vscode.MarkdownString(undefined, true);
    const line = (name: string, value: string) => {
      text.appendMarkdown(`\n- ${name}: `);
      appendPlain(text, value);
    };
    text.appendMarkdown('**');
    appendPlain(text, session.label);
    const isOver = session.state === 'ended';
    const how = isOver ? endedText(session, now, vscode.l10n.t) : stateText(session, vscode.l10n.t);
    text.appendMarkdown('** — ');
    appendPlain(text, how);
    text.appendMarkdown(`${session.pinned ? ' $(pinned)' : ''}\n`);
    for (const warning of session.warnings) {
      text.appendMarkdown('\n$(warning) ');
      appendPlain(text, warning);
      text.appendMarkdown('\n');
    }
    for (const notebook of session.notebooks) line(vscode.l10n.t('Notebook'), notebook.notebookPath ?? vscode.l10n.t('not saved yet'));
    line(vscode.l10n.t('Kernel'), `${session.kernel.displayName} (${session.kernel.name})`);
    const interpreter = this.controllers.interpreterOf(session.kernel.name);
    if (interpreter !== undefined) line(vscode.l10n.t('Interpreter'), interpreter);
    if (session.pid !== null) line('PID', String(session.pid));
    line(isOver ? vscode.l10n.t('Started') : vscode.l10n.t('Running since'), moment(session.startedAt, now));
    line(vscode.l10n.t('Last activity'), moment(session.lastActivityAt, now));
    line(vscode.l10n.t('Time spent executing'), vscode.l10n.t('{0} s', Math.round(session.busySeconds)));
    if (session.memoryBytes !== null) line(vscode.l10n.t('Memory'), size(session.memoryBytes));
    if (session.gpuMemoryBytes !== null) line(vscode.l10n.t('Graphics memory'), size(session.gpuMemoryBytes));
    if (session.cpuPercent !== null) line(vscode.l10n.t('Processor'), `${Math.round(session.cpuPercent)} %`);
    if (session.queued > 0) line(vscode.l10n.t('Cells waiting'), String(session.queued));
    if (session.runs !== null) line(vscode.l10n.t('Runs'), session.runs);
    if (!isOver) line(vscode.l10n.t('Windows'), windowsText(session));
    const agent = agentText(session, vscode.l10n.t);
    if (agent !== '') line(vscode.l10n.t('Agents'), agent);
    if (session.adopted) line(vscode.l10n.t('Adopted'), vscode.l10n.t('another program started it, and may use or end it, too'));
    if (session.stopsAt !== null) line(vscode.l10n.t('Stops when idle until'), moment(session.stopsAt, now));
    line(vscode.l10n.t('Session'), session.id);
    return text;
  }

  private async ranLast(sessionId: string): Promise<readonly Execution[]> {
    if (this.sidecar.state !== 'running') return [];
    try {
      return (await this.sidecar.request('keeper/executionHistory', { sessionId, limit: RUNS_SHOWN })).executions;
    } catch (error) {
      this.sidecar.log.warn(`What ran last in ${sessionId} could not be read: ${messageOf(error)}`);
      return [];
    }
  }
}

function windowsText(session: Session): string {
  const windows = windowsOf(session);
  if (windows.length === 0) return vscode.l10n.t('none');
  const nameOf = (folder: string | null) => folder ?? vscode.l10n.t('one without a folder');
  return windows.map(({ folder, thisWindow }) => (thisWindow ? vscode.l10n.t('this one') : nameOf(folder))).join(', ');
}
