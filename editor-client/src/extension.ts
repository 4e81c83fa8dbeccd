/**
 * Puts the extension together: makes the parts, hands them to each other, and starts the sidecar. Holds no state of its own.
 * The end of the extension is a detach: kernels go on.
 */
import * as vscode from 'vscode';
import { Acknowledged } from './acknowledged';
import { registerMcpServer } from './agents/server';
import { AgentTools } from './agents/tools';
import { Sidecar } from './client';
import { registerAgainCommands } from './commands/again';
import { registerAttachCommands } from './commands/attach';
import { registerConversationCommands } from './commands/conversations';
import { registerFreshCommands } from './commands/fresh';
import { registerLeftCommands } from './commands/left';
import { registerOtherCommands } from './commands/others';
import { registerPicker } from './commands/picker';
import { registerReplayCommand } from './commands/replay';
import { type Parts, registerSessionCommands } from './commands/sessions';
import { registerSidecarCommands } from './commands/sidecar';
import { registerSnapshotCommands, sayAnswered } from './commands/snapshots';
import { Targets } from './commands/target';
import { Conversations } from './conversations';
import { Follow } from './follow';
import { Attachments } from './kernels/attachments';
import { Controllers } from './kernels/controllers';
import { InputBoxes } from './kernels/input';
import { preselect } from './kernels/preselection';
import { Renames } from './kernels/renames';
import { Runner } from './kernels/runner';
import { SavedElsewhere } from './kernels/saved';
import { Selection } from './kernels/selection';
import { Offers } from './offers';
import { keepToken, TokenStore } from './reconnect';
import { Seen } from './seen';
import { Sessions } from './sessions';
import { CellStatus } from './views/cells';
import { AsItRan } from './views/code';
import { keepContexts } from './views/contexts';
import { ConversationPages } from './views/conversation';
import { HealthCommand } from './views/health';
import { HistoryView } from './views/history';
import { OtherKernels } from './views/others';
import { StatusItem } from './views/status';
import { Tooltips } from './views/tooltip';
import { SessionTree } from './views/tree';
import { VariablesView } from './views/variables';
import { Visibility } from './visibility';

export function activate(context: vscode.ExtensionContext): void {
  const { version } = context.extension.packageJSON as { version: string };
  const log = vscode.window.createOutputChannel('Kernel Keeper', { log: true });
  const tokens = new TokenStore(context, log);
  const sidecar = new Sidecar(context, log, tokens);
  const sessions = new Sessions(sidecar);
  const offers = new Offers(sidecar, (notebookUri, sessionId) => attachments.isFollowed(notebookUri, sessionId));
  const inputs = new InputBoxes(sidecar);
  const seen = new Seen(context.globalStorageUri.fsPath);

  const runner: Runner = new Runner(
    sidecar,
    sessions,
    offers,
    () => attachments,
    () => selection,
  );
  const controllers = new Controllers(sidecar, runner, (name) => sessions.live().some((session) => session.kernel.name === name));
  const selection: Selection = new Selection(controllers, context.extension.id);
  const attachments: Attachments = new Attachments(sidecar, sessions, controllers, selection, inputs, seen);
  const renames = new Renames(sidecar, sessions, attachments);
  const follow = new Follow(sidecar, sessions, offers, attachments, renames, selection);
  const acknowledged = new Acknowledged(context.globalState);
  const code = new AsItRan(sessions);
  const history = new HistoryView(sidecar, sessions, code, acknowledged);
  const status = new StatusItem(sidecar, sessions, offers);
  const visibility = new Visibility(sidecar);
  const conversations = new Conversations(sidecar);
  const pages = new ConversationPages(sidecar, conversations);
  const tree = new SessionTree(sessions, conversations, acknowledged, new Tooltips(sidecar, controllers), visibility);
  const others = new OtherKernels(sidecar, sessions);
  const targets = new Targets(sessions, attachments, tree);
  const parts: Parts = {
    sidecar,
    sessions,
    offers,
    attachments,
    controllers,
    follow,
    targets,
    runner,
    selection,
    acknowledged,
  };

  context.subscriptions.push(
    { dispose: () => sidecar.end() },
    log,
    sidecar,
    sessions,
    offers,
    inputs,
    controllers,
    selection,
    preselect(controllers, selection, context.extension.id),
    attachments,
    renames,
    follow,
    new SavedElsewhere(sidecar, sessions, attachments),
    visibility,
    acknowledged,
    conversations,
    pages,
    tree,
    code,
    history,
    status,
    new HealthCommand({ sidecar, sessions, visibility, extension: context.extensionUri }),
    new VariablesView(sidecar, sessions, context.extensionUri),
    new CellStatus(attachments, inputs, sessions),
    keepContexts(sidecar, attachments),
    keepToken(sidecar, tokens),
    registerSessionCommands(parts),
    registerAgainCommands(parts),
    registerFreshCommands(parts),
    registerPicker(parts, () => {
      status.looked();
    }),
    registerAttachCommands(parts),
    others,
    registerOtherCommands(parts, others),
    registerSidecarCommands(parts, inputs, version),
    registerLeftCommands(parts),
    registerConversationCommands(parts, conversations, pages),
    registerSnapshotCommands(parts),
    registerReplayCommand(parts),
    registerMcpServer(sidecar, version),
    new AgentTools(sidecar, sessions, attachments),
    offers.onDidAnswer(({ offer, action, result }) => {
      // What became of a kernel was read there.
      if (offer.kind === 'recover') for (const session of offer.sessions) acknowledged.add(session);
      if (action === 'history') void history.show(offer.notebookUri);
      if (action === 'restore') void sayAnswered(result);
    }),
  );
  void sidecar.start();
}
