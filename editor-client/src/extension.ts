/**
 * Puts the extension together: makes the parts, hands them to each other, and starts the sidecar. Holds no state of its own.
 * The end of the extension is a detach: kernels go on.
 */
import * as vscode from 'vscode';
import { Sidecar } from './client';
import { registerAttachCommands } from './commands/attach';
import { type Parts, registerSessionCommands } from './commands/sessions';
import { registerSidecarCommands } from './commands/sidecar';
import { Targets } from './commands/target';
import { Follow } from './follow';
import { Attachments } from './kernels/attachments';
import { Controllers } from './kernels/controllers';
import { InputBoxes } from './kernels/input';
import { Renames } from './kernels/renames';
import { Runner } from './kernels/runner';
import { Selection } from './kernels/selection';
import { Offers } from './offers';
import { Seen } from './seen';
import { Sessions } from './sessions';
import { CellStatus } from './views/cells';
import { AsItRan } from './views/code';
import { keepContexts } from './views/contexts';
import { HealthCommand } from './views/health';
import { HistoryView } from './views/history';
import { StatusItem } from './views/status';
import { SessionTree } from './views/tree';
import { VariablesView } from './views/variables';
import { Visibility } from './visibility';

export function activate(context: vscode.ExtensionContext): void {
  const { version } = context.extension.packageJSON as { version: string };
  const log = vscode.window.createOutputChannel('Kernel Keeper', { log: true });
  const sidecar = new Sidecar(context, log);
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
  const code = new AsItRan(sessions);
  const history = new HistoryView(sidecar, sessions, code);
  const visibility = new Visibility(sidecar);
  const parts: Parts = { sidecar, sessions, offers, attachments, controllers, follow, targets: new Targets(sessions, attachments) };

  context.subscriptions.push(
    { dispose: () => sidecar.end() },
    log,
    sidecar,
    sessions,
    offers,
    inputs,
    controllers,
    selection,
    attachments,
    renames,
    follow,
    visibility,
    new SessionTree(sessions, visibility),
    code,
    history,
    new HealthCommand({ sidecar, sessions, visibility, extension: context.extensionUri }),
    new VariablesView(sidecar, sessions, context.extensionUri),
    new StatusItem(sidecar, sessions, offers),
    new CellStatus(attachments, inputs),
    keepContexts(sidecar, attachments),
    registerSessionCommands(parts),
    registerAttachCommands(parts),
    registerSidecarCommands(parts, inputs, version),
    offers.onDidAnswer(({ offer, action }) => {
      if (action === 'history') void history.show(offer.notebookUri);
    }),
  );
  void sidecar.start();
}
