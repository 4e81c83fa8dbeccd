// Bundles the extension into dist/extension.js, and what its webviews run and how they look into dist/webviews/, what draws
// figures into dist/renderers/, and the licenses of what is in them into dist/notices.txt; with --tests the unit
// tests into dist/test/; with --production minified; with --watch again after each change. The types are checked by `npm run compile`.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, context } from 'esbuild';
import { notices } from '../scripts/lib/notices.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', 'dist');
const production = process.argv.includes('--production');
const common = { bundle: true, platform: 'node', target: 'node20', logLevel: 'info', external: ['vscode'] };

if (process.argv.includes('--tests')) {
  const outdir = join(dist, 'test');
  rmSync(outdir, { recursive: true, force: true });
  const tests = readdirSync(join(here, 'test')).filter((name) => name.endsWith('.test.ts'));
  const entryPoints = tests.map((name) => join(here, 'test', name));
  await build({ ...common, entryPoints, outdir, format: 'esm', outExtension: { '.js': '.mjs' }, sourcemap: 'inline' });
} else {
  const extension = {
    ...common,
    entryPoints: [join(here, 'src', 'extension.ts')],
    outfile: join(dist, 'extension.js'),
    format: 'cjs',
    minify: production,
    sourcemap: production ? false : 'linked',
  };
  // They are put into the page itself (src/views/webview.ts): nothing may close its element, as esbuild sees to for browsers.
  const webviews = {
    bundle: true,
    platform: 'browser',
    target: 'chrome120',
    logLevel: 'info',
    entryPoints: ['health.ts', 'health.css', 'variables.ts', 'variables.css'].map((name) => join(here, 'webviews', name)),
    outdir: join(dist, 'webviews'),
    format: 'iife',
    minify: production,
  };
  // VS Code imports them where a notebook shows such an output.
  const renderers = {
    ...webviews,
    entryPoints: ['plotly.ts', 'vega.ts'].map((name) => join(here, 'renderers', name)),
    outdir: join(dist, 'renderers'),
    format: 'esm',
  };
  const inputs = new Set();
  for (const options of [extension, webviews, renderers]) {
    if (process.argv.includes('--watch')) await (await context(options)).watch();
    else Object.keys((await build({ ...options, metafile: true })).metafile.inputs).forEach((path) => inputs.add(path));
  }
  if (inputs.size) writeFileSync(join(dist, 'notices.txt'), notices(inputs));
}
