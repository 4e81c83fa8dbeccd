// `npm start` brings a Python where there is none: a kernel of another language is none.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pythonKernels } from '../../scripts/lib/python.mjs';

test('only kernels for Python count', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kernels-'));
  const before = process.env.JUPYTER_PATH;
  try {
    process.env.JUPYTER_PATH = folder;
    const specs = {
      'seen-r': { language: 'R' },
      'seen-nothing': {},
      'seen-python': { language: 'Python' },
    };
    for (const [name, spec] of Object.entries(specs)) {
      mkdirSync(join(folder, 'kernels', name), { recursive: true });
      const argv = [process.execPath, '{connection_file}'];
      writeFileSync(join(folder, 'kernels', name, 'kernel.json'), JSON.stringify({ argv, display_name: name, ...spec }));
    }
    assert.deepEqual(
      pythonKernels().filter((name) => name.startsWith('seen-')),
      ['seen-python'],
    );
  } finally {
    if (before === undefined) delete process.env.JUPYTER_PATH;
    else process.env.JUPYTER_PATH = before;
    rmSync(folder, { recursive: true, force: true });
  }
});
