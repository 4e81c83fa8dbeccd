/**
 * Tells the editor of `kernel-keeper mcp`, so that its agents see and use the same kernels.
 * Guarantees: it is the program and the folders that the sidecar has; there is none in an untrusted workspace.
 * Leaves out: what the server does.
 */
import * as vscode from 'vscode';
import type { Sidecar } from '../client';
import { readSettings, SECTION } from '../settings';

/** As in `package.json`. */
const PROVIDER = 'kernelKeeper.mcp';
/** What it is told of the settings: it is no client of the editor's, and cannot ask. */
const TOLD = [`${SECTION}.agents`, `${SECTION}.conversations`];

export function registerMcpServer(sidecar: Sidecar, extensionVersion: string): vscode.Disposable {
  if (!canRegister()) return vscode.Disposable.from();
  const change = new vscode.EventEmitter<void>();
  const provider: vscode.McpServerDefinitionProvider<vscode.McpStdioServerDefinition> = {
    onDidChangeMcpServerDefinitions: change.event,
    provideMcpServerDefinitions: () =>
      vscode.workspace.isTrusted && sidecar.binary ? [define(sidecar.binary.path, extensionVersion)] : [],
  };
  const changed = () => {
    change.fire();
  };
  let path = sidecar.binary?.path;
  return vscode.Disposable.from(
    change,
    sidecar.onState(() => {
      if (sidecar.binary?.path === path) return;
      path = sidecar.binary?.path;
      changed();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(changed),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (TOLD.some((section) => event.affectsConfiguration(section))) changed();
    }),
    vscode.lm.registerMcpServerDefinitionProvider(PROVIDER, provider),
  );
}

function define(program: string, extensionVersion: string): vscode.McpStdioServerDefinition {
  const { agents, conversations } = readSettings();
  const settings: Record<string, string | null> = {
    KERNEL_KEEPER_AGENTS_MAY_STOP_OPEN: agents.mayStopOpenKernels ? '1' : null,
    KERNEL_KEEPER_CONVERSATION_EXPIRE_HOURS: String(conversations.expireAfterHours),
    KERNEL_KEEPER_CONVERSATION_MAX_TURNS: String(conversations.maxTurns),
    KERNEL_KEEPER_MAX_CONVERSATIONS: String(conversations.maxConversations),
  };
  const env = { ...settings };
  for (const name of ['KERNEL_KEEPER_STATE_DIR', 'KERNEL_KEEPER_RUNTIME_DIR']) {
    const value = process.env[name];
    if (value) env[name] = value;
  }
  // Where this differs the editor knows that it is to start it anew.
  const version = [extensionVersion, ...Object.values(settings).map((value) => value ?? '0')].join('-');
  return new vscode.McpStdioServerDefinition('Kernel Keeper', program, ['mcp'], env, version);
}

/** Editors that are made of an older VS Code, or with parts left out, have no such thing. */
function canRegister(): boolean {
  const { lm } = vscode as { lm?: Partial<typeof vscode.lm> };
  return typeof lm?.registerMcpServerDefinitionProvider === 'function' && 'McpStdioServerDefinition' in vscode;
}
