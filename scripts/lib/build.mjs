// The steps that build the product: npm packages, release binary, extension bundle, VSIX.
// Guarantees: a step whose inputs did not change is not run. Leaves out: where the results are used.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, cache, root, vsix } from './paths.mjs';
import { npm, run } from './run.mjs';
import { fingerprint, once } from './stamp.mjs';

export const modules = join(root, 'node_modules');
const rust = ['.cargo', 'Cargo.toml', 'Cargo.lock', 'server'];
const client = ['package.json', 'package-lock.json', 'editor-client', 'scripts/lib/notices.mjs'];
const bundle = [join('dist', 'extension.js'), join('dist', 'webviews'), join('dist', 'renderers'), join('dist', 'notices.txt')];
const shipped = ['package.nls.json', 'l10n', 'media', 'README.md', 'docs/screenshot.png', 'CHANGELOG.md', 'LICENSE'];

/** The npm packages of `package-lock.json`; their install scripts are not needed and not run. */
export function packages(options) {
  const install = () => run(npm[0], [...npm.slice(1), 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], options);
  return once('packages', fingerprint(['package-lock.json']), [join(modules, '.package-lock.json')], install);
}

export function releaseBinary(options) {
  const build = () => run('cargo', ['build', '--release', '--locked', '--bin', 'kernel-keeper'], options);
  return once('binary', fingerprint(rust, process.env.RUSTFLAGS ?? ''), [binary], build);
}

/** Needs `packages`. Type errors are not looked for here: `npm run lint` does. */
export function extensionBundle(options) {
  const build = () => run(process.execPath, ['editor-client/esbuild.mjs', '--production'], options);
  return once(
    'bundle',
    fingerprint(client),
    bundle.map((path) => join(root, path)),
    build,
  );
}

/** Needs the bundle and the binary. Packed from a folder with just what is shipped, so no ignore list can go stale. */
export function extensionPackage(options) {
  return once('vsix', packagePrint(), [vsix], async () => {
    const stage = join(cache, 'package');
    rmSync(stage, { recursive: true, force: true });
    mkdirSync(join(stage, 'bin'), { recursive: true });
    for (const path of [...shipped, ...bundle]) {
      if (existsSync(join(root, path))) cpSync(join(root, path), join(stage, path), { recursive: true });
    }
    writeFileSync(join(stage, 'package.json'), manifest());
    copyFileSync(binary, join(stage, 'bin', 'kernel-keeper'));
    chmodSync(join(stage, 'bin', 'kernel-keeper'), 0o755);
    const flags = ['--no-dependencies', '--allow-missing-repository', '--no-rewrite-relative-links', '--skip-license'];
    const target = ['--target', `${process.platform}-${process.arch}`]; // it has a native program in it
    const vsce = join(modules, '@vscode', 'vsce', 'vsce');
    await run(process.execPath, [vsce, 'package', ...flags, ...target, '--out', vsix], { ...options, cwd: stage });
  });
}

/** What the VSIX is made of; an editor profile keeps it to know which VSIX it has. */
export function packagePrint() {
  return fingerprint([...rust, ...client, ...shipped, 'scripts/lib/build.mjs']);
}

/** The manifest as shipped: without what only builds and tests need. */
function manifest() {
  const { scripts, devDependencies, ...shippedPart } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return `${JSON.stringify(shippedPart, null, 2)}\n`;
}
