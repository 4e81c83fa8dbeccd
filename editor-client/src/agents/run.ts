/**
 * Runs code for an agent, and waits for what it puts out.
 * Guarantees: it is journaled with an agent as its origin, and shows in the notebook's cell where one has that code; cancelling takes
 * back this execution alone; what does not end in time runs on, and that is said.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import type { Attachments } from '../kernels/attachments';
import { untilEnded } from '../kernels/ended';
import { cellRef } from '../kernels/runs';
import type { Execution, ExecuteParams, ExecutionEvent, Session } from '../protocol/types';
import { sameUri, type Sessions } from '../sessions';
import { OutputText } from './output-text';

const LOOK_MS = 500;
/** After an end is in the journal, its last events may still be on their way. */
const LAST_EVENTS_MS = 1_000;

export interface Asked {
  readonly session: Session;
  /** One of the session's. */
  readonly notebookUri: string;
  readonly code: string;
  readonly seconds: number;
}

export class AgentRuns {
  /** How many runs have subscribed to a session that no notebook here follows. */
  private readonly subscribed = new Map<string, number>();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    private readonly attachments: Attachments,
  ) {}

  async run(asked: Asked, token: vscode.CancellationToken): Promise<string> {
    const { seconds } = asked;
    const sessionId = asked.session.id;
    const output = new Collected(sessionId);
    const listening = this.sidecar.onExecution((event) => {
      output.take(event);
    });
    await this.subscribe(sessionId);
    const giveUp = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    try {
      const { executionId } = await this.sidecar.request('keeper/execute', this.paramsOf(asked));
      output.begin(executionId);
      const cancel = () => {
        giveUp.abort();
        this.sidecar.request('keeper/cancelExecution', { sessionId, executionId }).catch((error: unknown) => {
          this.sidecar.log.warn(`An agent's execution was not cancelled: ${messageOf(error)}`);
        });
      };
      const cancelling = token.onCancellationRequested(cancel);
      if (token.isCancellationRequested) cancel();
      output.onInput(() => {
        giveUp.abort();
      });
      timer = setTimeout(() => {
        giveUp.abort();
      }, seconds * 1_000);
      const [execution] = await untilEnded(this.sidecar, this.sessions, sessionId, [executionId], {
        lookMs: LOOK_MS,
        signal: giveUp.signal,
      });
      cancelling.dispose();
      if (execution?.completedAt) await output.wholeWithin(LAST_EVENTS_MS);
      return answer(execution, output, seconds, token.isCancellationRequested);
    } finally {
      clearTimeout(timer);
      listening.dispose();
      this.unsubscribe(sessionId);
    }
  }

  /** Of the notebook's own cell, where exactly one that is open here has this code. */
  private paramsOf({ session, notebookUri, code }: Asked): ExecuteParams {
    // As the session has it: the agent may spell it otherwise, or by its former name.
    const uri = vscode.Uri.parse(notebookUri);
    const named = session.notebooks.find((ref) => sameUri(ref.notebookUri, uri))?.notebookUri ?? session.notebookUri;
    // What waits behind it may be the person's.
    const params = { sessionId: session.id, notebookUri: named, code, agent: true, stopOnError: false };
    const shown = this.attachments.ofSession(session.id).find(({ notebook }) => sameUri(named, notebook.uri))?.notebook;
    const [cell, ...others] = shown?.getCells().filter(({ document }) => document.getText() === code) ?? [];
    return cell && others.length === 0 ? { ...params, cell: cellRef(cell) } : params;
  }

  /** A notebook that follows the session has subscribed already. */
  private async subscribe(sessionId: string): Promise<void> {
    const count = this.subscribed.get(sessionId) ?? 0;
    this.subscribed.set(sessionId, count + 1);
    if (count > 0 || this.attachments.ofSession(sessionId).length > 0) return;
    await this.sidecar.request('keeper/subscribe', { sessionId });
  }

  private unsubscribe(sessionId: string): void {
    const count = (this.subscribed.get(sessionId) ?? 1) - 1;
    if (count > 0) {
      this.subscribed.set(sessionId, count);
      return;
    }
    this.subscribed.delete(sessionId);
    if (this.attachments.ofSession(sessionId).length > 0) return;
    this.sidecar.request('keeper/unsubscribe', { sessionId }).catch(() => {
      // A sidecar that is gone has no subscriptions.
    });
  }
}

/** The events of one execution; those that come before its id is known are kept until then. */
class Collected {
  private readonly text = new OutputText();
  private early: ExecutionEvent[] = [];
  private executionId: string | undefined;
  private lastSeq = 0;
  private whole: () => void = () => undefined;
  private input: () => void = () => undefined;
  /** It asks for what only a person can type. */
  asksForInput = false;
  /** Its end was heard, so that nothing is missing. */
  isWhole = false;

  constructor(private readonly sessionId: string) {}

  take(event: ExecutionEvent): void {
    if (event.sessionId !== this.sessionId) return;
    if (this.executionId === undefined) {
      this.early.push(event);
      return;
    }
    // A notebook that is opened meanwhile has the session's events told again.
    if (event.executionId !== this.executionId || event.seq <= this.lastSeq) return;
    this.lastSeq = event.seq;
    this.text.apply(event.event);
    if (event.event.kind === 'inputRequest') {
      this.asksForInput = true;
      this.input();
    }
    if (event.event.kind !== 'finished') return;
    this.isWhole = true;
    this.whole();
  }

  begin(executionId: string): void {
    this.executionId = executionId;
    for (const event of this.early.splice(0)) this.take(event);
  }

  onInput(listener: () => void): void {
    this.input = listener;
    if (this.asksForInput) listener();
  }

  async wholeWithin(milliseconds: number): Promise<void> {
    if (this.isWhole) return;
    await new Promise<void>((resolve) => {
      this.whole = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  toString(): string {
    return this.text.toString();
  }
}

function answer(execution: Execution | undefined, output: Collected, seconds: number, isCancelled: boolean): string {
  const text = output.toString();
  const said = text === '' ? 'It put out nothing.' : text;
  if (isCancelled) return `Cancelled. So far it put out:\n${said}`;
  if (!execution?.completedAt) {
    if (output.asksForInput) return `It waits for input, which only the user can type, in the notebook, and goes on then.\n${said}`;
    const where = execution?.status === 'pending' ? 'It still waits behind what runs' : 'It is still running';
    return `${where} after ${seconds} s and is left so; the history says when it has ended. So far it put out:\n${said}`;
  }
  const missing = output.isWhole ? '' : '\n[some of its output may be missing here; the notebook has all of it]';
  switch (execution.status) {
    case 'ok':
      return `${said}${missing}`;
    case 'error':
      return `It failed.\n${said}${missing}`;
    default:
      return `It did not run to its end (${execution.status}): the kernel ended, or what was asked before it failed.\n${said}${missing}`;
  }
}
