// One run of a story: folders of its own, a served VS Code that is started, quit and killed, and a browser.
// Guarantees: no kernel, server or browser is left behind; what explains a failure is kept in .cache/logs/e2e.
// Leaves out: what is clicked (workbench.mjs).
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { modules } from '../../../scripts/lib/build.mjs';
import { endServer, freePort, installExtension, makeProfile, serve, servedCommand } from '../../../scripts/lib/editor.mjs';
import { logs } from '../../../scripts/lib/paths.mjs';
import { writeNotebook } from './notebook.mjs';
import { eventually, patience } from './wait.mjs';
import { Workbench } from './workbench.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
export const shots = join(here, 'shots');

function required(name) {
  if (!process.env[name]) throw new Error(`${name} is not set: run the stories with \`npm test -- e2e\``);
  return process.env[name];
}

export class Run {
  static async begin(name) {
    const run = new Run();
    run.name = name;
    run.folder = mkdtempSync(join(tmpdir(), 'kk-')); // short: the kernels' sockets are in it
    run.workspace = join(run.folder, 'work');
    mkdirSync(run.workspace);
    mkdirSync(shots, { recursive: true });
    run.environment = { KERNEL_KEEPER_STATE_DIR: join(run.folder, 'state'), KERNEL_KEEPER_RUNTIME_DIR: join(run.folder, 'run') };
    run.profile = makeProfile(run.folder, {
      'files.autoSave': 'off',
      'files.simpleDialog.enable': true,
      'explorer.confirmDragAndDrop': false,
      'git.enabled': false,
      'workbench.reduceMotion': 'on',
      // Long outputs stay short, so that the cells below them are in view, but whole.
      'notebook.output.scrolling': true,
      'notebook.output.textLineLimit': 8,
    });
    process.once('SIGTERM', () => run.abandon());
    await run.install(required('KERNEL_KEEPER_VSIX'));
    run.port = await freePort();
    run.browser = await chromium.launch({
      executablePath: required('CHROME_PATH'),
      timeout: patience,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    return run;
  }

  /** Installs one more extension. */
  install(vsix) {
    return installExtension(this.profile, vsix, vsix, servedCommand(this.profile), {});
  }

  /** Packs and installs one of the extensions that lie beside the stories. */
  async installOwn(name) {
    const vsix = join(this.folder, `${name}.vsix`);
    const flags = ['package', '--no-dependencies', '--allow-missing-repository', '--skip-license', '--out', vsix];
    const vsce = join(modules, '@vscode', 'vsce', 'vsce');
    const { status, stderr } = spawnSync(process.execPath, [vsce, ...flags], { cwd: join(here, name), encoding: 'utf8' });
    if (status !== 0) throw new Error(`${name} was not packed: ${stderr}`);
    await this.install(vsix);
  }

  path(name) {
    return join(this.workspace, name);
  }

  notebook(name, cells, kernel) {
    writeNotebook(this.path(name), cells, kernel);
  }

  /** Starts the server and opens the workspace in a window. `again` keeps what the browser remembered, like the same person coming back. */
  async open({ again = false, trusted = true } = {}) {
    if (!this.server) {
      const log = join(this.folder, 'server.log');
      // A page that is closed on a busy machine may be gone before it has said so. VS Code keeps such a window's extensions for three hours.
      const flags = ['--reconnection-grace-time', '10'];
      this.server = await serve(this.profile, { port: this.port, env: this.environment, log, flags, trusted });
    }
    if (!again) await this.context?.close();
    if (!again || !this.context) {
      this.context = await this.browser.newContext({
        viewport: { width: 1400, height: 900 },
        permissions: ['clipboard-read', 'clipboard-write'],
        reducedMotion: 'reduce',
      });
      await this.context.addInitScript(() => {
        // Each frame of an animation is drawn without a graphics card, and a cell that runs has one.
        const still = new CSSStyleSheet();
        still.replaceSync('*, ::before, ::after { animation: none !important; transition: none !important; }');
        document.adoptedStyleSheets.push(still);
        // A webview looks first whether its worker is an old one, which Chromium lets wait for ten seconds. Here none is.
        if (!navigator.serviceWorker) return;
        ServiceWorkerRegistration.prototype.update = function () {
          return Promise.resolve(this);
        };
      });
    }
    return this.window();
  }

  /** Opens the workspace in one more window. */
  async window() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(patience);
    await page.goto(`http://127.0.0.1:${this.port}/?folder=${encodeURI(this.workspace)}`, { waitUntil: 'domcontentloaded' });
    const workbench = new Workbench(page);
    await workbench.ready();
    Object.assign(this, { page, workbench });
    return workbench;
  }

  /** A person closes the window and the editor: extensions are told. */
  async quit() {
    await this.page.close();
    await endServer(this.server);
    this.server = null;
  }

  /** Power of another kind: everything of the editor is killed at once, nobody is told. */
  async crash() {
    await endServer(this.server, 'SIGKILL');
    this.server = null;
    await this.page.close();
  }

  /** The command line face, on this run's folders. */
  cli(...words) {
    const { status, stdout, stderr } = spawnSync(required('KERNEL_KEEPER_BINARY'), words, {
      encoding: 'utf8',
      env: { ...process.env, ...this.environment },
      timeout: patience,
    });
    if (status !== 0) throw new Error(`kernel-keeper ${words.join(' ')}: exit ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  sessions() {
    return JSON.parse(this.cli('list', '--json'));
  }

  /** The live session of a notebook in the workspace. */
  session(name) {
    return this.sessions().find(({ state, notebookPath }) => state !== 'ended' && notebookPath === this.path(name));
  }

  get settingsFile() {
    return join(this.profile.data, 'User', 'settings.json');
  }

  settings() {
    return JSON.parse(readFileSync(this.settingsFile, 'utf8'));
  }

  /** Changes the workspace's settings in their file, and waits until the extension has them: its diagnostics say so. */
  async set(some) {
    this.own = { ...this.own, ...some };
    mkdirSync(this.path('.vscode'), { recursive: true });
    writeFileSync(this.path(join('.vscode', 'settings.json')), JSON.stringify(this.own));
    const words = Object.entries(some).map(([name, value]) => `"${name.split('.').at(-1)}":"${value}"`);
    await eventually(`${words}`, async () => {
      await this.workbench.command('Kernel Keeper: Copy Diagnostics');
      const said = await this.page.evaluate(() => navigator.clipboard.readText());
      return words.every((word) => said.includes(word));
    });
  }

  async shot(title) {
    const file = join(shots, `${this.name}-${title.replace(/\W+/g, '-')}.png`);
    await this.page?.screenshot({ path: file }).catch(() => {});
  }

  /** What a failure's cause may be seen in: what is on the screen, and what the extension logged last. */
  async evidence() {
    const texts = async (selector) =>
      (
        await this.page
          ?.locator(selector)
          .allInnerTexts()
          .catch(() => [])
      )?.map((text) => text.replace(/\s+/g, ' ').trim());
    const lines = Object.entries({
      tabs: '.tab',
      kernel: '.notebookOverlay:visible .kernel-label',
      cells: '.notebookOverlay:visible .cell-list-container .monaco-list-row .view-lines',
      notifications: '.notification-list-item',
      asked: '.quick-input-widget:visible',
      dialog: '.monaco-dialog-box',
    }).map(async ([what, selector]) => `${what}: ${(await texts(selector))?.join(' | ')}`);
    const folder = join(this.profile.data, 'logs');
    const logs = existsSync(folder) ? readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('Kernel Keeper.log')) : [];
    const newest = logs.sort().flatMap((file) => readFileSync(join(folder, file), 'utf8').trimEnd().split('\n'));
    return [...(await Promise.all(lines)), ...newest.slice(-25)].join('\n');
  }

  /** The test run itself is ended: at once, but leaving nothing behind. */
  abandon() {
    try {
      if (this.server) process.kill(-this.server.pid, 'SIGKILL');
      this.cli('stop', '--all');
    } finally {
      process.exit(143);
    }
  }

  async end(failed) {
    const errors = [];
    this.agent?.process.kill();
    await this.page?.close().catch(() => {});
    if (this.server) await endServer(this.server);
    await this.browser.close();
    try {
      this.cli('stop', '--all');
    } catch (error) {
      errors.push(error);
    }
    if (failed) {
      const kept = join(logs, 'e2e', this.name);
      rmSync(kept, { recursive: true, force: true });
      for (const part of ['server.log', 'state', 'work', join('data', 'logs')]) {
        if (existsSync(join(this.folder, part))) cpSync(join(this.folder, part), join(kept, part), { recursive: true, filter: plain });
      }
    }
    // A keeper that was stopped says so to the registry before it goes.
    await eventually('its folder is removed', () => {
      rmSync(this.folder, { recursive: true, force: true });
      return true;
    });
    if (errors.length) throw errors[0];
  }
}

const plain = (path) => !path.endsWith('.sock');
