// What is bundled goes with its license.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import { root } from '../../scripts/lib/paths.mjs';
import { notices } from '../../scripts/lib/notices.mjs';

test('what draws figures names the packages in it, with their licenses', async () => {
  const entryPoints = ['plotly.ts', 'vega.ts'].map((name) => join(root, 'editor-client', 'renderers', name));
  const options = { bundle: true, write: false, metafile: true, format: 'esm', outdir: 'unused' };
  const text = notices(Object.keys((await build({ ...options, entryPoints })).metafile.inputs));
  for (const name of ['plotly.js-dist-min', 'vega', 'vega-embed', 'vega-lite', 'd3-array'])
    assert.match(text, new RegExp(`^${name} \\d`, 'm'));
  assert.match(text, /Copyright \(c\) 2016-\d+ Plotly/);
  assert.match(text, /University of Washington Interactive Data Lab/);
});

test('a package without a license text is an error', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kk-notices-'));
  const own = join(folder, 'node_modules', '@some', 'thing');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'package.json'), '{"name":"@some/thing","version":"1.0.0"}');
  assert.throws(() => notices([join(own, 'index.js')]), /@some\/thing 1\.0\.0 has no license/);
  writeFileSync(join(own, 'LICENCE.md'), 'Do as you like.\n');
  assert.match(
    notices([join(own, 'lib', 'a.js'), join(own, 'index.js'), 'editor-client/x.ts']),
    /@some\/thing 1\.0\.0\n\nDo as you like\.\n$/,
  );
  rmSync(folder, { recursive: true });
});
