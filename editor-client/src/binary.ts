/**
 * Finds the `kernel-keeper` program: setting, environment, the one in the extension.
 * Guarantees: what is returned answered `--version`; the bundled one is run from a copy outside the extension's folder, because keepers
 * outlive an update that replaces that folder. Every error names what to change.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, constants, copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { l10n } from 'vscode';
import { messageOf } from './errors';

const SETTING = 'kernelKeeper.server.path';
const VARIABLE = 'KERNEL_KEEPER_BINARY';
const PROGRAM = process.platform === 'win32' ? 'kernel-keeper.exe' : 'kernel-keeper';
const VERSION_TIMEOUT_MS = 10_000;
const BUSY_ATTEMPTS = 20;
const BUSY_MS = 100;

export interface Binary {
  readonly path: string;
  readonly version: string;
}

export interface Places {
  /** The content of the setting; empty where it is not set. */
  readonly setting: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly extensionFolder: string;
  readonly extensionVersion: string;
  readonly storageFolder: string;
}

export async function findBinary(places: Places): Promise<Binary> {
  if (places.setting !== '') return check(places.setting, l10n.t('the setting "{0}"', SETTING));
  const fromEnvironment = places.environment[VARIABLE];
  if (fromEnvironment) return check(fromEnvironment, l10n.t('the environment variable {0}', VARIABLE));
  const bundled = join(places.extensionFolder, 'bin', PROGRAM);
  if (!(await exists(bundled))) {
    throw new Error(
      l10n.t('This build of Kernel Keeper has no kernel-keeper program in it ({0}). Set "{1}" to the path of one.', bundled, SETTING),
    );
  }
  return check(await versionedCopy(bundled, places), l10n.t('the extension; "{0}" can name another one', SETTING));
}

async function check(path: string, namedBy: string): Promise<Binary> {
  try {
    const stdout = await versionOf(path);
    const version = /^kernel-keeper (\S+)/.exec(stdout)?.[1];
    if (version !== undefined) return { path, version };
    throw new Error(l10n.t('it answered "{0}" to --version, so it is another program', stdout.trim().slice(0, 100)));
  } catch (error) {
    throw new Error(l10n.t('{0} does not run: {1}. It is named by {2}.', path, messageOf(error).trim(), namedBy), { cause: error });
  }
}

/** A copy that was just made cannot run while a process that was started meanwhile has it open: a moment, until that runs its own program. */
async function versionOf(path: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await promisify(execFile)(path, ['--version'], { timeout: VERSION_TIMEOUT_MS })).stdout;
    } catch (error) {
      if (attempt >= BUSY_ATTEMPTS || (error as NodeJS.ErrnoException).code !== 'ETXTBSY') throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
    }
  }
}

/** Named by version and content, so a copy in use is never written to. */
async function versionedCopy(bundled: string, places: Places): Promise<string> {
  const hash = createHash('sha256').update(await readFile(bundled));
  const folder = join(places.storageFolder, 'bin', `${places.extensionVersion}-${hash.digest('hex').slice(0, 8)}`);
  const target = join(folder, PROGRAM);
  if (await exists(target)) return target;
  await mkdir(folder, { recursive: true });
  const unfinished = `${target}.${process.pid}`;
  try {
    await copyFile(bundled, unfinished);
    // A VSIX may be unpacked without the bits that make it a program.
    await chmod(unfinished, 0o755);
    await rename(unfinished, target);
  } finally {
    await rm(unfinished, { force: true });
  }
  return target;
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}
