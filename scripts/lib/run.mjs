// Runs programs: with their output shown, or kept in a log; and finds them.
// Guarantees: every program started here is ended with this process, group and all. Leaves out: retries.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, createWriteStream, mkdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { logs, root } from './paths.mjs';

/** A failure whose message is meant for the person at the terminal: no stack is shown. */
export class Failure extends Error {}

const width = process.stdout.columns || 140;
const running = new Set();
export function endAll(signal = 'SIGTERM') {
  for (const child of running) {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It is gone already.
    }
  }
}
process.on('exit', () => endAll());

// Programs started here have process groups of their own, so the terminal's Ctrl-C reaches only us.
let interrupt = () => process.exit(130);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt());

/** From now on a Ctrl-C resolves this instead of ending the script. */
export function interrupted() {
  return new Promise((resolve) => {
    interrupt = resolve;
  });
}

/** The first of `names` that is an executable file on PATH. */
export function find(...names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        if (folder && statSync(path).isFile()) return path;
      } catch {
        // Not here.
      }
    }
  }
  return null;
}

/** What a program prints, or null where it fails. */
export function output(command, args, options = {}) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000, ...options });
  return status === 0 ? stdout.trim() : null;
}

/** This process's environment without what npm adds for its own scripts, which would steer an npm started from here. */
export function cleanEnvironment(extra = {}) {
  const environment = { ...process.env, ...extra };
  for (const name of Object.keys(environment)) {
    if (/^npm_(package|lifecycle|config_(local_prefix|prefix|global_prefix|noproxy|node_gyp))/.test(name)) delete environment[name];
  }
  delete environment.INIT_CWD;
  return environment;
}

/** npm as a command line: the one that runs us, else the one on PATH. */
export const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];

/**
 * Runs a program to its end; rejects when it fails, with the last lines of its output.
 * Its output goes to `.cache/logs/<log>.log` and, with `show`, line by line to the terminal with that word in front.
 */
export function run(command, args, { log, show, cwd = root, env, quietFailure = false } = {}) {
  const file = log && createLog(log);
  const child = spawn(command, args, { cwd, env: cleanEnvironment(env), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child);
  let tail = '';
  let rest = '';
  const take = (data) => {
    const text = data.toString();
    file?.write(text);
    tail = (tail + text).slice(-64 * 1024);
    if (!show) return;
    const lines = (rest + text).split(/\r\n|\n|\r/);
    rest = lines.pop();
    for (const line of lines) if (line.trim()) console.log(`  ${show} │ ${line}`.slice(0, width));
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Failure(`${command} cannot be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      running.delete(child);
      const settle = () => {
        if (code === 0) return resolve(tail);
        const words = `${[command, ...args].join(' ')} ${signal ? `was ended by ${signal}` : `failed (exit ${code})`}`;
        const failure = new Failure(quietFailure || show ? words : `${words}\n${tail.trimEnd().split('\n').slice(-40).join('\n')}`);
        failure.tail = tail;
        reject(failure);
      };
      // Who waits for the end reads the log next.
      if (file) file.end(settle);
      else settle();
    });
  });
}

const opened = new Set();
function createLog(name) {
  mkdirSync(logs, { recursive: true });
  const flags = opened.has(name) ? 'a' : 'w'; // several programs of one step share its log
  opened.add(name);
  return createWriteStream(join(logs, `${name}.log`), { flags });
}

/** Ends the script with a message for people, not with a stack. */
export function main(work) {
  work().catch((error) => {
    endAll();
    console.error(error instanceof Failure ? `\n${error.message}` : error);
    process.exit(1);
  });
}
