// VS Code served to a browser: the same workbench as the desktop's, from npm, for machines without a desktop and for the tests.
// Guarantees: installed once a version, whole or not at all; listens on 127.0.0.1 only. Leaves out: the browser.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { userCache } from './paths.mjs';
import { Failure, cleanEnvironment, find, npm, run } from './run.mjs';
import { once } from './stamp.mjs';

const codeServer = '4.139.1'; // Code 1.139.1
const node = '24.21.0'; // the one release line that it runs on

const home = join(userCache, `editor-${codeServer}-${node}`);
const program = join('node', 'bin', 'node');
const entry = join('server', 'node_modules', 'code-server', 'out', 'node', 'entry.js');

// Large, and of no use beside notebooks.
const unused = [
  ...['@github', '@microsoft/mxc-sdk'].map((name) => join('node_modules', name)),
  ...['copilot', 'mermaid-markdown-features', 'microsoft-authentication', 'github', 'github-authentication', 'tunnel-forwarding'],
  ...['typescript-language-features', 'php-language-features', 'emmet', 'npm', 'grunt', 'gulp', 'jake'],
  ...['html-language-features', 'css-language-features', 'debug-auto-launch', 'debug-server-ready'],
].map((path) => (path.startsWith('node_modules') ? path : join('extensions', path)));

/** Installs the served editor unless it is there. */
export async function installEditor(options) {
  if (existsSync(join(home, entry)) && existsSync(join(home, program))) return;
  const { platform, arch } = process;
  if (platform !== 'linux' || !['x64', 'arm64'].includes(arch)) {
    throw new Failure(
      'The served VS Code is for Linux. Install VS Code itself and its `code` command (Command Palette: "Shell Command: Install").',
    );
  }
  if (!find('g++') || !find('make')) {
    throw new Failure('The served VS Code needs g++ and make, e.g. `sudo apt-get install build-essential`; or install VS Code itself.');
  }
  const part = `${home}.part-${process.pid}`;
  try {
    await installInto(part, arch, options);
    if (!existsSync(home)) renameSync(part, home); // else another start was faster
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

async function installInto(part, arch, options) {
  const folders = { node: join(part, 'node'), server: join(part, 'server') };
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  await run(npm[0], [...npm.slice(1), 'pack', '--silent', `node-linux-${arch}@${node}`], { ...options, cwd: part });
  await run('tar', ['xzf', `node-linux-${arch}-${node}.tgz`, '-C', folders.node, '--strip-components=1'], { ...options, cwd: part });

  // Its own installation builds modules that nothing here uses and takes minutes: unpack, and build the two that are loaded.
  const env = { PATH: `${join(folders.node, 'bin')}:${process.env.PATH}`, npm_config_nodedir: folders.node };
  const install = [...npm.slice(1), 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  writeFileSync(join(folders.server, 'package.json'), '{ "private": true }\n');
  await run(npm[0], [...install, `code-server@${codeServer}`], { ...options, cwd: folders.server, env });
  const code = join(folders.server, 'node_modules', 'code-server', 'lib', 'vscode');
  await run(npm[0], [...install, '--omit=dev'], { ...options, cwd: code, env });
  const builder = await nodeGyp(options);
  for (const name of ['spdlog', 'native-watchdog']) {
    const cwd = join(code, 'node_modules', '@vscode', name);
    await run(join(part, program), [builder, 'rebuild', `--nodedir=${folders.node}`], { ...options, cwd, env });
  }
  for (const path of unused) rmSync(join(code, path), { recursive: true, force: true });
  rmSync(join(part, `node-linux-${arch}-${node}.tgz`), { force: true });
}

/** The node-gyp that every npm brings along. */
async function nodeGyp(options) {
  const prefix =
    npm.length > 1 ? join(npm[1], '..', '..') : join((await run('npm', ['root', '--global'], options)).trim().split('\n').at(-1), 'npm');
  const path = join(prefix, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  if (!existsSync(path)) throw new Failure(`npm's own node-gyp is not at ${path}: reinstall npm (\`npm install --global npm\`).`);
  return path;
}

/** Settings that keep a profile quiet: nothing asks, updates, or looks for a network. */
export const quietSettings = {
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'update.showReleaseNotes': false,
  'update.mode': 'none',
  'extensions.autoUpdate': 'off',
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'security.workspace.trust.enabled': false,
  'chat.disableAIFeatures': true,
};

/** A profile: settings, extensions and what the editor stores, apart from the user's own. */
export function makeProfile(folder, settings = {}) {
  const profile = { folder, data: join(folder, 'data'), extensions: join(folder, 'extensions'), config: join(folder, 'config.yaml') };
  mkdirSync(join(profile.data, 'User'), { recursive: true });
  mkdirSync(profile.extensions, { recursive: true });
  const file = join(profile.data, 'User', 'settings.json');
  if (!existsSync(file)) writeFileSync(file, `${JSON.stringify({ ...quietSettings, ...settings }, null, 2)}\n`);
  writeFileSync(profile.config, 'auth: none\ncert: false\n');
  return profile;
}

const profileFlags = (profile) => ['--user-data-dir', profile.data, '--extensions-dir', profile.extensions];

/** Installs a VSIX into a profile, unless `print` says it has that one. `command` is the editor's command line. */
export function installExtension(profile, file, print, command, options) {
  const install = () => run(command[0], [...command.slice(1), ...profileFlags(profile), '--install-extension', file, '--force'], options);
  return once('extension', print, [], install, profile.folder);
}

export const servedCommand = (profile) => [join(home, program), join(home, entry), '--config', profile.config];

/** A port that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Serves the editor in a process group of its own; resolves once it answers. Where it is not `trusted`, folders are not until somebody says so. */
export async function serve(profile, { port, env = {}, log, flags = [], trusted = true }) {
  const out = openSync(log, 'a');
  const command = servedCommand(profile);
  const args = [
    ...[...command.slice(1), ...profileFlags(profile), '--bind-addr', `127.0.0.1:${port}`],
    ...['--session-socket', join(profile.folder, 'session.sock'), '--disable-telemetry', '--disable-update-check'],
    ...(trusted ? ['--disable-workspace-trust'] : []),
    ...['--disable-getting-started-override', '--ignore-last-opened', ...flags],
  ];
  // No gallery: extensions are installed from files, and nothing is asked for over the network.
  const environment = { ...cleanEnvironment(env), EXTENSIONS_GALLERY: '{"serviceUrl":""}' };
  delete environment.KERNEL_KEEPER_BINARY; // the extension brings its own
  const server = spawn(command[0], args, { env: environment, stdio: ['ignore', out, out], detached: true });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  for (const deadline = Date.now() + 180_000; ; await sleep(50)) {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null);
    if (answer?.ok) return { pid: server.pid, ended };
    if (server.exitCode !== null || Date.now() > deadline) throw new Failure(`The served VS Code does not answer; its log: ${log}`);
  }
}

/** Ends a served editor: asked first, so that extensions are told. */
export async function endServer({ pid, ended }, signal = 'SIGTERM') {
  const group = (name) => {
    try {
      process.kill(name === 'SIGTERM' ? pid : -pid, name);
    } catch {
      // It is gone already.
    }
  };
  group(signal);
  await Promise.race([ended, sleep(5_000)]);
  group('SIGKILL');
  await ended;
}
