// `npm start`: from a fresh clone to VS Code with the extension and a kernel in it.
// Guarantees: the second start does nothing again that did not change; the user's own editor profile is not touched.
// Leaves out: the tests' tools (`npm test` brings them).
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { extensionBundle, extensionPackage, packagePrint, packages, releaseBinary } from './lib/build.mjs';
import { endServer, freePort, installEditor, installExtension, makeProfile, serve, servedCommand } from './lib/editor.mjs';
import { binary, cache, examples, root, vsix } from './lib/paths.mjs';
import { environment, pythonKernels } from './lib/python.mjs';
import { cleanEnvironment, find, interrupted, main, output } from './lib/run.mjs';
import { checkTools } from './lib/tools.mjs';

const usage = `npm start [-- --browser] [-- --port PORT]
  --browser  serve VS Code at an address on 127.0.0.1, even where the desktop's \`code\` is there
  --port     the port to serve it at (default: a free one)`;

/** The desktop's `code`, where it can show a window: not the remote command line inside a VS Code terminal, not without a display. */
function desktopEditor() {
  const path = find('code');
  const display = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  const remote = process.env.VSCODE_IPC_HOOK_CLI || /remote-cli|vscode-server|code-server/.test(path ?? '');
  return path && display && !remote ? path : null;
}

async function step(title, work) {
  const begun = Date.now();
  if ((await work()) !== false) console.log(`✓ ${title} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
}

/** Environment for the editor, and so for every kernel that it starts: the Python that is there, else an environment of our own. */
async function kernels(python) {
  const found = pythonKernels();
  if (found.length) {
    console.log(`✓ kernels for Python on this machine: ${found.join(', ')}`);
    return {};
  }
  console.log('  no Jupyter kernel for Python on this machine: a private Python environment is used');
  const options = { log: 'start-python', show: 'python' };
  const { jupyterPath } = await environment('python', python, 'scripts/requirements.txt', options);
  console.log('✓ a Python environment with ipykernel, in .cache/python');
  return { JUPYTER_PATH: [jupyterPath, process.env.JUPYTER_PATH].filter(Boolean).join(delimiter) };
}

function sayWhatGoesOn() {
  const live = JSON.parse(output(binary, ['list', '--json']) ?? '[]').filter((session) => session.state !== 'ended');
  if (!live.length) return console.log('\nThe editor is closed. No kernel is running.');
  console.log(`\nThe editor is closed. ${live.length === 1 ? 'One kernel goes' : `${live.length} kernels go`} on running:\n`);
  console.log(output(binary, ['list']));
  console.log(`\nSee them:  ${binary} list\nStop all:  ${binary} stop --all`);
}

/** Runs the desktop editor until its window is closed or Ctrl-C is pressed. */
async function openDesktop(code, env) {
  const profile = makeProfile(join(cache, 'profile-desktop'));
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : []; // VS Code refuses to run as root without it
  await step('the extension is in the profile', () =>
    installExtension(profile, vsix, packagePrint(), [code, ...asRoot], { log: 'start-extension' }),
  );
  const flags = ['--user-data-dir', profile.data, '--extensions-dir', profile.extensions, '--disable-workspace-trust', '--wait'];
  const editor = spawn(code, [...asRoot, ...flags, examples], { env: cleanEnvironment(env), stdio: 'inherit', detached: true });
  const ended = new Promise((resolve) => editor.on('exit', resolve));
  console.log('\nVS Code is open: open draft.ipynb. Ctrl-C here closes it; kernels go on running.');
  await Promise.race([ended, interrupted()]);
  const lock = join(profile.data, 'code.lock'); // the editor's own process; `code` is only its launcher
  if (existsSync(lock)) endProcess(Number(readFileSync(lock, 'utf8')));
  endProcess(-editor.pid);
  await ended;
}

/** Serves the editor until Ctrl-C is pressed. */
async function openServed(env, wanted) {
  const profile = makeProfile(join(cache, 'profile-served'));
  const options = { log: 'start-extension' };
  await step('the extension is in the profile', () => installExtension(profile, vsix, packagePrint(), servedCommand(profile), options));
  const port = wanted ?? (await freePort());
  const server = await serve(profile, { port, env, log: join(cache, 'logs', 'start-editor.log') });
  console.log(`\nVS Code is at http://127.0.0.1:${port}/?folder=${encodeURI(examples)}`);
  console.log('Open it in a browser on this machine, then draft.ipynb. Whoever is logged in on this machine can open it too.');
  console.log('Ctrl-C here closes it; kernels go on running.');
  await Promise.race([server.ended, interrupted()]);
  await endServer(server);
}

function endProcess(pid) {
  try {
    if (pid) process.kill(pid, 'SIGTERM');
  } catch {
    // It is gone already.
  }
}

main(async () => {
  const words = process.argv.slice(2);
  if (words.includes('--help')) return console.log(usage);
  const port = words.includes('--port') ? Number(words[words.indexOf('--port') + 1]) : undefined;
  const tools = checkTools();
  process.chdir(root);
  console.log('✓ cargo, Node and Python are there');
  const code = words.includes('--browser') ? null : desktopEditor();

  await step('npm packages', () => packages({ log: 'start-packages', show: 'npm' }));
  // The two long ones side by side: one computes, the other mostly downloads.
  await Promise.all([
    step('kernel-keeper, release build', () => releaseBinary({ log: 'start-binary', show: 'cargo' })),
    code ? null : step('VS Code, served', () => installEditor({ log: 'start-install', show: 'editor' })),
    step('extension bundle', () => extensionBundle({ log: 'start-bundle', show: 'esbuild' })),
  ]);
  await step('VSIX', () => extensionPackage({ log: 'start-vsix', show: 'vsce' }));
  const env = await kernels(tools.python);
  await (code ? openDesktop(code, env) : openServed(env, port));
  sayWhatGoesOn();
  process.exit(0);
});
