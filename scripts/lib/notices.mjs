// The license texts of the packages that a bundle is made of, which go with every copy of it.
// Guarantees: a package without such a text is an error, not left out.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `inputs`: the files of a bundle, as esbuild's metafile names them. */
export function notices(inputs) {
  const folders = new Set([...inputs].map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter(Boolean));
  const texts = [...folders].map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    if (!files.length) throw new Error(`${name} ${version} has no license text, and is in the bundle`);
    return [`${name} ${version}`, ...files.sort().map((file) => readFileSync(join(folder, file), 'utf8').trim())].join('\n\n');
  });
  return `Kernel Keeper contains these packages, each under its own license.\n\n${texts.sort().join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
