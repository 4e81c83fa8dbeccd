// Where everything lies that the scripts read and write.
// Guarantees: nothing outside the project's `.cache/` and the user's cache folder is written. Leaves out: what the product itself stores.
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Of this clone: stamps, logs, Python environments, profiles. Safe to delete. */
export const cache = join(root, '.cache');
export const logs = join(cache, 'logs');

/** Of this user, for all clones: the served editor, which is large and never changes for one version. */
export const userCache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kernel-keeper');

const exe = process.platform === 'win32' ? '.exe' : '';
export const binary = join(root, 'target', 'release', `kernel-keeper${exe}`);
export const vsix = join(cache, 'kernel-keeper.vsix');
export const examples = join(root, 'examples');
