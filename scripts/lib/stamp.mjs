// Content stamps: a step is done again only when what it reads has changed.
// Guarantees: a stamp is written only after its step succeeded. Leaves out: what a step downloads (versions are part of the inputs).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cache, root } from './paths.mjs';

function* filesUnder(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isDirectory()) {
    yield path;
    return;
  }
  for (const name of readdirSync(path).sort()) {
    if (name !== 'node_modules') yield* filesUnder(join(path, name));
  }
}

/** A hash over the names and contents of files and folders, given relative to the project, and over `extra` words. */
export function fingerprint(paths, ...extra) {
  const hash = createHash('sha256');
  for (const word of extra) hash.update(`${word}\0`);
  for (const path of paths) {
    for (const file of filesUnder(join(root, path))) {
      hash
        .update(`${relative(root, file)}\0`)
        .update(readFileSync(file))
        .update('\0');
    }
  }
  return hash.digest('hex');
}

/** Runs `work` unless it succeeded before with the same `print` and all of `results` are still there. Answers whether it ran. */
export async function once(name, print, results, work, folder = join(cache, 'stamps')) {
  const file = join(folder, name);
  const done = existsSync(file) && readFileSync(file, 'utf8') === print && results.every((path) => existsSync(path));
  if (done) return false;
  await work();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, print);
  return true;
}
