/**
 * What agents of the editor can do with kernels, as language-model tools.
 * Guarantees: each names its notebook; running, stopping and restarting ask the person first; what a window has open is neither stopped
 * nor restarted unless the setting allows it; none is there in an untrusted workspace.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { messageOf } from '../errors';
import type { Attachments } from '../kernels/attachments';
import { pause } from '../kernels/selection';
import { cut, plain, unordered } from '../plain';
import type { Session, Variable } from '../protocol/types';
import { appendCode, appendPlain } from '../say';
import type { Sessions } from '../sessions';
import { readSettings } from '../settings';
import { AgentRuns } from './run';
import {
  codeOf,
  endWords,
  historyText,
  type Input,
  limitOf,
  noKernel,
  notebookUriOf,
  refusal,
  runWords,
  secondsOf,
  sessionsText,
  variablesText,
} from './words';

/** Characters of an answer; outputs have a limit of their own below it. */
const MOST_SAID = 60_000;
/** What is lost is named where the kernel tells it soon. */
const VARIABLES_MS = 1_000;

interface Tool {
  readonly run: (input: Input, token: vscode.CancellationToken) => Promise<string>;
  /** What is said while it runs. */
  readonly says: string;
  /** What the person is asked; absent: nothing. */
  readonly asks?: (input: Input) => Promise<{ title: string; message: vscode.MarkdownString }>;
}

export class AgentTools implements vscode.Disposable {
  private readonly runs: AgentRuns;
  private readonly trust: vscode.Disposable;
  private registered: vscode.Disposable[] = [];

  constructor(
    private readonly sidecar: Sidecar,
    private readonly sessions: Sessions,
    attachments: Attachments,
  ) {
    this.runs = new AgentRuns(sidecar, sessions, attachments);
    this.trust = vscode.workspace.onDidGrantWorkspaceTrust(() => {
      this.register();
    });
    this.register();
  }

  dispose(): void {
    for (const one of [this.trust, ...this.registered]) one.dispose();
  }

  private register(): void {
    if (!vscode.workspace.isTrusted || this.registered.length > 0 || !canRegister()) return;
    const tools: Record<string, Tool> = {
      kernelKeeper_sessions: { says: vscode.l10n.t('Looking for kernels'), run: (input) => this.list(input) },
      kernelKeeper_history: { says: vscode.l10n.t('Reading the history'), run: (input) => this.history(input) },
      kernelKeeper_variables: { says: vscode.l10n.t('Reading the variables'), run: (input) => this.variables(input) },
      kernelKeeper_run: {
        says: vscode.l10n.t('Running code in the kernel'),
        run: (input, token) => this.run(input, token),
        asks: (input) => this.askToRun(input),
      },
      kernelKeeper_stop: {
        says: vscode.l10n.t('Stopping the kernel'),
        run: (input) => this.stop(input),
        asks: (input) => this.askToEnd(input, false),
      },
      kernelKeeper_restart: {
        says: vscode.l10n.t('Restarting the kernel'),
        run: (input) => this.restart(input),
        asks: (input) => this.askToEnd(input, true),
      },
    };
    this.registered = Object.entries(tools).map(([name, tool]) => vscode.lm.registerTool(name, toolOf(tool)));
  }

  private async list(input: Input): Promise<string> {
    if (input['notebookPath'] !== undefined) return sessionsText([await this.sessionOf(input)], new Date());
    const { sessions } = await this.sidecar.request('keeper/listSessions', {});
    return sessionsText(sessions, new Date());
  }

  private async history(input: Input): Promise<string> {
    const params = { notebookUri: notebookUriOf(input), limit: limitOf(input) };
    return historyText((await this.sidecar.request('keeper/executionHistory', params)).executions);
  }

  private async variables(input: Input): Promise<string> {
    const { id: sessionId } = await this.sessionOf(input);
    return variablesText(await this.sidecar.request('keeper/sessionVariables', { sessionId }), new Date());
  }

  private async run(input: Input, token: vscode.CancellationToken): Promise<string> {
    const asked = { code: codeOf(input), seconds: secondsOf(input), notebookUri: notebookUriOf(input) };
    return this.runs.run({ ...asked, session: await this.sessionOf(input) }, token);
  }

  private async askToRun(input: Input): Promise<{ title: string; message: vscode.MarkdownString }> {
    const code = codeOf(input);
    const session = await this.sessionOf(input);
    const { title, message } = runWords(session, vscode.l10n.t);
    return { title: plain(title), message: appendCode(appendPlain(new vscode.MarkdownString(), message), code, session.kernel.language) };
  }

  private async stop(input: Input): Promise<string> {
    const { id: sessionId, label } = await this.sessionToEnd(input);
    this.sessions.put((await this.sidecar.request('keeper/stopSession', { sessionId })).session);
    return `The kernel of ${label} was stopped. Its history and outputs are kept.`;
  }

  private async restart(input: Input): Promise<string> {
    const { id: sessionId, label } = await this.sessionToEnd(input);
    const { session } = await this.sidecar.request('keeper/restartSession', { sessionId });
    this.sessions.put(session);
    return `The kernel of ${label} was restarted (PID ${session.pid ?? 'unknown'}). It has no variables now.`;
  }

  private async askToEnd(input: Input, isRestart: boolean): Promise<{ title: string; message: vscode.MarkdownString }> {
    const session = await this.sessionToEnd(input);
    const { title, message } = endWords(session, isRestart, await this.variablesSoon(session.id), vscode.l10n.t);
    return { title: plain(title), message: appendPlain(new vscode.MarkdownString(), message) };
  }

  private async sessionOf(input: Input): Promise<Session> {
    const notebookUri = notebookUriOf(input);
    const { session } = await this.sidecar.request('keeper/findActiveSession', { notebookUri });
    if (!session) throw new Error(noKernel(notebookUri));
    return session;
  }

  private async sessionToEnd(input: Input): Promise<Session> {
    const session = await this.sessionOf(input);
    const reason = refusal(session, readSettings().agents.mayStopOpenKernels);
    if (reason !== undefined) throw new Error(reason);
    return session;
  }

  private async variablesSoon(sessionId: string): Promise<readonly Variable[]> {
    const asked = this.sidecar.request('keeper/sessionVariables', { sessionId }).then(
      ({ variables }) => variables,
      () => [],
    );
    return Promise.race([asked, pause(VARIABLES_MS).then(() => [])]);
  }
}

function toolOf({ run, says, asks }: Tool): vscode.LanguageModelTool<Input> {
  return {
    invoke: async ({ input }, token) => {
      const text = await run(input, token).catch((error: unknown) => {
        throw new Error(cut(unordered(messageOf(error)), MOST_SAID), { cause: error });
      });
      return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(cut(unordered(text), MOST_SAID))]);
    },
    prepareInvocation: async ({ input }) => ({
      invocationMessage: says,
      ...(asks ? { confirmationMessages: await asks(input) } : {}),
    }),
  };
}

/** Not every editor that is made of VS Code has it. */
function canRegister(): boolean {
  const { lm } = vscode as { lm?: Partial<typeof vscode.lm> };
  return typeof lm?.registerTool === 'function';
}
