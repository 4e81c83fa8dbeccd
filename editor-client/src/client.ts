/**
 * The sidecar, as the extension sees it: one `kernel-keeper lsp` process, started again whenever it ends.
 * Guarantees: never gives up on starting it; `onReady` fires after each start, so that what was shown can be taken up again; a request
 * waits for a sidecar that is being started, and fails with `SidecarGone` where it went away before it answered.
 * Leaves out: what the answers are for. Kernels are not touched by anything here: they belong to keepers, not to the sidecar.
 */
import * as vscode from 'vscode';
import { CloseAction, ErrorAction, LanguageClient, type LanguageClientOptions, RevealOutputChannelOn } from 'vscode-languageclient/node';
import { BackOff } from './backoff';
import { type Binary, findBinary } from './binary';
import { messageOf, SidecarGone } from './errors';
import { type Method, type Params, PROTOCOL_VERSION, type Result, SESSION_NOTIFICATIONS } from './protocol/methods';
import type { ExecutionEvent, Followed, Offer, OfferNotification, OfferWithdrawn, Session, SessionNotification } from './protocol/types';
import type { TokenStore } from './reconnect';
import { showError } from './say';
import { readSettings, SECTION } from './settings';
import { passOn } from './sidecar-log';

/** What the sidecar says of itself when it is initialized. */
interface Ours {
  protocolVersion?: number;
  windowId?: string;
  reconnect?: { outcome: string };
}

export type SidecarState = 'starting' | 'running' | 'failed';

const STOP_TIMEOUT_MS = 2_000;
const READY_TIMEOUT_MS = 15_000;

export class Sidecar implements vscode.Disposable {
  private readonly readyEmitter = new vscode.EventEmitter<void>();
  private readonly stateEmitter = new vscode.EventEmitter<SidecarState>();
  private readonly sessionEmitter = new vscode.EventEmitter<Session>();
  private readonly offerEmitter = new vscode.EventEmitter<Offer>();
  private readonly withdrawnEmitter = new vscode.EventEmitter<string>();
  private readonly followedEmitter = new vscode.EventEmitter<Followed>();
  private readonly executionEmitter = new vscode.EventEmitter<ExecutionEvent>();
  private readonly conversationsEmitter = new vscode.EventEmitter<void>();

  /** After each start, the first one included. */
  readonly onReady = this.readyEmitter.event;
  readonly onState = this.stateEmitter.event;
  readonly onSession = this.sessionEmitter.event;
  readonly onOffer = this.offerEmitter.event;
  readonly onOfferWithdrawn = this.withdrawnEmitter.event;
  /** Another window's answer gave a notebook that is open here its kernel. */
  readonly onFollowed = this.followedEmitter.event;
  readonly onExecution = this.executionEmitter.event;
  /** Some conversation began, grew or was cleared. */
  readonly onConversations = this.conversationsEmitter.event;

  private readonly configuration: vscode.Disposable;
  private readonly backOff = new BackOff();
  private client: LanguageClient | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isDisposed = false;
  private saidFailure: string | undefined;

  state: SidecarState = 'starting';
  binary: Binary | undefined;
  failure: string | undefined;
  /** The window has the kernels again that it had before a reload, or before its sidecar ended. */
  isReconnected = false;

  constructor(
    private readonly context: vscode.ExtensionContext,
    readonly log: vscode.LogOutputChannel,
    private readonly tokens: TokenStore,
  ) {
    this.configuration = vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION)) void this.configured(event);
    });
  }

  /** Starts the sidecar; where that fails it is tried again later. */
  async start(): Promise<void> {
    if (this.isDisposed || this.client) return;
    this.cancelTimer();
    this.become('starting');
    try {
      this.binary = await findBinary(this.places());
    } catch (error) {
      this.fail(messageOf(error));
      return;
    }
    await this.launch(this.binary);
  }

  /** Ends it and starts it anew; kernels go on. */
  async restart(): Promise<void> {
    this.backOff.reset();
    await this.end();
    await this.start();
  }

  async request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    const client = await this.ready();
    try {
      return await client.sendRequest<Result<M>>(method, params);
    } catch (error) {
      if (this.client === client && client.isRunning()) throw error;
      throw new SidecarGone(vscode.l10n.t('The sidecar ended before it answered; it is being started again.'), { cause: error });
    }
  }

  /** Waits until the sidecar runs; fails where it cannot be started. */
  async ready(): Promise<LanguageClient> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (this.state !== 'running' || !this.client) {
      if (this.state === 'failed' || Date.now() > deadline || this.isDisposed) {
        throw new SidecarGone(this.failure ?? vscode.l10n.t('The sidecar does not start; see its log.'));
      }
      await this.nextState(deadline);
    }
    return this.client;
  }

  dispose(): void {
    this.isDisposed = true;
    this.configuration.dispose();
    this.cancelTimer();
  }

  /** The editor closes: a detach, kernels go on. */
  async end(): Promise<void> {
    this.cancelTimer();
    const client = this.client;
    this.client = undefined;
    if (!client) return;
    this.become('starting');
    try {
      await client.dispose(STOP_TIMEOUT_MS);
    } catch (error) {
      this.log.debug(`The sidecar did not end in order: ${messageOf(error)}`);
    }
  }

  private async configured(event: vscode.ConfigurationChangeEvent): Promise<void> {
    if (event.affectsConfiguration(`${SECTION}.server.path`)) {
      await this.restart();
      return;
    }
    if (!this.client?.isRunning()) return;
    await this.client.sendNotification('workspace/didChangeConfiguration', { settings: { [SECTION]: readSettings() } });
  }

  private async launch(binary: Binary): Promise<void> {
    this.log.info(`Starting ${binary.path} (${binary.version})`);
    const token = await this.tokens.get();
    if (this.isDisposed || this.client) return;
    const client = new LanguageClient(
      SECTION,
      'Kernel Keeper',
      { command: binary.path, args: ['lsp'], options: { env: process.env } },
      this.options(token, () => {
        this.closed(client);
      }),
    );
    this.client = client;
    this.listen(client);
    try {
      await client.start();
      this.checkVersion(client);
    } catch (error) {
      this.log.error(`The sidecar did not start: ${messageOf(error)}`);
      this.closed(client);
      return;
    }
    if (this.client !== client) return;
    this.backOff.started(Date.now());
    this.failure = undefined;
    this.saidFailure = undefined;
    this.become('running');
    this.readyEmitter.fire();
  }

  private options(reconnectToken: string | undefined, onClosed: () => void): LanguageClientOptions {
    return {
      documentSelector: [{ notebook: 'jupyter-notebook', language: '*' }],
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      stdioOptions: { stdout: passOn, stderr: passOn },
      initializationFailedHandler: () => false,
      initializationOptions: {
        window: {
          editorPid: process.ppid,
          editorName: vscode.env.appName,
          folder: vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? null,
        },
        settings: readSettings(),
        ...(reconnectToken === undefined ? {} : { reconnectToken }),
      },
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        // Restarts are ours: the client's own handler gives up after five.
        closed: () => {
          onClosed();
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
    };
  }

  private listen(client: LanguageClient): void {
    for (const method of SESSION_NOTIFICATIONS) {
      client.onNotification(method, (params: SessionNotification) => {
        this.sessionEmitter.fire(params.session);
      });
    }
    client.onNotification('keeper/offer', (params: OfferNotification) => {
      this.offerEmitter.fire(params.offer);
    });
    client.onNotification('keeper/offerWithdrawn', (params: OfferWithdrawn) => {
      this.withdrawnEmitter.fire(params.offerId);
    });
    client.onNotification('keeper/followed', (params: Followed) => {
      this.followedEmitter.fire(params);
    });
    client.onNotification('keeper/executionEvent', (params: ExecutionEvent) => {
      this.executionEmitter.fire(params);
    });
    client.onNotification('keeper/conversationsChanged', () => {
      this.conversationsEmitter.fire();
    });
  }

  private checkVersion(client: LanguageClient): void {
    const experimental = client.initializeResult?.capabilities.experimental as { kernelKeeper?: Ours } | undefined;
    const version = experimental?.kernelKeeper?.protocolVersion;
    const outcome = experimental?.kernelKeeper?.reconnect?.outcome;
    this.isReconnected = outcome === 'reconnected';
    this.log.info(`This is window ${experimental?.kernelKeeper?.windowId ?? ''} (${outcome ?? 'new'})`);
    if (version !== PROTOCOL_VERSION) {
      throw new Error(`${this.binary?.path ?? ''} speaks version ${String(version)} of the protocol, not ${PROTOCOL_VERSION}`);
    }
  }

  private closed(client: LanguageClient): void {
    if (this.client !== client || this.isDisposed) return;
    this.client = undefined;
    const wait = this.backOff.next(Date.now());
    this.log.warn(`The sidecar ended; it is started again in ${wait} ms. Kernels go on.`);
    this.become('starting');
    this.schedule(wait);
    client.dispose().catch(() => {
      // It has ended already: only what it registered was to be let go.
    });
  }

  /** The program is not there or does not run: said once, tried again, because it may be being installed. */
  private fail(reason: string): void {
    this.failure = reason;
    this.log.error(reason);
    this.become('failed');
    this.schedule(Math.max(this.backOff.next(Date.now()), 3_000));
    if (this.saidFailure === reason) return;
    this.saidFailure = reason;
    void this.sayFailure(reason);
  }

  private async sayFailure(reason: string): Promise<void> {
    const openSettings = vscode.l10n.t('Open Settings');
    const showLog = vscode.l10n.t('Show Log');
    const chosen = await showError(`Kernel Keeper: ${reason}`, openSettings, showLog);
    if (chosen === openSettings) await vscode.commands.executeCommand('workbench.action.openSettings', `${SECTION}.server.path`);
    if (chosen === showLog) this.log.show();
  }

  private schedule(wait: number): void {
    this.cancelTimer();
    if (this.isDisposed) return;
    this.timer = setTimeout(() => void this.start(), wait);
  }

  private cancelTimer(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private become(state: SidecarState): void {
    // While the program is looked for again and again, the reason why it did not run stays to be read.
    if (state === 'starting' && this.state === 'failed') return;
    this.state = state;
    this.stateEmitter.fire(state);
  }

  private async nextState(deadline: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        listener.dispose();
        clearTimeout(timer);
        resolve();
      };
      const listener = this.onState(done);
      const timer = setTimeout(done, Math.max(deadline - Date.now(), 0) + 1);
    });
  }

  private places() {
    return {
      setting: readSettings().server.path,
      environment: process.env,
      extensionFolder: this.context.extensionPath,
      extensionVersion: (this.context.extension.packageJSON as { version: string }).version,
      storageFolder: this.context.globalStorageUri.fsPath,
    };
  }
}
