// What no compiler checks: the manifest against the code, file headers and lengths, and that the repository stands alone.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../scripts/lib/paths.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');
const under = (folder, ...ends) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((path) => join(folder, path))
    .filter((path) => ends.some((end) => path.endsWith(end)) && !path.includes('node_modules'));

const manifest = JSON.parse(read('package.json'));
const client = under('editor-client/src', '.ts').filter((path) => !path.endsWith('protocol/types.ts'));
const code = client.map(read).join('\n');

test('every contributed command, setting and view is known to the code', () => {
  const { commands, configuration, views } = manifest.contributes;
  const names = [
    ...commands.map((entry) => entry.command),
    ...Object.values(views).flatMap((list) => list.map((view) => view.id)),
    ...Object.keys(configuration.properties),
  ];
  const rust = under('server/src', '.rs').map(read).join('\n');
  const unknown = names.filter((name) => {
    const last = name.replace(/^kernelKeeper\./, '');
    const word = last.split('.').at(-1);
    return !code.includes(`'${name}'`) && !code.includes(`'${last}'`) && !code.includes(word) && !rust.includes(word);
  });
  assert.deepEqual(unknown, []);
});

test('every command that menus use is contributed', () => {
  const contributed = new Set(manifest.contributes.commands.map((entry) => entry.command));
  const used = Object.values(manifest.contributes.menus).flatMap((entries) => entries.map((entry) => entry.command));
  assert.deepEqual(
    used.filter((command) => !contributed.has(command)),
    [],
  );
});

test('every text of the manifest is there, and none too many', () => {
  const used = new Set([...read('package.json').matchAll(/"%([\w.]+)%"/g)].map(([, key]) => key));
  assert.deepEqual(Object.keys(JSON.parse(read('package.nls.json'))).sort(), [...used].sort());
});

test('no proposed API is used: a desktop VS Code would refuse it', () => {
  assert.equal(manifest.enabledApiProposals, undefined);
  assert.doesNotMatch(code, /variableProvider|detectNotebookKernels|onDidChangeNotebookAffinity/);
});

test('text reaches people through say.ts alone, where no link survives', () => {
  const asked =
    /\b(show(Information|Warning|Error)Message|showQuickPick|createQuickPick|showInputBox|createInputBox|setStatusBarMessage|window\.withProgress)\b/;
  const appended = /\.(appendText|appendCodeblock)\(/;
  const trusted = /\b(isTrusted|supportHtml) *[:=] *(true|\{)/;
  const wrong = client
    .filter((path) => !path.endsWith('src/say.ts'))
    .filter((path) => [asked, appended, trusted].some((one) => one.test(read(path))));
  assert.deepEqual(wrong, []);
  const say = read('editor-client/src/say.ts');
  for (const [way] of say.matchAll(/show(Information|Warning|Error)Message\b/g))
    assert.ok(say.includes(`shown(vscode.window.${way})`), way);
  // What the sidecar let the language client show would pass by it.
  const rust = under('server/src', '.rs').filter((path) => /show_message|window\/showMessage/.test(read(path)));
  assert.deepEqual(rust, []);
});

const sources = [
  ...under('server/src', '.rs'),
  ...client,
  ...under('editor-client/webviews', '.ts', '.css'),
  ...under('editor-client/renderers', '.ts'),
  ...under('scripts', '.mjs'),
  ...under('tests', '.mjs', '.rs'),
];
test('every file says what it is for, and stays readable', () => {
  const silent = sources.filter((path) => !/^(\/\/|\/\*)/.test(read(path)));
  const long = sources.filter((path) => read(path).split('\n').length > 501);
  assert.deepEqual({ silent, long }, { silent: [], long: [] });
});

test('no dependency is bound to one registry', () => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved"/);
});
