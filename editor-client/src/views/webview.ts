/**
 * A webview's page: its script and its style, bundled from `webviews/`, within the page itself.
 * Guarantees: nothing is loaded, neither from the disk nor from anywhere; nothing runs or styles but what carries this page's nonce.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';

export type WebviewName = 'health' | 'variables';

/** For `webview.options`, and what else a panel takes. */
export const WEBVIEW_OPTIONS: vscode.WebviewOptions = { enableScripts: true, localResourceRoots: [] };

export async function pageOf(extension: vscode.Uri, name: WebviewName, title: string): Promise<string> {
  const read = (file: string) => readFile(vscode.Uri.joinPath(extension, 'dist', 'webviews', file).fsPath, 'utf8');
  const [script, style] = await Promise.all([read(`${name}.js`), read(`${name}.css`)]);
  const nonce = randomBytes(16).toString('base64');
  return `<!DOCTYPE html>
<html lang="${escaped(vscode.env.language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style nonce="${nonce}">${style}</style>
</head>
<body>
<script nonce="${nonce}">${script}</script>
</body>
</html>
`;
}

const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
